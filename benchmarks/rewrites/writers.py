"""The files of a run: its record, and what shows it."""

import re
from pathlib import Path

from lightsam.errors import ArtifactExistsError, FormatUnavailableError
from lightsam.files import ensure_writable, write_text

from . import record as records
from .page import as_html, drawn
from .record import Record
from .report import markdown

NAME = "rewrites"
"""Of the files, before what tells them apart."""
WITHOUT_PLOTS = "no page and no plot was written"


def check(folder: Path, *, overwrite: bool) -> Path:
    """Refuse before any work what could not be written after it.

    Returns:
        Where the record will be.

    Raises:
        ArtifactExistsError: if there is a record that may not be replaced.
        WriteError: if nothing can be written to the folder.
    """
    path = folder / f"{NAME}.json"
    if path.exists() and not overwrite:
        raise ArtifactExistsError(f"{path} is there already: choose another --output, or say --overwrite")
    ensure_writable(folder)
    return path


def write(record: Record, folder: Path) -> tuple[list[Path], str]:
    """Write the record, its tables, and where matplotlib is there its page and its plots.

    Returns:
        The files, and why some are missing; "" if none is.

    Raises:
        WriteError: if the system refuses.
    """
    paths = [folder / f"{NAME}.json", folder / f"{NAME}.md"]
    records.write(record, paths[0])
    write_text(paths[1], markdown([record]))
    try:
        pages = {f"{NAME}.html": as_html([record])}
        pages |= {f"{NAME}-{re.sub('[^a-z0-9]+', '-', title)}.svg": svg for title, svg in drawn(record)}
    except FormatUnavailableError as error:
        return paths, f"{WITHOUT_PLOTS}: {error}"
    for name, content in pages.items():
        write_text(folder / name, content)
    return [*paths, *(folder / name for name in pages)], ""
