"""Records as one self-contained page, for people."""

from collections.abc import Sequence

from markupsafe import Markup

from lightsam.stages import STAGE_NAMES
from lightsam_exporters.html import render

from . import plots
from .record import OK, Record
from .report import notes, sources, tables


def as_html(records: Sequence[Record]) -> str:
    """Tables, plots, and what must be known of every run.

    Raises:
        FormatUnavailableError: if matplotlib is not installed.
    """
    return render(
        __package__,
        records=[(record, notes(record), _drawn(record)) for record in records],
        tables=tables(records),
        sources=sources(records),
    )


def _drawn(record: Record) -> list[tuple[str, Markup]]:
    """The plots of a run, with their titles."""
    timed = [result for result in record.results if result.status == OK]
    scopes = [name for name in STAGE_NAMES if any(result.scope == name for result in timed)]
    drawn = [(f"Latency of the {name}", plots.latency(timed, name)) for name in scopes]
    drawn += [(f"Latency against size of the {name}", plots.against_size(timed, name)) for name in scopes]
    drawn += [(f"Distribution of the {name}", plots.distribution(timed, name)) for name in scopes]
    return [(title, Markup(svg)) for title, svg in drawn]  # matplotlib escapes the names in it
