"""All images, one subject after the other: each image is encoded once a subject, and what is done survives a kill."""

import datetime
import hashlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lightsam.prompts import Prompt
from lightsam.version import __version__
from lightsam_benchmarks import machine

from .compare import bootstrap, within
from .dataset import DataSet
from .evaluation import BSDS, CLICKS, Evaluation
from .journal import Journal, Line, digest, opened
from .predictions import Scores, prediction
from .record import Data, Difference, Evaluated, Object, Reached, Record, Result, SizeScore
from .scores import DIGITS, NOC_TARGETS, SIZES, clicks_to, size_of
from .storage import write
from .subjects import Candidate, Loaded
from .worst import Case, Worst

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    record: Record
    worst: tuple[Case, ...]


def evaluate(
    candidates: Sequence[Candidate],
    data: DataSet,
    evaluation: Evaluation,
    output: Path,
    *,
    pairs: Sequence[tuple[str, str]] = (),
    overwrite: bool = False,
    on_step: OnStep = lambda _: None,
) -> Outcome:
    """Evaluate every subject on every image, and write the record.

    Args:
        pairs: names of subjects that are to be compared, A and B.
        overwrite: whether a journal of another run may be thrown away.
        on_step: told of each image as it begins.

    Raises:
        ContractError: if the journal beside ``output`` is of another run, or a subject's files are damaged.
        CheckpointError: if a model's weights cannot be had.
        ImageError: if an image is damaged.
        WriteError: if nothing can be written.
    """
    data_sha256 = data.sha256()
    names = [candidate.name for candidate in candidates]
    with opened(output, digest(evaluation, data_sha256), data, names, overwrite) as journal:
        subjects: list[Evaluated] = []
        results: list[Result] = []
        worst: list[Case] = []
        for candidate in candidates:
            loaded = candidate.load()
            found, cases = _one(candidate.name, loaded, data, evaluation, journal, on_step)
            about = Evaluated(candidate.name, loaded.subject, loaded.files, loaded.runs_on, loaded.changed)
            subjects.append(about)
            results += [
                _result(candidate.name, kind, found[kind], data, evaluation.seed) for kind in evaluation.settings
            ]
            worst += cases
            del loaded  # one at a time is in memory
        record = _record(evaluation, data, data_sha256, subjects, results)
        record = _with_differences(record, pairs)
        write(record, output)
    return Outcome(record, tuple(worst))


def _one(
    name: str, loaded: Loaded, data: DataSet, evaluation: Evaluation, journal: Journal, on_step: OnStep
) -> tuple[dict[str, Scores], list[Case]]:
    """Scores of all images behind one another."""
    sha256 = _identity(loaded)
    journal.check(name, sha256)
    worst = Worst(name, journal.worst(name))
    together = {kind: Scores() for kind in evaluation.settings}
    for number, sample in enumerate(data.samples, 1):
        on_step(f"{name}: image {number} of {len(data.samples)}")
        scores = journal.scores(name, sample.name)
        if scores is None:
            kept: list[Case] = []

            def offer(kind: str, index: int, iou: float, mask: np.ndarray, prompt: Prompt) -> None:
                case = worst.offer(sample.name, kind, index, iou, mask, prompt)  # noqa: B023  # called at once
                if case is not None:
                    kept.append(case)  # noqa: B023

            scores = prediction(loaded.predictor, sample, evaluation, offer)
            journal.add(Line(name, sha256, sample.name, scores, tuple(kept)))
        for kind, one in scores.items():
            together[kind].ious += one.ious
            together[kind].boundary_ious += one.boundary_ious
            together[kind].click_ious += one.click_ious
            together[kind].not_finite += one.not_finite
    return together, worst.cases


def _identity(loaded: Loaded) -> str:
    """Of weights, files and what runs them: all that changes a subject's answers."""
    facts = (loaded.subject.weights.sha256, sorted(loaded.files.items()), loaded.subject.image_size, loaded.runs_on)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


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
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        lightsam=__version__,
        git=machine.git_state(),
        python=platform.python_version(),
        versions=machine.versions((*machine.ran_by(), "scipy", "faster-coco-eval")),
        chip=machine.chip(),
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
