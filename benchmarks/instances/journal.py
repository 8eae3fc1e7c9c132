"""What a running evaluation has done so far, one line an image and subject: a killed run goes on where it was."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightsam_benchmarks.journals import append, began_otherwise, begin, locked, path_of, read

_WHAT = "the journal of an evaluation of instances"


@dataclass(frozen=True)
class Head:
    """The first line of a journal."""

    run: str
    """sha256 of all that changes a mask, but for the subjects' weights and files, which each line carries."""


@dataclass(frozen=True)
class Line:
    """What one subject answered about one image."""

    subject: str
    sha256: str
    """Of its weights and files, and what runs them."""
    set: str
    image: str
    """File name."""
    masks: tuple[str, ...]
    """Compressed runs, in the order of the image's boxes."""
    not_finite: int
    """Answers with NaN or infinite logits."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is one line of."""
        return self.subject, self.set, self.image


class Journal:
    """The lines of one run."""

    def __init__(self, path: Path, lines: Sequence[Line]) -> None:
        self._path = path
        self._lines = {line.key: line for line in lines}

    def check(self, subject: str, sha256: str) -> None:
        """Make sure that what was done was done with the same weights and files.

        Raises:
            ContractError: if not.
        """
        if any(line.subject == subject and line.sha256 != sha256 for line in self._lines.values()):
            raise began_otherwise(self._path, subject)

    def line(self, subject: str, name: str, image: str) -> Line | None:
        """What was done already about an image of the set ``name``; None if nothing was."""
        return self._lines.get((subject, name, image))

    def add(self, line: Line) -> None:
        """Write one image's masks down.

        Raises:
            WriteError: if the system refuses.
        """
        append(self._path, line)
        self._lines[line.key] = line


@contextmanager
def opened(
    output: Path, run: str, counts: Mapping[tuple[str, str], int], subjects: Sequence[str], overwrite: bool
) -> Iterator[Journal]:
    """The journal of a run, begun or continued; it is gone when the block ends well.

    Args:
        output: the record that the run will write.
        run: see `Head`.
        counts: boxes by set and image.
        subjects: names of those that are evaluated; there may be more than the run began with.
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
            if counts.get((line.set, line.image)) != len(line.masks):
                raise ValueError(f"its line of {line.image} has not one mask for each box")
        left_out = {line.subject for line in lines} - set(subjects)
        if left_out:
            raise ValueError(f"it began with {', '.join(sorted(left_out))}, too")

    with locked(output):
        asks = "it asks something else, or of other images, annotations or boxes"
        lines = read(path, _WHAT, head, Line, check, asks=asks, overwrite=overwrite)
        begin(path, head, lines)
        yield Journal(path, lines)
        path.unlink()
