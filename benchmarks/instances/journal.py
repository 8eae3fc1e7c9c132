"""What a running evaluation has done so far, one line an image and subject: a killed run goes on where it was."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lightsam.documents import convert, parse_json
from lightsam.errors import ContractError, UsageError
from lightsam.files import WriteError, ensure_writable, reason, write_text
from lightsam_benchmarks.quality.journal import path_of

_OTHER = "delete it, choose another --output, or say --overwrite"
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
            raise ContractError(
                f"{self._path} was begun with other weights or files, or another runtime, of {subject}: {_OTHER}"
            )

    def line(self, subject: str, name: str, image: str) -> Line | None:
        """What was done already about an image of the set ``name``; None if nothing was."""
        return self._lines.get((subject, name, image))

    def add(self, line: Line) -> None:
        """Write one image's masks down.

        Raises:
            WriteError: if the system refuses.
        """
        try:
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(_as_text(line))
        except OSError as error:
            raise WriteError(f"cannot write {self._path}: {reason(error)}") from error
        self._lines[line.key] = line


def _as_text(line: Head | Line) -> str:
    return json.dumps(asdict(line)) + "\n"


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
    ensure_writable(path.parent)
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"another evaluation is writing {output}: wait for it, or choose another --output") from error
    try:
        lines = _lines(path, run, counts, subjects, overwrite)
        write_text(path, _as_text(Head(run)) + "".join(map(_as_text, lines)))
        yield Journal(path, lines)
        path.unlink()
    finally:
        lock.release()
        Path(f"{path}.lock").unlink(missing_ok=True)


def _lines(
    path: Path, run: str, counts: Mapping[tuple[str, str], int], subjects: Sequence[str], overwrite: bool
) -> list[Line]:
    """Lines of the same run; none if there is none that may be continued."""
    if not path.exists():
        return []
    try:
        # What has no end of line was not finished.
        head, *rest = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        if convert(parse_json(head, path, _WHAT), Head, path, _WHAT).run != run:
            raise ValueError("it asks something else, or of other images, annotations or boxes")
        lines = [convert(parse_json(line, path, _WHAT), Line, path, _WHAT) for line in rest]
        for line in lines:
            if counts.get((line.set, line.image)) != len(line.masks):
                raise ValueError(f"its line of {line.image} has not one mask for each box")
        left_out = {line.subject for line in lines} - set(subjects)
        if left_out:
            raise ValueError(f"it began with {', '.join(sorted(left_out))}, too")
    except (OSError, ValueError) as error:  # a ContractError is a ValueError
        if overwrite:
            return []
        raise ContractError(f"{path} is not of this evaluation ({error}): {_OTHER}") from error
    return lines
