"""A line of the journal of an evaluation: what one subject did on one image, and whether it fits the data."""

import hashlib
from dataclasses import dataclass

from lightsam.version import __version__
from lightsam_benchmarks.journals import Form, Journal

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
    """Of the image's file."""

    @property
    def key(self) -> str:
        """Of the image."""
        return self.image


def form(run: str, data: DataSet) -> Form[Line]:
    """Of the journal of these images.

    Args:
        run: `digest` of what is asked.
    """
    samples = {sample.name: sample for sample in data.samples}
    asks = "it asks something else, or of other data"
    return Form(_WHAT, asks, Head(run), Line, samples, lambda line: _check(line, samples[line.image]))


def worst(journal: Journal[Line], subject: str, data: DataSet) -> list[Case]:
    """Masks of a subject that were kept to be drawn, in the order of the data."""
    lines = journal.lines(subject, (sample.name for sample in data.samples))
    return [kept for line in lines for kept in line.worst]


def _check(line: Line, sample: Sample) -> None:
    """Make sure that a line fits the ground truth.

    Raises:
        ValueError: if not.
    """
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
