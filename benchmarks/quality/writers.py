"""The files that records are shown in: a page, or Markdown."""

from collections.abc import Sequence
from pathlib import Path

from lightsam.files import write_by_suffix

from .page import as_html
from .record import Record
from .report import markdown

WRITERS = {".html": as_html, ".md": markdown}


def write_report(records: Sequence[Record], path: Path) -> None:
    """Write the page, without worst masks, or the Markdown tables, by the suffix of ``path``.

    Raises:
        UsageError: for a suffix that is not in `WRITERS`.
        WriteError: if the system refuses.
    """
    write_by_suffix(path, WRITERS, records)
