"""What is done with an image of a set, which is encoded once a subject, and the record of all of them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lightsam.predictor import Predictor
from lightsam.prompts import Prompt
from lightsam.version import __version__
from lightsam_benchmarks import machine
from lightsam_benchmarks.journals import Form, Journal
from lightsam_benchmarks.quality.coco import encode
from lightsam_benchmarks.quality.dataset import Sample
from lightsam_benchmarks.quality.places import open_image_at
from lightsam_benchmarks.quality.predictions import PROMPTS_A_CALL
from lightsam_benchmarks.quality.record import Evaluated
from lightsam_benchmarks.quality.subjects import Loaded

from . import scoring
from .boxes import ScoredBox
from .journal import Line, form, key_of
from .record import BoxSource, Difference, Mean, Record, Result, Set
from .request import BEST, JITTERED, Request
from .sets import InstanceSet
from .storage import write

Masks = dict[str, tuple[str, ...]]
"""Compressed runs by the image's name, in the order of its boxes."""


@dataclass(frozen=True)
class Instances:
    """Masks for boxes, as a `lightsam_benchmarks.evaluations.Task`; its images are those of all sets."""

    sets: tuple[InstanceSet, ...]
    """The images, their annotations and boxes."""
    request: Request

    @property
    def samples(self) -> dict[str, Sample]:
        """By `journal.key_of`; also those without a box, which are not encoded."""
        return {key_of(one.name, sample.name): sample for one in self.sets for sample in one.truth.data.samples}

    @property
    def boxes(self) -> dict[str, tuple[ScoredBox, ...]]:
        """Of every image, by its key."""
        return {
            key_of(one.name, sample.name): one.boxes.of.get(sample.name, ())
            for one in self.sets
            for sample in one.truth.data.samples
        }

    def part(self, start: int, end: int) -> "Instances":
        """The images from ``start`` to before ``end`` of all sets, without annotations, which are `gather`'s."""
        parts = []
        for one in self.sets:
            count = len(one.truth.data.samples)
            if start < count and end > 0:
                parts.append(one.part(max(0, start), min(end, count)))
            start, end = start - count, end - count
        return replace(self, sets=tuple(parts))

    def digest(self, images: Mapping[str, str]) -> str:
        """See `Task.digest`."""
        facts = [(one.name, _sha256(one, images), one.boxes.fingerprint()) for one in self.sets]
        return hashlib.sha256(repr((__version__, self.request.mask, facts)).encode()).hexdigest()

    def form(self, run: str) -> Form[Line]:
        """Of the journal."""
        return form(run, {key: len(boxes) for key, boxes in self.boxes.items()})

    def scorer(self, name: str, loaded: Loaded, journal: Journal[Line]) -> Callable[[str, str], Line]:
        """What answers an image's boxes, given its key and the sha256 of its file.

        Returns:
            A function that raises ImageError if the image is damaged.
        """
        sha256, samples, boxes = loaded.identity, self.samples, self.boxes
        sets = {key_of(one.name, sample.name): one.name for one in self.sets for sample in one.truth.data.samples}

        def line_of(key: str, image_sha256: str) -> Line:
            sample, asked = samples[key], boxes[key]
            masks, not_finite = masks_of(loaded.predictor, sample, asked, self.request.mask) if asked else ((), 0)
            return Line(name, sha256, sets[key], sample.name, masks, not_finite, image_sha256)

        return line_of

    def gather(
        self,
        subjects: Sequence[Evaluated],
        images: Mapping[str, str],
        journal: Journal[Line],
        pairs: Sequence[tuple[str, str]],
    ) -> Record:
        """The record of what a journal holds; see `Task.gather`."""
        request = self.request
        results = [
            _result(subject.name, one, _lines(journal, subject.name, one)) for subject in subjects for one in self.sets
        ]
        described = tuple(
            _set(one, files.annotations.name, _sha256(one, images), request)
            for one, files in zip(self.sets, request.sets, strict=True)
        )
        return Record(
            **machine.origin("faster-coco-eval"),
            mask=request.mask,
            seed=request.seed,
            limit=request.limit,
            passed_over=request.passed_over,
            subjects=tuple(subjects),
            sets=described,
            results=tuple(results),
            means=tuple(_mean(one.name, results, described) for one in subjects if len(self.sets) > 1),
            differences=tuple(_difference(a, b, one, results, journal) for a, b in pairs for one in self.sets),
        )

    def write(self, outcome: Record, output: Path) -> None:
        """Write the record; raises WriteError if the system refuses."""
        write(outcome, output)


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


def _lines(journal: Journal[Line], subject: str, one: InstanceSet) -> list[Line]:
    """A line for every image of a set, in the order of the data."""
    return journal.lines(subject, (key_of(one.name, sample.name) for sample in one.truth.data.samples))


def _sha256(one: InstanceSet, images: Mapping[str, str]) -> str:
    """Of a set's images and annotations, from the sha256 of the images' files by their keys."""
    names = (sample.name for sample in one.truth.data.samples)
    return one.truth.data.sha256({name: images[key_of(one.name, name)] for name in names})


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


def _difference(a: str, b: str, one: InstanceSet, results: Sequence[Result], journal: Journal[Line]) -> Difference:
    ap_a, ap_b = (next(r.precision.ap for r in results if (r.subject, r.set) == (name, one.name)) for name in (a, b))
    ious: list[float] = []
    pairs = zip(_lines(journal, a, one), _lines(journal, b, one), strict=True)
    for sample, (mine, theirs) in zip(one.truth.data.samples, pairs, strict=True):
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
