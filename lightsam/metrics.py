"""How far a prediction is from a reference, as numbers and as masks. Everything is computed in float64."""

import math

import numpy as np


def _pair(reference: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(reference) != np.shape(candidate):
        raise ValueError(f"cannot compare shapes {np.shape(reference)} and {np.shape(candidate)}")
    return np.asarray(reference, np.float64), np.asarray(candidate, np.float64)


def psnr_db(reference: np.ndarray, candidate: np.ndarray, least_peak: float = 0.0) -> float:
    """Peak signal-to-noise ratio: the reference's largest magnitude over the root mean square error, in dB.

    The definition of Apple's conversion projects (ml-stable-diffusion's ``compute_psnr``), so that thresholds can be
    compared. Infinite when equal, NaN when either holds NaN.

    Args:
        reference: of any shape.
        candidate: of the same.
        least_peak: stands for the reference's largest magnitude where that is smaller.
    """
    a, b = _pair(reference, candidate)
    error = float(np.sqrt(np.mean((a - b) ** 2)))
    peak = max(float(np.abs(a).max()), least_peak)
    if error == 0:
        return float("inf")
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(np.float64(peak) / error))


def sqnr_db(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Signal-to-quantisation-noise ratio: the energy of the reference over that of the error, in dB.

    Infinite when equal, NaN when either holds NaN, minus infinity for a reference of zeros.
    """
    a, b = _pair(reference, candidate)
    error = float(((a - b) ** 2).sum())
    if error == 0:
        return float("inf")
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.float64((a**2).sum()) / error))


def cosine(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Cosine of the angle between the two as vectors; 1 for two zero vectors, NaN when either holds NaN."""
    a, b = (array.ravel() for array in _pair(reference, candidate))
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0:
        return 1.0 if np.array_equal(a, b) else 0.0
    return float(a @ b / norms)


def max_abs_error(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Largest absolute difference; NaN when either holds NaN."""
    a, b = _pair(reference, candidate)
    return float(np.abs(a - b).max())


def mean_abs_error(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Mean absolute difference; NaN when either holds NaN."""
    a, b = _pair(reference, candidate)
    return float(np.abs(a - b).mean())


def _masks(reference: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(reference, bool), np.asarray(candidate, bool)
    if a.shape != b.shape:
        raise ValueError(f"cannot compare masks of shapes {a.shape} and {b.shape}")
    return a, b


def mask_iou(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Intersection over union of two boolean masks; 1 when both are empty."""
    a, b = _masks(reference, candidate)
    union = int((a | b).sum())
    return 1.0 if union == 0 else int((a & b).sum()) / union


def flipped_pixels(reference: np.ndarray, candidate: np.ndarray) -> int:
    """Pixels that are in one of two boolean masks and not in the other."""
    a, b = _masks(reference, candidate)
    return int((a != b).sum())


def boundary_iou(reference: np.ndarray, candidate: np.ndarray, width: float = 0.02) -> float:
    """IoU of what lies in two (height, width) masks within a band along their own outlines; 1 when both are empty.

    Boundary IoU (https://arxiv.org/abs/2103.16562): unlike `mask_iou` it does not forgive a ragged edge of a large
    object. The edge of the image counts as an outline.

    Args:
        width: of the band, as a part of the image's diagonal; one pixel at least.
    """
    a, b = _masks(reference, candidate)
    distance = band_width(a.shape, width)
    return mask_iou(outline_band(a, distance), outline_band(b, distance))


def band_width(shape: tuple[int, ...], width: float = 0.02) -> int:
    """Pixels of `boundary_iou`'s band in a (height, width) mask."""
    return max(1, round(width * math.hypot(*shape)))


def outline_band(mask: np.ndarray, distance: int) -> np.ndarray:
    """The pixels of a mask that have a pixel outside it within ``distance`` rows and columns.

    What lies beyond the edge of the array counts as outside, so a mask may be cropped to its extent.
    """
    side = 2 * distance + 1
    # Sums over squares, from a table of sums: a pixel whose square is full lies inside.
    table = np.pad(mask.astype(np.int32), distance).cumsum(0).cumsum(1)
    table = np.pad(table, ((1, 0), (1, 0)))
    sums = table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
    return mask & (sums < side * side)


def stability_score(logits: np.ndarray, offset: float = 1.0) -> float:
    """How little a mask depends on its threshold: the IoU of the masks at a higher and at a lower one.

    segment-anything's ``calculate_stability_score``, with the offset of its automatic mask generator
    (https://github.com/facebookresearch/segment-anything, ``segment_anything/utils/amg.py``).

    Args:
        logits: (height, width) at the image's size; the threshold is 0.
        offset: how far the two thresholds are from 0, in logits.

    Returns:
        0..1; 1 if no logit is within the offset of 0, an empty mask included.
    """
    return mask_iou(logits > offset, logits > -offset)


def same_order(reference: np.ndarray, candidate: np.ndarray, tolerance: float) -> bool:
    """Whether two rows of scores have the same ranking; scores whose references differ by at most ``tolerance`` tie."""
    a, b = _pair(reference, candidate)
    apart = a[:, None] - a[None] > tolerance
    return bool((b[:, None] > b[None])[apart].all())


def same_best(reference: np.ndarray, candidate: np.ndarray, tolerance: float) -> bool:
    """Whether the candidate's best choice is as good by the reference's scores, to ``tolerance``."""
    a, b = _pair(reference, candidate)
    return bool(np.isfinite(b).all() and a[b.argmax()] >= a.max() - tolerance)
