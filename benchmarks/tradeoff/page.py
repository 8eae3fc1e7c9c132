"""A record as one self-contained page, for people."""

from collections.abc import Sequence

from markupsafe import Markup

from lightsam_exporters.html import render

from .plots import drawn
from .record import Record
from .report import kinds_of, notes, tables


def as_html(records: Sequence[Record]) -> str:
    """Tables, plots, and what must be known of every sweep.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    return render(__package__, records=[(one, tables(one), notes(one), plots_of(one)) for one in records])


def plots_of(record: Record) -> list[tuple[str, Markup]]:
    """The plots of every model that was evaluated, by title; matplotlib escapes the names in them."""
    return [
        (f"{model}: {title}", Markup(svg))
        for model in dict.fromkeys(one.model for one in record.measured)
        for prompts in kinds_of(record, model)
        for title, svg in drawn(record, model, prompts)
    ]
