"""What is done with an image, which is encoded once a subject, and the record of all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lightsam.prompts import Prompt
from lightsam_benchmarks import machine
from lightsam_benchmarks.journals import Form, Journal

from .compare import bootstrap, within
from .dataset import DataSet, Sample
from .evaluation import BSDS, CLICKS, Evaluation
from .journal import Line, digest, form
from .journal import worst as known_worst
from .predictions import Scores, prediction
from .record import Data, Difference, Evaluated, Object, Reached, Record, Result, SizeScore
from .scores import DIGITS, NOC_TARGETS, SIZES, clicks_to, size_of
from .storage import write
from .subjects import Loaded
from .worst import Case, Worst


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    record: Record
    worst: tuple[Case, ...]


@dataclass(frozen=True)
class Quality:
    """Masks against ground truth, as a `lightsam_benchmarks.evaluations.Task`."""

    data: DataSet
    evaluation: Evaluation

    @property
    def samples(self) -> dict[str, Sample]:
        """By their names."""
        return {sample.name: sample for sample in self.data.samples}

    def part(self, start: int, end: int) -> "Quality":
        """The images from ``start`` to before ``end`` alone."""
        return replace(self, data=self.data.part(start, end))

    def digest(self, images: Mapping[str, str]) -> str:
        """See `Task.digest`."""
        return digest(self.evaluation, self.data.sha256(images))

    def form(self, run: str) -> Form[Line]:
        """Of the journal."""
        return form(run, self.data)

    def scorer(self, name: str, loaded: Loaded, journal: Journal[Line]) -> Callable[[str, str], Line]:
        """What scores an image, given its key and the sha256 of its file.

        Returns:
            A function that raises ImageError if the image is damaged.
        """
        sha256, samples = loaded.identity, self.samples
        worst = Worst(name, known_worst(journal, name, self.data))

        def line_of(key: str, image_sha256: str) -> Line:
            kept: list[Case] = []

            def offer(kind: str, index: int, iou: float, mask: np.ndarray, prompt: Prompt) -> None:
                case = worst.offer(key, kind, index, iou, mask, prompt)
                if case is not None:
                    kept.append(case)

            scores = prediction(loaded.predictor, samples[key], self.evaluation, offer)
            return Line(name, sha256, key, scores, tuple(kept), image_sha256)

        return line_of

    def gather(
        self,
        subjects: Sequence[Evaluated],
        images: Mapping[str, str],
        journal: Journal[Line],
        pairs: Sequence[tuple[str, str]],
    ) -> Outcome:
        """The record of what a journal holds, and the worst answers; see `Task.gather`."""
        results: list[Result] = []
        worst: list[Case] = []
        evaluation = self.evaluation
        for subject in subjects:
            together = {kind: Scores() for kind in evaluation.settings}
            for line in journal.lines(subject.name, images):
                for kind, one in line.scores.items():
                    together[kind].ious += one.ious
                    together[kind].boundary_ious += one.boundary_ious
                    together[kind].click_ious += one.click_ious
                    together[kind].not_finite += one.not_finite
            results += [
                _result(subject.name, kind, together[kind], self.data, evaluation.seed) for kind in evaluation.settings
            ]
            worst += Worst(subject.name, known_worst(journal, subject.name, self.data)).cases
        record = _record(evaluation, self.data, self.data.sha256(images), subjects, results)
        return Outcome(_with_differences(record, pairs), tuple(worst))

    def write(self, outcome: Outcome, output: Path) -> None:
        """Write the record; raises WriteError if the system refuses."""
        write(outcome.record, output)


def _result(subject: str, kind: str, scores: Scores, data: DataSet, seed: int) -> Result:
    images = [sample.name for sample in data.samples for _ in sample.objects]
    sizes = [size_of(truth.area) for sample in data.samples for truth in sample.objects]
    by_size = {}
    for name, *_ in SIZES:
        mine = [index for index, size in enumerate(sizes) if size == name]
        if mine:
            by_size[name] = SizeScore(
                len(mine),
                _mean([scores.ious[index] for index in mine]),
                _mean([scores.boundary_ious[index] for index in mine]),
            )
    interval = bootstrap(scores.ious, images, seed)
    clicked = kind == CLICKS
    return Result(
        subject=subject,
        prompts=kind,
        miou=_mean(scores.ious),
        interval=None if interval is None else (round(interval[0], DIGITS), round(interval[1], DIGITS)),
        boundary_iou=_mean(scores.boundary_ious),
        by_size=by_size,
        after_click=tuple(_mean(column) for column in zip(*scores.click_ious, strict=True)),
        noc={f"{target:.0%}".rstrip("%"): _reached(target, scores) for target in NOC_TARGETS if clicked},
        not_finite=scores.not_finite,
        ious=tuple(scores.ious),
        boundary_ious=tuple(scores.boundary_ious),
        click_ious=tuple(tuple(row) for row in scores.click_ious),
    )


def _reached(target: float, scores: Scores) -> Reached:
    clicks, share = clicks_to(target, scores.click_ious)
    return Reached(round(clicks, DIGITS), round(share, DIGITS))


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), DIGITS)


def _record(
    evaluation: Evaluation, data: DataSet, sha256: str, subjects: Sequence[Evaluated], results: Sequence[Result]
) -> Record:
    return Record(
        **machine.origin("scipy", "faster-coco-eval"),
        data=Data(
            name=data.name,
            kind=data.kind,
            images=len(data.samples),
            objects=data.objects,
            limit=evaluation.limit,
            annotator=evaluation.annotator if data.kind == BSDS else None,
            dropped=dict(data.dropped),
            sha256=sha256,
        ),
        protocol=evaluation.rules,
        clicks=evaluation.clicks,
        seed=evaluation.seed,
        subjects=tuple(subjects),
        objects=tuple(
            Object(sample.name, truth.id, truth.label, truth.area)
            for sample in data.samples
            for truth in sample.objects
        ),
        results=tuple(results),
    )


def _with_differences(record: Record, pairs: Sequence[tuple[str, str]]) -> Record:
    found: list[Difference] = []
    for a, b in pairs:
        found += within(record, a, b)
    return replace(record, differences=tuple(found))
