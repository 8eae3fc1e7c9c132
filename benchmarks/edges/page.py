"""Records as one self-contained page, for people."""

from collections.abc import Sequence

from markupsafe import Markup

from lightsam_benchmarks.page import Section, as_page

from .plots import curve
from .record import Record
from .report import notes, tables


def section(record: Record) -> Section:
    """The curve, the tables, and what must be known of the record."""
    return Section(
        "Zero-shot edges",
        record.data.name,
        record.created,
        tables(record),
        notes(record),
        "The dot is the threshold at which the F-measure is best; grey lines join places of the same F-measure.",
        lambda: Markup(curve(record)),
    )


def as_html(records: Sequence[Record]) -> str:
    """Every record's section.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    return as_page([section(one) for one in records])
