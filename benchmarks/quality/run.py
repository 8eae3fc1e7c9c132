"""All images, one subject after the other: each image is encoded once a subject, and what is done survives a kill."""

import datetime
import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
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
        for candidate in candidates:
            loaded = candidate.load()
            score(candidate.name, loaded, data, evaluation, journal, on_step=on_step)
            subjects.append(evaluated(candidate.name, loaded))
            del loaded  # one at a time is in memory
        outcome = gather(subjects, data, data_sha256, evaluation, journal, pairs)
        write(outcome.record, output)
    return outcome


def score(
    name: str,
    loaded: Loaded,
    data: DataSet,
    evaluation: Evaluation,
    journal: Journal,
    *,
    images: Mapping[str, str] | None = None,
    on_step: OnStep = lambda _: None,
) -> None:
    """Evaluate one subject on every image that the journal lacks, and add a line to it for each.

    Args:
        name: of the subject.
        images: sha256 of the images' files by their names, for the lines of a shard.
        on_step: told of each image as it begins.

    Raises:
        ContractError: if the journal was begun with other weights or files.
        ImageError: if an image is damaged.
        WriteError: if the journal cannot be written.
    """
    sha256 = identity(loaded)
    journal.check(name, sha256)
    worst = Worst(name, journal.worst(name, data))
    for number, sample in enumerate(data.samples, 1):
        on_step(f"{name}: image {number} of {len(data.samples)}")
        if journal.scores(name, sample.name) is not None:
            continue
        kept: list[Case] = []

        def offer(kind: str, index: int, iou: float, mask: np.ndarray, prompt: Prompt) -> None:
            case = worst.offer(sample.name, kind, index, iou, mask, prompt)  # noqa: B023  # called at once
            if case is not None:
                kept.append(case)  # noqa: B023

        scores = prediction(loaded.predictor, sample, evaluation, offer)
        image = "" if images is None else images[sample.name]
        journal.add(Line(name, sha256, sample.name, scores, tuple(kept), image))


def gather(
    subjects: Sequence[Evaluated],
    data: DataSet,
    data_sha256: str,
    evaluation: Evaluation,
    journal: Journal,
    pairs: Sequence[tuple[str, str]],
) -> Outcome:
    """The record of what a journal holds, in the order of the data, whoever wrote its lines and when.

    Args:
        subjects: each with a line for every image.
        data_sha256: `DataSet.sha256`.
        pairs: names of subjects that are to be compared, A and B.
    """
    results: list[Result] = []
    worst: list[Case] = []
    for subject in subjects:
        together = {kind: Scores() for kind in evaluation.settings}
        for sample in data.samples:
            scores = journal.scores(subject.name, sample.name)
            assert scores is not None  # each has a line for every image
            for kind, one in scores.items():
                together[kind].ious += one.ious
                together[kind].boundary_ious += one.boundary_ious
                together[kind].click_ious += one.click_ious
                together[kind].not_finite += one.not_finite
        results += [_result(subject.name, kind, together[kind], data, evaluation.seed) for kind in evaluation.settings]
        worst += Worst(subject.name, journal.worst(subject.name, data)).cases
    record = _record(evaluation, data, data_sha256, subjects, results)
    return Outcome(_with_differences(record, pairs), tuple(worst))


def evaluated(name: str, loaded: Loaded) -> Evaluated:
    """What the record says of a subject."""
    return Evaluated(name, loaded.subject, loaded.files, loaded.runs_on, loaded.changed)


def identity(loaded: Loaded) -> str:
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
