"""The record of instances by boxes: every field documented here and in `docs/schemas.md` (a test holds both together).

Average precisions are shares from 0 to 1, rounded to five digits. Files are named without the folders that they lie in.
"""

from dataclasses import dataclass, field

from lightsam_benchmarks.latency.record import GitState
from lightsam_benchmarks.quality.record import Evaluated

SCHEMA = 1
"""Raised when a field changes its name or meaning."""


@dataclass(frozen=True)
class Precision:
    """Average precision as COCO (https://cocodataset.org/#detection-eval) or LVIS defines it."""

    ap: float
    """Mean over IoUs of 0.5 to 0.95, and over the categories that have an annotation."""
    ap50: float
    """At an IoU of 0.5."""
    ap75: float
    ap_small: float | None
    """Of objects below 32² pixels, by the annotations' areas; null if there is none."""
    ap_medium: float | None
    """Below 96²."""
    ap_large: float | None
    ar: float
    """Average recall, of the best 100 boxes of an image and category; of LVIS, of the best 300 of an image."""
    ap_rare: float | None
    """Of LVIS's rare categories; null elsewhere."""
    ap_common: float | None
    ap_frequent: float | None


@dataclass(frozen=True)
class CategoryScore:
    """One category's average precision."""

    id: int
    """As the annotations number it."""
    name: str
    ap: float


@dataclass(frozen=True)
class BoxSource:
    """Where a set's boxes come from."""

    source: str
    """``detections``, ``ground-truth`` or ``jittered``."""
    file: str | None
    """Name of the detector's file; null for boxes that were made of the annotations."""
    sha256: str
    """Of the detector's file; else of the boxes themselves."""
    shift: float | None
    """Of jittered boxes: how far the centre moved at most, as a share of the box's sides; null for others."""
    scale: float | None
    """Of jittered boxes: by how much each side grew or shrank at most."""
    count: int
    """Boxes that were asked."""
    dropped: dict[str, int]
    """What was left out, by reason: boxes without an area in their image, crowds as boxes, those beyond LVIS's 300."""
    precision: Precision
    """Of the boxes themselves, with the boxes of the annotations."""


@dataclass(frozen=True)
class Set:
    """What was evaluated on."""

    name: str
    """Of the annotation file, or of the set's folder."""
    annotations: str
    """Name of the file."""
    rules: str
    """``coco`` or ``lvis``."""
    images: int
    """Also those without a box or an annotation."""
    objects: int
    """Annotations that are no crowds."""
    crowds: int
    """What lies on them counts neither for nor against."""
    sha256: str
    """Of the images and their annotations."""
    boxes: BoxSource


@dataclass(frozen=True)
class Result:
    """One subject on one set."""

    subject: str
    set: str
    precision: Precision
    """Of the masks, with the boxes' scores."""
    empty: int
    """Masks without a pixel."""
    not_finite: int
    """Answers with NaN or infinite logits."""
    by_category: tuple[CategoryScore, ...]


@dataclass(frozen=True)
class Mean:
    """One subject over all sets, each set counting the same."""

    subject: str
    sets: int
    ap: float
    ap50: float
    ap75: float
    boxes_ap: float
    """Of the boxes themselves."""


@dataclass(frozen=True)
class Difference:
    """Two subjects asked about the same boxes of one set."""

    a: str
    b: str
    set: str
    ap_a: float
    ap_b: float
    difference: float
    """B less A."""
    mask_iou: float
    """Mean IoU of A's masks with B's."""
    least_mask_iou: float


@dataclass(frozen=True)
class Record:
    """One run."""

    created: str
    """ISO 8601, UTC."""
    lightsam: str
    """Version."""
    git: GitState | None
    """Null outside a clone."""
    python: str
    versions: dict[str, str]
    """Of the packages that ran and measured."""
    chip: str
    """It may change what a runtime computes, in the last digits."""
    mask: str
    """``single``: mask 0, as for a box in `lightsam predict`; ``best``: of masks 1 to 3 the best by predicted IoU."""
    seed: int
    """Of the sample and of the jitter."""
    limit: int | None
    """Images of each set that were asked for, drawn by the seed; null for all."""
    passed_over: tuple[str, ...]
    """Folders beside the sets that hold no annotations."""
    subjects: tuple[Evaluated, ...]
    sets: tuple[Set, ...]
    results: tuple[Result, ...]
    means: tuple[Mean, ...] = ()
    """Over several sets; none for one."""
    differences: tuple[Difference, ...] = ()
    """What ``--vs`` found."""
    schema: int = field(default=SCHEMA)

    def result(self, subject: str, name: str) -> Result:
        """What one subject did on one set.

        Raises:
            KeyError: if it is not in the record.
        """
        for one in self.results:
            if (one.subject, one.set) == (subject, name):
                return one
        raise KeyError((subject, name))
