"""A record as one self-contained page, for people."""

from collections.abc import Sequence

from markupsafe import Markup

from lightsam_exporters.html import render

from . import plots
from .record import Record
from .report import notes, profile_pairs, tables


def as_html(records: Sequence[Record]) -> str:
    """Tables, plots, and what must be known of every run.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    return render(__package__, records=[(one, tables(one), notes(one), drawn(one)) for one in records])


def drawn(record: Record) -> list[tuple[str, Markup]]:
    """The plots of a run, by what they show; matplotlib escapes the names in them."""
    return [
        (f"{after.model}, {after.case}", Markup(plots.operations(before, after)))
        for before, after in profile_pairs(record)
    ]
