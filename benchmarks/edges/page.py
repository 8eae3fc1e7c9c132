"""A record as one self-contained page, for people."""

from collections.abc import Sequence

from markupsafe import Markup

from lightsam_exporters.html import render

from .plots import curve
from .record import Record
from .report import notes, tables


def as_html(records: Sequence[Record]) -> str:
    """The curve, the tables, and what must be known of every record.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    return render(__package__, records=[(one, Markup(curve(one)), tables(one), notes(one)) for one in records])
