"""How far two answers are apart. Everything is computed in float64."""

import numpy as np


def _pair(reference: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(reference) != np.shape(candidate):
        raise ValueError(f"cannot compare shapes {np.shape(reference)} and {np.shape(candidate)}")
    return np.asarray(reference, np.float64), np.asarray(candidate, np.float64)


def psnr_db(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Peak signal-to-noise ratio: the reference's largest magnitude over the root mean square error, in dB.

    The definition of Apple's conversion projects (ml-stable-diffusion's ``compute_psnr``), so that thresholds can be
    compared. Infinite when equal, NaN when either holds NaN.
    """
    a, b = _pair(reference, candidate)
    error = float(np.sqrt(np.mean((a - b) ** 2)))
    peak = float(np.abs(a).max())
    if error == 0:
        return float("inf")
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(np.float64(peak) / error))


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


def mask_iou(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Intersection over union of two boolean masks; 1 when both are empty."""
    a, b = np.asarray(reference, bool), np.asarray(candidate, bool)
    if a.shape != b.shape:
        raise ValueError(f"cannot compare masks of shapes {a.shape} and {b.shape}")
    union = int((a | b).sum())
    return 1.0 if union == 0 else int((a & b).sum()) / union
