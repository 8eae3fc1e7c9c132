"""What is recorded of one export: a row for each stage, and one for both."""

from dataclasses import dataclass, field
from typing import Any

from lightsam.stages import STAGE_NAMES
from lightsam.weights.checkpoints import Weights
from lightsam_benchmarks.latency.summary import Ratio

BOTH = "both"
"""The row of both stages together; the others have a stage's name."""
SCOPES = (*STAGE_NAMES, BOTH)


@dataclass(frozen=True)
class Masks:
    """Masks against ground truth, of one kind of prompt."""

    prompts: str
    """``box``, ``point`` or ``clicks``."""
    miou: float
    ious: tuple[float, ...]
    """Of every object, in the order of `Truth`."""


@dataclass(frozen=True)
class Row:
    """One stage of an export whose other stage is PyTorch's, or both stages of it."""

    scope: str
    """``encoder``, ``decoder`` or ``both``."""
    size_bytes: int
    coverage: float | None
    """Share of its weights in 8 bits or fewer, counted in the file; None where it does not tell."""
    psnr_db: float | None
    """The worst of its outputs against PyTorch's by the judge's quick suite; None where all are exact."""
    mask_iou: float | None
    """The worst of the masks that a user is shown, likewise; None for an encoder alone, which gives none."""
    masks: tuple[Masks, ...] = ()
    """Against ground truth; empty where none was given, or the weights are untrained."""
    speed: Ratio | None = None
    """How many times as fast as the same stage in float32 of the same format, by pairs of turns, with its interval at
    95 %; None where it was not timed."""
    not_timed: str = ""
    """Why, in a sentence; empty if it was."""


@dataclass(frozen=True)
class Truth:
    """The ground truth of a sweep, so that its rows can be compared object by object."""

    data: str
    """Name of the data set."""
    sha256: str
    """Of images and annotations."""
    images: tuple[str, ...]
    """The image that each object is in."""


@dataclass(frozen=True)
class Measured:
    """One point of a sweep."""

    model: str
    image_size: int
    format: str
    precision: str
    """Of both stages: the decoder is compressed, too."""
    weights: Weights
    options: dict[str, Any]
    """That the export was made with."""
    judge: str
    """Who ran the files when they were judged; empty for PyTorch."""
    passed: bool
    """Whether they reached the gates of their precision."""
    failures: tuple[str, ...]
    """What they failed by, in words."""
    rows: tuple[Row, ...]
    truth: Truth | None = None
    runs_on: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that ran it."""

    @property
    def name(self) -> str:
        """Of the export, such as ``onnx-w8a8``."""
        return f"{self.format}-{self.precision}"

    def row(self, scope: str) -> Row | None:
        """The row of a stage or of both."""
        return next((row for row in self.rows if row.scope == scope), None)
