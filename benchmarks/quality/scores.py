"""How good masks are: IoU and boundary IoU of one, and what is said of many."""

from collections.abc import Sequence

import numpy as np

from lightsam.metrics import band_width, outline_band

from .prompts import extent

SIZES = (("small", 0, 32**2), ("medium", 32**2, 96**2), ("large", 96**2, None))
"""COCO's, by the pixels of a mask: up to, and not including, the second number."""
NOC_TARGETS = (0.85, 0.90)
"""IoUs that clicks are counted to."""
DIGITS = 5
"""Of a recorded IoU: a millionth of a large object is less than one of its pixels."""


class Target:
    """One object's mask, with what every answer to it is measured by."""

    def __init__(self, mask: np.ndarray) -> None:
        """Take a (height, width) bool mask with a pixel at least."""
        self.mask = mask
        self._area = int(np.count_nonzero(mask))
        self._width = band_width(mask.shape)
        self._band = _band(mask, self._width)
        self._band_area = int(np.count_nonzero(self._band))

    def iou(self, found: np.ndarray) -> float:
        """Intersection over union with a mask of the same size."""
        return _ratio(self.mask, self._area, found)

    def boundary_iou(self, found: np.ndarray) -> float:
        """The same along the outlines, see `lightsam.metrics.boundary_iou`."""
        return _ratio(self._band, self._band_area, _band(found, self._width))


def _ratio(truth: np.ndarray, area: int, found: np.ndarray) -> float:
    if truth.shape != found.shape:
        raise ValueError(f"cannot compare masks of shapes {truth.shape} and {found.shape}")
    common = int(np.count_nonzero(truth & found))
    return round(common / (area + int(np.count_nonzero(found)) - common), DIGITS)


def _band(mask: np.ndarray, width: int) -> np.ndarray:
    """`outline_band`, computed where the mask is: most objects are much smaller than their image."""
    band = np.zeros_like(mask)
    if mask.any():
        rows, columns = extent(mask)
        band[rows, columns] = outline_band(mask[rows, columns], width)
    return band


def size_of(area: int) -> str:
    """Small, medium or large."""
    return next(name for name, least, below in SIZES if area >= least and (below is None or area < below))


def clicks_to(target: float, ious: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Number of clicks to a target (NoC), and the share of objects that get there.

    Args:
        target: an IoU.
        ious: of every object after each click.

    Returns:
        The mean over objects; one that never gets there counts as all its clicks, as in RITM.
    """
    reached = [next((n for n, iou in enumerate(row, 1) if iou >= target), None) for row in ious]
    counts = [len(row) if n is None else n for n, row in zip(reached, ious, strict=True)]
    return float(np.mean(counts)), float(np.mean([n is not None for n in reached]))
