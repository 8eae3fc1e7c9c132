"""All images of all sets, one subject after the other: each is encoded once, and what is done survives a kill."""

import datetime
import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lightsam.predictor import Predictor
from lightsam.prompts import Prompt
from lightsam.version import __version__
from lightsam_benchmarks import machine
from lightsam_benchmarks.quality.coco import encode
from lightsam_benchmarks.quality.dataset import Sample
from lightsam_benchmarks.quality.places import open_image_at
from lightsam_benchmarks.quality.predictions import PROMPTS_A_CALL
from lightsam_benchmarks.quality.run import evaluated, identity
from lightsam_benchmarks.quality.subjects import Candidate

from . import scoring
from .boxes import ScoredBox
from .journal import Journal, Line, opened
from .record import BoxSource, Difference, Mean, Record, Result, Set
from .request import BEST, JITTERED, Request
from .sets import InstanceSet
from .storage import write

OnStep = Callable[[str], None]
Masks = dict[str, tuple[str, ...]]
"""Compressed runs by the image's name, in the order of its boxes."""


def evaluate(
    candidates: Sequence[Candidate],
    sets: Sequence[InstanceSet],
    request: Request,
    output: Path,
    *,
    pairs: Sequence[tuple[str, str]] = (),
    overwrite: bool = False,
    on_step: OnStep = lambda _: None,
) -> Record:
    """Ask every subject for the masks of all boxes, measure them, and write the record.

    Args:
        candidates: the subjects; one at a time is in memory.
        sets: the images, their annotations and boxes.
        request: what is asked.
        output: the record's file.
        pairs: names of subjects that are to be compared, A and B.
        overwrite: whether a journal of another run may be thrown away.
        on_step: told of each image as it begins.

    Raises:
        ContractError: if the journal beside ``output`` is of another run, or a subject's files are damaged.
        CheckpointError: if a model's weights cannot be had.
        ImageError: if an image is damaged.
        WriteError: if nothing can be written.
    """
    hashes = {one.name: one.truth.data.sha256() for one in sets}
    names = [candidate.name for candidate in candidates]
    counts = {(one.name, image): len(boxes) for one in sets for image, boxes in one.boxes.of.items()}
    with opened(output, _digest(request, sets, hashes), counts, names, overwrite) as journal:
        subjects, results = [], []
        for candidate in candidates:
            loaded = candidate.load()
            subjects.append(evaluated(candidate.name, loaded))
            sha256 = identity(loaded)
            journal.check(candidate.name, sha256)
            for one in sets:
                lines = _answered(candidate.name, sha256, loaded.predictor, one, request, journal, on_step)
                results.append(_result(candidate.name, one, lines))
            del loaded  # before the next is loaded
        described = tuple(
            _set(one, files.annotations.name, hashes[one.name], request)
            for one, files in zip(sets, request.sets, strict=True)
        )
        record = Record(
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            lightsam=__version__,
            git=machine.git_state(),
            python=platform.python_version(),
            versions=machine.versions((*machine.ran_by(), "faster-coco-eval")),
            chip=machine.chip(),
            mask=request.mask,
            seed=request.seed,
            limit=request.limit,
            passed_over=request.passed_over,
            subjects=tuple(subjects),
            sets=described,
            results=tuple(results),
            means=tuple(_mean(name, results, described) for name in names if len(sets) > 1),
            differences=tuple(_difference(a, b, one, results, journal) for a, b in pairs for one in sets),
        )
        write(record, output)
    return record


def masks_of(
    predictor: Predictor, sample: Sample, boxes: Sequence[ScoredBox], mask: str
) -> tuple[tuple[str, ...], int]:
    """One mask a box of one image, which is encoded once.

    Args:
        predictor: of the subject.
        sample: the image.
        boxes: in it.
        mask: ``single`` or ``best``.

    Returns:
        Compressed runs in the order of the boxes, and how many answers had logits that are not finite.

    Raises:
        ImageError: if the image cannot be read.
    """
    encoding = predictor.encode(open_image_at(sample.path))
    masks: list[str] = []
    not_finite = 0
    for start in range(0, len(boxes), PROMPTS_A_CALL):
        prompts = [Prompt(box=one.box) for one in boxes[start : start + PROMPTS_A_CALL]]
        for found in predictor.predict_batch(encoding, prompts, multimask=mask == BEST, best_only=True):
            masks.append(encode(found.masks[0])["counts"])
            not_finite += not np.isfinite(found.low_res_masks).all()
    return tuple(masks), not_finite


def _answered(
    name: str,
    sha256: str,
    predictor: Predictor,
    one: InstanceSet,
    request: Request,
    journal: Journal,
    on_step: OnStep,
) -> list[Line]:
    """A line for every image that has a box."""
    samples = [sample for sample in one.truth.data.samples if sample.name in one.boxes.of]
    lines = []
    for number, sample in enumerate(samples, 1):
        on_step(f"{name}: {one.name}, image {number} of {len(samples)}")
        line = journal.line(name, one.name, sample.name)
        if line is None:
            masks, not_finite = masks_of(predictor, sample, one.boxes.of[sample.name], request.mask)
            line = Line(name, sha256, one.name, sample.name, masks, not_finite)
            journal.add(line)
        lines.append(line)
    return lines


def _result(name: str, one: InstanceSet, lines: Sequence[Line]) -> Result:
    masks: Masks = {line.image: line.masks for line in lines}
    precision, by_category = scoring.of_masks(one, masks)
    nothing = {sample.name: _empty(sample.size) for sample in one.truth.data.samples if sample.name in masks}
    empty = sum(counts == nothing[image] for image, found in masks.items() for counts in found)
    return Result(name, one.name, precision, empty, sum(line.not_finite for line in lines), by_category)


def _empty(size: tuple[int, int]) -> str:
    """Runs of a mask of this width and height without a pixel."""
    return encode(np.zeros(size[::-1], bool))["counts"]


def _set(one: InstanceSet, annotations: str, sha256: str, request: Request) -> Set:
    moved = one.boxes.source == JITTERED
    return Set(
        name=one.name,
        annotations=annotations,
        rules="lvis" if one.truth.lvis else "coco",
        images=len(one.truth.data.samples),
        objects=len(one.truth.annotations) - one.truth.crowds,
        crowds=one.truth.crowds,
        sha256=sha256,
        boxes=BoxSource(
            one.boxes.source,
            one.boxes.file,
            one.boxes.sha256,
            request.shift if moved else None,
            request.scale if moved else None,
            one.boxes.count,
            {what: count for what, count in one.boxes.dropped.items() if count},
            scoring.of_boxes(one),
        ),
    )


def _mean(subject: str, results: Sequence[Result], sets: Sequence[Set]) -> Mean:
    mine = [one.precision for one in results if one.subject == subject]
    rows = (
        [one.ap for one in mine],
        [one.ap50 for one in mine],
        [one.ap75 for one in mine],
        [one.boxes.precision.ap for one in sets],
    )
    return Mean(subject, len(sets), *(round(float(np.mean(row)), scoring.DIGITS) for row in rows))


def _difference(a: str, b: str, one: InstanceSet, results: Sequence[Result], journal: Journal) -> Difference:
    ap_a, ap_b = (next(r.precision.ap for r in results if (r.subject, r.set) == (name, one.name)) for name in (a, b))
    ious: list[float] = []
    for sample in one.truth.data.samples:
        mine, theirs = (journal.line(name, one.name, sample.name) for name in (a, b))
        if mine is not None and theirs is not None:
            ious += scoring.overlaps(mine.masks, theirs.masks, sample.size)
    return Difference(
        a,
        b,
        one.name,
        ap_a,
        ap_b,
        round(ap_b - ap_a, scoring.DIGITS),
        round(float(np.mean(ious)), scoring.DIGITS),
        round(min(ious), scoring.DIGITS),
    )


def _digest(request: Request, sets: Sequence[InstanceSet], hashes: Mapping[str, str]) -> str:
    facts = [(one.name, hashes[one.name], one.boxes.fingerprint()) for one in sets]
    return hashlib.sha256(repr((__version__, request.mask, facts)).encode()).hexdigest()
