"""What a running evaluation of edges has done so far, one line an image and subject: a killed run goes on there."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lightsam.documents import convert, parse_json
from lightsam.errors import ContractError, UsageError
from lightsam.files import WriteError, ensure_writable, reason, write_text
from lightsam.version import __version__

from .matching import THRESHOLDS, TOLERANCE
from .recipe import Recipe
from .record import Image, fits

_WHAT = "the journal of an evaluation of edges"
_OTHER = "delete it, choose another --output, or say --overwrite"


def digest(recipe: Recipe, data_sha256: str) -> str:
    """Of everything that changes a count, but for the subjects' files, which each line carries itself."""
    return hashlib.sha256(repr((__version__, recipe, TOLERANCE, THRESHOLDS, data_sha256)).encode()).hexdigest()


def path_of(output: Path) -> Path:
    """The journal beside a record."""
    return output.with_name(f"{output.stem}.partial.jsonl")


@dataclass(frozen=True)
class Head:
    """The first line."""

    edges: str
    """`digest` of what is asked."""


@dataclass(frozen=True)
class Line:
    """What one subject did on one image."""

    subject: str
    sha256: str
    """Of its weights and files, and what runs them."""
    image: Image


class Journal:
    """The lines of one run."""

    def __init__(self, path: Path, lines: Sequence[Line]) -> None:
        self._path = path
        self._lines = {(line.subject, line.image.name): line for line in lines}

    def image(self, subject: str, sha256: str, name: str) -> Image | None:
        """What was found on an image; None if it has not been done.

        Raises:
            ContractError: if it was done with other weights or files.
        """
        line = self._lines.get((subject, name))
        if line is not None and line.sha256 != sha256:
            raise ContractError(
                f"{self._path} was begun with other weights or files, or another runtime, of {subject}: {_OTHER}"
            )
        return None if line is None else line.image

    def add(self, line: Line) -> None:
        """Write one image down.

        Raises:
            WriteError: if the system refuses.
        """
        try:
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(_as_text(line))
        except OSError as error:
            raise WriteError(f"cannot write {self._path}: {reason(error)}") from error


def _as_text(line: Head | Line) -> str:
    return json.dumps(asdict(line), allow_nan=False) + "\n"


@contextmanager
def opened(output: Path, run: str, subjects: Sequence[str], overwrite: bool) -> Iterator[Journal]:
    """The journal of a run, begun or continued; it is gone when the block ends well.

    Args:
        output: the record that the run will write.
        run: `digest` of what it asks.
        subjects: names of those that are evaluated.
        overwrite: whether the journal of another run may be thrown away.

    Raises:
        ContractError: if there is one of another run.
        UsageError: if another process is at it.
        WriteError: if nothing can be written there.
    """
    path = path_of(output)
    ensure_writable(path.parent)
    held = False
    try:
        with FileLock(f"{path}.lock", timeout=0):
            lines = _lines(path, run, subjects, overwrite)
            write_text(path, _as_text(Head(run)) + "".join(map(_as_text, lines)))
            yield Journal(path, lines)
            path.unlink()
    except Timeout as error:
        held = True
        raise UsageError(f"another evaluation is writing {output}: wait for it, or choose another --output") from error
    finally:
        if not held:  # by another process, which would lose its lock
            Path(f"{path}.lock").unlink(missing_ok=True)


def _lines(path: Path, run: str, subjects: Sequence[str], overwrite: bool) -> list[Line]:
    """Lines of the same run; none if there is none that may be continued."""
    if not path.exists():
        return []
    try:
        # What has no end of line was not finished.
        head, *rest = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        if convert(parse_json(head, path, _WHAT), Head, path, _WHAT).edges != run:
            raise ValueError("it asks something else, or of other data")
        lines = [convert(parse_json(line, path, _WHAT), Line, path, _WHAT) for line in rest]
        for line in lines:
            if line.subject not in subjects:
                raise ValueError(f"it began with {line.subject}, too")
            if not fits(line.image.counts, len(THRESHOLDS)):
                raise ValueError(f"its line of {line.image.name} has not one count for each threshold")
    except (OSError, ValueError) as error:  # a ContractError is a ValueError
        if overwrite:
            return []
        raise ContractError(f"{path} is not of this evaluation ({error}): {_OTHER}") from error
    return lines
