"""Writing files so that an interrupted run leaves the old one or the new one, never half of one."""

import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lightsam.errors import LightSamError, UsageError

T = TypeVar("T")


class WriteError(LightSamError, OSError):
    """A file or folder that cannot be written; the message has the path and the system's reason."""


def reason(error: OSError) -> str:
    """The system's own words for what went wrong."""
    return error.strerror or str(error)


def ensure_writable(folder: Path) -> None:
    """Make ``folder`` if need be and try it.

    Raises:
        WriteError: if nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WriteError(f"cannot write to {folder}: {reason(error)}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; what is written there replaces ``path`` when the block ends well.

    Raises:
        WriteError: if the system refuses; ``path`` is then as it was.
    """
    ensure_writable(path.parent)
    # The suffix is kept: writers choose a file format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {reason(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def replace_folder(new: Path, folder: Path, previous: Path) -> None:
    """Bring a finished folder to its place; if the system refuses, or at an interrupt, what was there is back.

    Args:
        new: on the same file system.
        folder: its place, where an older one may be.
        previous: a free name on the same file system for the older one, which the caller deletes.

    Raises:
        OSError: if the system refuses.
    """
    try:
        if folder.exists():
            folder.rename(previous)
        new.rename(folder)
    finally:
        if previous.exists() and not folder.exists():
            previous.rename(folder)


def write_text(path: Path, text: str) -> None:
    """Replace a file by a text, wholly or not at all.

    Raises:
        WriteError: if the system refuses; ``path`` is then as it was.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_suffix(path: Path, suffixes: Collection[str]) -> None:
    """Refuse a file that cannot be written in any known form, before any work is done for it.

    Args:
        suffixes: those that there are, such as ``.html``.

    Raises:
        UsageError: if ``path`` ends in none of them; the message lists them.
    """
    if path.suffix not in suffixes:
        raise UsageError(f"{path} must end in {' or '.join(suffixes)}")


def write_by_suffix(path: Path, writers: Mapping[str, Callable[[T], str]], content: T) -> None:
    """Replace a file by ``content`` in the form that its suffix names.

    Args:
        writers: the function that makes the text, by suffix.

    Raises:
        UsageError: for a suffix without a writer.
        WriteError: if the system refuses; ``path`` is then as it was.
    """
    check_suffix(path, writers)
    write_text(path, writers[path.suffix](content))
