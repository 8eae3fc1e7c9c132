"""What a running evaluation has done so far, one line an image and subject: a killed run goes on where it was."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightsam.version import __version__
from lightsam_benchmarks import journals
from lightsam_benchmarks.journals import append, began_otherwise, locked, path_of

from .coco import decode
from .dataset import DataSet, Sample
from .evaluation import CLICKS, Evaluation
from .predictions import Scores
from .worst import Case

_WHAT = "the journal of an evaluation"


def digest(evaluation: Evaluation, data_sha256: str) -> str:
    """Of everything that changes a score, but for the subjects' weights and files, which each line carries itself."""
    rules = (evaluation.settings, evaluation.clicks, evaluation.seed, evaluation.rules)
    return hashlib.sha256(repr((__version__, rules, data_sha256)).encode()).hexdigest()


@dataclass(frozen=True)
class Head:
    """The first line of a journal."""

    evaluation: str
    """`digest` of what is asked."""


@dataclass(frozen=True)
class Line:
    """What one subject did on one image."""

    subject: str
    sha256: str
    """Of its weights and files, and what runs them."""
    image: str
    """File name."""
    scores: dict[str, Scores]
    """By kind of prompt."""
    worst: tuple[Case, ...]
    """Masks that were among the worst of the run so far."""
    image_sha256: str = ""
    """Of the image's file, in the journal of a shard; elsewhere `digest` holds that of all images."""


class Journal:
    """The lines of one run."""

    def __init__(self, path: Path, lines: Sequence[Line]) -> None:
        self._path = path
        self._lines = {(line.subject, line.image): line for line in lines}

    def check(self, subject: str, sha256: str) -> None:
        """Make sure that what was done was done with the same weights and files.

        Raises:
            ContractError: if not.
        """
        for (name, _), line in self._lines.items():
            if name == subject and line.sha256 != sha256:
                raise began_otherwise(self._path, name)

    def scores(self, subject: str, image: str) -> dict[str, Scores] | None:
        """Scores by kind of prompt of an image that was done already; None if it was not."""
        line = self._lines.get((subject, image))
        return None if line is None else line.scores

    def image_sha256(self, subject: str, image: str) -> str:
        """Of the file that was evaluated; empty where the line does not say, or there is none."""
        line = self._lines.get((subject, image))
        return "" if line is None else line.image_sha256

    def worst(self, subject: str, data: DataSet) -> list[Case]:
        """Masks of a subject that were kept to be drawn, in the order of the data."""
        lines = (self._lines.get((subject, sample.name)) for sample in data.samples)
        return [kept for line in lines if line is not None for kept in line.worst]

    def add(self, line: Line) -> None:
        """Write one image's scores down.

        Raises:
            WriteError: if the system refuses.
        """
        append(self._path, line)
        self._lines[line.subject, line.image] = line


@contextmanager
def opened(output: Path, run: str, data: DataSet, subjects: Sequence[str], overwrite: bool) -> Iterator[Journal]:
    """The journal of a run, begun or continued; it is gone when the block ends well.

    A run may be continued with more subjects than it began with.

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
    with locked(output):
        lines = read(path, run, data, subjects, overwrite)
        begin(path, run, lines)
        yield Journal(path, lines)
        path.unlink()


def begin(path: Path, run: str, lines: Sequence[Line]) -> None:
    """Write a journal with what is done already.

    Raises:
        WriteError: if the system refuses.
    """
    journals.begin(path, Head(run), lines)


def read(path: Path, run: str, data: DataSet, subjects: Sequence[str], overwrite: bool) -> list[Line]:
    """Lines of the same run; none if there is none that may be continued.

    Raises:
        ContractError: if it is of another run, and may not be thrown away.
    """

    def check(lines: Sequence[Line]) -> None:
        samples = {sample.name: sample for sample in data.samples}
        for line in lines:
            _check(line, samples)
        left_out = {line.subject for line in lines} - set(subjects)
        if left_out:
            raise ValueError(f"it began with {', '.join(sorted(left_out))}, too")

    asks = "it asks something else, or of other data"
    return journals.read(path, _WHAT, Head(run), Line, check, asks=asks, overwrite=overwrite)


def _check(line: Line, samples: Mapping[str, Sample]) -> None:
    """Make sure that a line fits the ground truth.

    Raises:
        ValueError: if not.
    """
    sample = samples.get(line.image)
    if sample is None:
        raise ValueError(f"it names an image that is not in the data: {line.image}")
    count = len(sample.objects)
    for kind, scores in line.scores.items():
        clicks = count if kind == CLICKS else 0
        if [len(scores.ious), len(scores.boundary_ious), len(scores.click_ious)] != [count, count, clicks]:
            raise ValueError(f"its line of {line.image} has not one score for each object")
    for case in line.worst:
        of_the_line = (case.subject, case.image) == (line.subject, line.image) and 0 <= case.index < count
        if not of_the_line or case.mask["size"] != [*sample.size[::-1]]:
            raise ValueError(f"its line of {line.image} keeps a mask that does not fit the image")
        decode(case.mask)
