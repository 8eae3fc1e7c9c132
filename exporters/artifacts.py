"""Where artifacts lie, and how a new one takes an old one's place."""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lightsam.errors import ExportError
from lightsam.files import WriteError, ensure_writable, reason
from lightsam.models import ModelCard

_LOG = logging.getLogger("lightsam.export")
_STAGING = ".staging-"
_PREVIOUS = ".previous-"
_LOCK = ".lock"
_A_RENAME_S = 1.0


def model_folder(output: Path, card: ModelCard, image_size: int) -> Path:
    """Folder of a model's artifacts; a size that is not the model's own has one of its own."""
    native = image_size == card.native_size
    return output / (card.name if native else f"{card.name}-{image_size}")


def external_data(path: Path) -> Path:
    """Where the weights of a file lie that are too large to be inside."""
    return path.with_name(f"{path.name}.data")


def files_of(path: Path) -> list[Path]:
    """What belongs to an artifact: a file and its weights, or all files of a folder, in the order of their names."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [file for file in (path, external_data(path)) if file.is_file()]


def sha256(path: Path) -> str:
    """Digest of a file; of a folder, or a file with external data: of every file's name and content."""
    digest = hashlib.sha256()
    files = files_of(path)
    origin = path if path.is_dir() else path.parent
    for file in files:
        if path.is_dir() or len(files) > 1:
            digest.update(f"{file.relative_to(origin).as_posix()}\n{file.stat().st_size}\n".encode())
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def size_bytes(path: Path) -> int:
    """Size of a file with its external data, or of all files of a folder."""
    return sum(file.stat().st_size for file in files_of(path))


def copy(source: Path, folder: Path) -> None:
    """Copy an artifact into a folder, under its own name."""
    if source.is_dir():
        shutil.copytree(source, folder / source.name)
    for file in [] if source.is_dir() else files_of(source):
        shutil.copy2(file, folder / file.name)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Be the only export that writes to ``folder``, and first clear up after one that was killed.

    Raises:
        WriteError: if the folder cannot be written.
        ExportError: if another export is at work in it.
    """
    ensure_writable(folder)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            _put_right(folder)
            yield
    except Timeout as error:
        raise ExportError(f"another export is writing to {folder}: wait for it, or choose another --output") from error


def recover(folder: Path) -> None:
    """Clear up after an export that was killed, unless one is at work, or nothing may be written here.

    Of an export that is at work, what it has set aside is back or replaced within the blink between two renames.
    """
    if any(folder.glob(f"{_PREVIOUS}*")):
        try:
            with FileLock(folder / _LOCK, timeout=_A_RENAME_S):
                _put_right(folder)
        except (Timeout, OSError) as error:
            _LOG.warning("%s holds what an export set aside, which cannot be put back now: %s", folder, error)


def _put_right(folder: Path) -> None:
    """Put back what a killed run had set aside, and drop what it had not finished."""
    for previous in folder.glob(f"{_PREVIOUS}*"):
        current = folder / previous.name.removeprefix(_PREVIOUS)
        if current.exists():
            shutil.rmtree(previous)
        else:
            previous.rename(current)
    for staging in folder.glob(f"{_STAGING}*"):
        shutil.rmtree(staging)


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same file system, gone at the end of the block.

    Raises:
        WriteError: if the system refuses to write (a full disk, say).
    """
    try:
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder, ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(f"cannot write to {folder}: {reason(error)}") from error


def install(staged: Path, final: Path) -> None:
    """Move a finished folder to its place; an old one is set aside until the new one is there.

    Killed between the two renames, `exclusive` puts the old one back.
    """
    previous = final.with_name(f"{_PREVIOUS}{final.name}")
    if final.exists():
        os.rename(final, previous)
    try:
        os.rename(staged, final)
    except OSError:
        if previous.exists():
            os.rename(previous, final)
        raise
    if previous.exists():
        shutil.rmtree(previous)


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin what cannot fit.

    Raises:
        WriteError: with both sizes.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WriteError(
            f"{folder} has {free / 1e6:.0f} MB free and this export needs about {needed / 1e6:.0f} MB: free some, or "
            "choose another --output"
        )
