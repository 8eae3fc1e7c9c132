"""The record of an evaluation: every field documented here and in `docs/schemas.md` (a test holds the two together).

IoUs are shares from 0 to 1, rounded to five digits. Files are named without the folders that they lie in.
"""

from dataclasses import dataclass, field

from lightsam_benchmarks.latency.record import GitState, Subject

from .evaluation import Protocol

SCHEMA = 1
"""Raised when a field changes its name or meaning."""


@dataclass(frozen=True)
class Data:
    """What was evaluated on."""

    name: str
    """Of the annotation file or folder."""
    kind: str
    """``coco``, ``masks`` or ``bsds``."""
    images: int
    """Their number, with one object at least."""
    objects: int
    limit: int | None
    """Images that were asked for, drawn by the seed; null for all."""
    annotator: str | None
    """Of BSDS500: a number from 1, or ``all``; null elsewhere."""
    dropped: dict[str, int]
    """What was left out of the whole data, by reason: crowds, empty or small objects, images without objects."""
    sha256: str
    """Of the images and their ground truth."""


@dataclass(frozen=True)
class Evaluated:
    """A model, or an export, that was evaluated."""

    name: str
    """What `Result.subject` calls it."""
    about: Subject
    files: dict[str, str]
    """sha256 of each stage's file as it was run; empty for PyTorch."""
    runs_on: str
    """Runtime and unit, or lightsam's evaluator and its numerics."""
    changed: bool
    """Whether a file is no longer the one that its manifest describes."""


@dataclass(frozen=True)
class Object:
    """One object of the ground truth."""

    image: str
    """File name."""
    id: str
    """Of the annotation; of a label image the value; of BSDS500 annotator and region."""
    label: str
    """Its category, where the data name one."""
    area: int
    """Pixels of its mask."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies it in another record; the same place with another mask is another object."""
        return (self.image, self.id, self.area)


@dataclass(frozen=True)
class SizeScore:
    """Objects of one size together."""

    objects: int
    miou: float
    boundary_iou: float


@dataclass(frozen=True)
class Reached:
    """Clicks to an IoU."""

    clicks: float
    """Mean number of clicks; an object that never gets there counts as all of its clicks."""
    share: float
    """Of the objects, that get there."""


@dataclass(frozen=True)
class Result:
    """One subject, asked with one kind of prompt."""

    subject: str
    """Name of the subject."""
    prompts: str
    """``box``, ``point`` or ``clicks``."""
    miou: float
    """Mean IoU over objects; of clicks, after the last."""
    interval: tuple[float, float] | None
    """Of the mean at 95 %, by the bootstrap over images; null for a single image."""
    boundary_iou: float
    """Mean boundary IoU over objects."""
    by_size: dict[str, SizeScore]
    """COCO's sizes: ``small`` below 32², ``medium`` below 96², ``large``; those that there are."""
    after_click: tuple[float, ...]
    """Mean IoU after each click; empty for other prompts."""
    noc: dict[str, Reached]
    """By the IoU that is to be reached, in percent; empty for other prompts."""
    not_finite: int
    """Answers with NaN or infinite logits."""
    ious: tuple[float, ...]
    """Of every object, in the order of the record's objects."""
    boundary_ious: tuple[float, ...]
    """Likewise."""
    click_ious: tuple[tuple[float, ...], ...]
    """Of every object after each click; empty for other prompts."""


@dataclass(frozen=True)
class Difference:
    """Two subjects on the same objects."""

    a: str
    b: str
    """Names; of two records, each with its record's."""
    prompts: str
    objects: int
    images: int
    miou_a: float
    miou_b: float
    difference: float
    """B less A."""
    interval: tuple[float, float] | None
    """Of the difference at 95 %, by the paired bootstrap over images; null for a single image."""
    largest_loss: float
    """Of a single object: its IoU by A less that by B; 0 if none loses."""

    @property
    def is_noise(self) -> bool:
        """Whether both may well be equally good."""
        return self.interval is None or self.interval[0] <= 0 <= self.interval[1]

    def is_lost(self, margin: float) -> bool:
        """Whether B is worse, beyond noise, by more than ``margin``."""
        return not self.is_noise and -self.difference > margin


@dataclass(frozen=True)
class Record:
    """One evaluation."""

    created: str
    """UTC, ISO 8601."""
    lightsam: str
    """Its version."""
    git: GitState | None
    """Of the clone that lightsam ran from; null if it was installed."""
    python: str
    versions: dict[str, str]
    """Of the packages that ran it."""
    chip: str
    """Of the machine."""
    data: Data
    protocol: Protocol
    clicks: int
    """On each object; 0 for none."""
    seed: int
    """Of the sample, of random clicks and of the bootstrap."""
    subjects: tuple[Evaluated, ...]
    objects: tuple[Object, ...]
    results: tuple[Result, ...]
    differences: tuple[Difference, ...] = ()
    """What ``--vs`` found."""
    schema: int = field(default=SCHEMA)

    def result(self, subject: str, prompts: str) -> Result | None:
        """What one subject did with one kind of prompt."""
        return next((one for one in self.results if (one.subject, one.prompts) == (subject, prompts)), None)
