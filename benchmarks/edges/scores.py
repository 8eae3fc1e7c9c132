"""ODS, OIS, AP and R50 of counted pixels, as BSDS500's own benchmark makes them (its ``collect_eval_bdry``)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .matching import THRESHOLDS, Counts

DIGITS = 5


@dataclass(frozen=True)
class Scores:
    """Of one subject on all images; shares from 0 to 1."""

    ods: float
    """Best F-measure with one threshold for all images (optimal data set scale), interpolated between thresholds."""
    ods_threshold: float
    """That threshold."""
    ois: float
    """F-measure of the counts that each image has at its own best threshold (optimal image scale)."""
    ap: float
    """Average precision: the mean of the precision at recalls 0, .01, ... 1, interpolated on the curve; where the curve
    has no such recall, below its first point and beyond its last, the precision counts as 0."""
    r50: float
    """Greatest recall at a precision of 0.5."""
    precision: tuple[float, ...]
    """At each threshold."""
    recall: tuple[float, ...]
    """Likewise."""


def scores(images: Sequence[Counts], thresholds: Sequence[float] = THRESHOLDS) -> Scores:
    """Add up the counts of all images.

    Args:
        images: each with a count a threshold.
        thresholds: rising.
    """
    # (4, thresholds): matched truth, truth, matched found, found.
    total = np.sum([_columns(one) for one in images], axis=0)
    recall, precision = _ratios(total)
    ods, threshold = _best(np.asarray(thresholds), recall, precision)
    bests = []
    for one in images:
        columns = _columns(one)
        bests.append(columns[:, int(np.argmax(f_measure(*_ratios(columns))))])
    ois = float(f_measure(*_ratios(np.sum(bests, axis=0))))
    return Scores(
        ods=round(ods, DIGITS),
        ods_threshold=round(threshold, DIGITS),
        ois=round(ois, DIGITS),
        ap=round(average_precision(recall, precision), DIGITS),
        r50=round(recall_at(0.5, recall, precision), DIGITS),
        precision=tuple(round(float(value), DIGITS) for value in precision),
        recall=tuple(round(float(value), DIGITS) for value in recall),
    )


def _columns(one: Counts) -> np.ndarray:
    truth = [one.truth] * len(one.found)
    return np.array([one.matched_truth, truth, one.matched_found, one.found], np.int64)


def _ratios(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision; 0 where there is nothing."""
    return columns[0] / np.maximum(columns[1], 1), columns[2] / np.maximum(columns[3], 1)


def f_measure(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Harmonic mean; 0 where both are 0."""
    both = recall + precision
    return 2 * recall * precision / np.where(both == 0, 1, both)


def _best(thresholds: np.ndarray, recall: np.ndarray, precision: np.ndarray) -> tuple[float, float]:
    """Best F-measure, and its threshold, on straight lines of 100 points between neighbouring thresholds."""
    if len(thresholds) == 1:
        return float(f_measure(recall, precision)[0]), float(thresholds[0])
    part = np.linspace(0, 1, 100)
    t, r, p = (np.outer(one[1:], part) + np.outer(one[:-1], 1 - part) for one in (thresholds, recall, precision))
    f = f_measure(r, p)
    at = np.unravel_index(int(f.argmax()), f.shape)
    return float(f[at]), float(t[at])


def average_precision(recall: np.ndarray, precision: np.ndarray) -> float:
    """See `Scores.ap`; of points with the same recall the one with the highest precision counts."""
    known, where = np.unique(recall, return_inverse=True)
    if len(known) < 2:
        return 0.0
    highest = np.zeros(len(known))
    np.maximum.at(highest, where, precision)
    return float(np.interp(np.arange(101) / 100, known, highest, left=0, right=0).sum() / 100)


def recall_at(least: float, recall: np.ndarray, precision: np.ndarray) -> float:
    """Greatest recall with a precision of ``least`` or more, on a curve whose points straight lines join."""
    reached = [float(value) for value in recall[precision >= least]]
    for r, p, r2, p2 in zip(recall, precision, recall[1:], precision[1:], strict=False):
        if (p < least) != (p2 < least):
            reached.append(float(r + (r2 - r) * (least - p) / (p2 - p)))
    return max(reached, default=0.0)
