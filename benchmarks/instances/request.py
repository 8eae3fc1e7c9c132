"""What an evaluation of instances asks: sets, where boxes come from, and which mask answers one."""

from dataclasses import dataclass

from lightsam.errors import UsageError
from lightsam_benchmarks.quality.places import Place

SINGLE, BEST = "single", "best"
"""Mask 0, as `lightsam predict` gives for a box; or the best of masks 1 to 3 by predicted IoU, as the evaluations of
TinySAM and EfficientViT-SAM take."""
MASKS = (SINGLE, BEST)
GROUND_TRUTH, JITTERED, DETECTIONS = "ground-truth", "jittered", "detections"
SHIFT, SCALE = 0.1, 0.1
"""Of jittered boxes, where nothing else is said."""


@dataclass(frozen=True)
class SetFiles:
    """Where one set lies."""

    name: str
    annotations: Place
    """As COCO's or LVIS's."""
    images: Place
    """Folder of the images."""
    boxes: Place | None
    """In COCO's format of results; None for boxes that are made of the annotations."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of every subject."""

    sets: tuple[SetFiles, ...]
    boxes: str
    """``detections``, ``ground-truth`` or ``jittered``."""
    mask: str = SINGLE
    limit: int | None = None
    """Images of each set, drawn by ``seed``; None for all."""
    seed: int = 0
    """Of the sample and of the jitter."""
    shift: float = SHIFT
    """Of jittered boxes: how far the centre moves at most, as a share of the box's sides."""
    scale: float = SCALE
    """Of jittered boxes: by how much each side grows or shrinks at most, as a share of it."""
    passed_over: tuple[str, ...] = ()
    """Folders beside those of the sets that hold no annotations."""

    def __post_init__(self) -> None:
        if self.mask not in MASKS:
            raise UsageError(f"there is no choice of masks {self.mask!r}; choose from: {', '.join(MASKS)}")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit is 1 image at least, not {self.limit}")
        if self.seed < 0:
            raise UsageError(f"--seed is a whole number from 0 on, not {self.seed}")
        for name in ("shift", "scale"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"--{name} is a share from 0 to below 1, not {getattr(self, name):g}")
