"""What a running evaluation of edges has done so far, one line an image and subject: a killed run goes on there."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightsam.version import __version__
from lightsam_benchmarks.journals import append, began_otherwise, begin, locked, path_of, read

from .matching import THRESHOLDS, TOLERANCE
from .recipe import Recipe
from .record import Image, fits

_WHAT = "the journal of an evaluation of edges"


def digest(recipe: Recipe, data_sha256: str) -> str:
    """Of everything that changes a count, but for the subjects' files, which each line carries itself."""
    return hashlib.sha256(repr((__version__, recipe, TOLERANCE, THRESHOLDS, data_sha256)).encode()).hexdigest()


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
            raise began_otherwise(self._path, subject)
        return None if line is None else line.image

    def add(self, line: Line) -> None:
        """Write one image down.

        Raises:
            WriteError: if the system refuses.
        """
        append(self._path, line)


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
    head = Head(run)

    def check(lines: Sequence[Line]) -> None:
        for line in lines:
            if line.subject not in subjects:
                raise ValueError(f"it began with {line.subject}, too")
            if not fits(line.image.counts, len(THRESHOLDS)):
                raise ValueError(f"its line of {line.image.name} has not one count for each threshold")

    with locked(output):
        lines = read(
            path, _WHAT, head, Line, check, asks="it asks something else, or of other data", overwrite=overwrite
        )
        begin(path, head, lines)
        yield Journal(path, lines)
        path.unlink()
