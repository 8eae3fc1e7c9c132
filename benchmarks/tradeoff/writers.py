"""The files that a report can be: by their suffix."""

from collections.abc import Callable
from pathlib import Path

from lightsam.files import write_by_suffix

from .page import as_html
from .record import Record, as_text
from .report import markdown

WRITERS: dict[str, Callable[[Record], str]] = {
    ".json": as_text,
    ".md": lambda record: markdown([record]),
    ".html": lambda record: as_html([record]),
}


def write_report(record: Record, path: Path) -> None:
    """Write a record as JSON, as Markdown tables, or as a page with plots.

    Raises:
        UsageError: for another suffix.
        FormatUnavailableError: for a page, if matplotlib is not installed.
        WriteError: if the system refuses.
    """
    write_by_suffix(path, WRITERS, record)
