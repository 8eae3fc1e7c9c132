"""Which pixels of an edge map are where people drew a boundary: BSDS500's one-to-one matching.

David Martin's ``correspondPixels`` of the Berkeley benchmark, as defined and not as coded: two pixels may be paired
within a tolerance, a pair costs its distance, an unpaired pixel costs 100 tolerances, and the sum is least. Theirs
draws some edges of its graph at random to be fast; this one is exact, and gives the same counts every time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .thinning import thinned

TOLERANCE = 0.0075
"""Of the image's diagonal."""
_UNPAIRED = 100
"""Cost of an unpaired pixel, in tolerances."""
THRESHOLDS = tuple(number / 100 for number in range(1, 100))


@dataclass(frozen=True)
class Counts:
    """Pixels of one image, at each threshold."""

    found: tuple[int, ...]
    """Of the thinned edge map."""
    matched_found: tuple[int, ...]
    """Of these, that match a boundary of any annotator: over ``found`` they are the precision."""
    truth: int
    """Of all annotators' boundaries."""
    matched_truth: tuple[int, ...]
    """Of these, that match the edge map, summed over annotators: over ``truth`` they are the recall."""


def count(
    edges: np.ndarray,
    truths: Sequence[np.ndarray],
    thresholds: Sequence[float] = THRESHOLDS,
    tolerance: float = TOLERANCE,
) -> Counts:
    """Compare an edge map with every annotator's boundaries.

    Args:
        edges: (height, width) from 0 to 1.
        truths: (height, width) bool of each annotator.
        thresholds: at or above which an edge is one, rising.
        tolerance: of the image's diagonal.
    """
    from scipy.spatial import cKDTree

    radius = tolerance * float(np.hypot(*edges.shape))
    places = [np.argwhere(truth) for truth in truths]
    trees = [cKDTree(one) if len(one) else None for one in places]
    rows: list[tuple[int, int, int]] = []
    before: np.ndarray | None = None
    for threshold in thresholds:
        above = edges >= threshold
        if before is not None and np.array_equal(above, before):
            rows.append(rows[-1])
            continue
        before = above
        found = np.argwhere(thinned(above))
        anyone, matched_truth = np.zeros(len(found), bool), 0
        if len(found):
            mine = cKDTree(found)
            for tree in trees:
                if tree is not None:
                    matched = pair(mine, tree, radius) >= 0
                    anyone |= matched
                    matched_truth += int(matched.sum())  # one to one: as many on either side
        rows.append((len(found), int(anyone.sum()), matched_truth))
    columns = [tuple(column) for column in zip(*rows, strict=True)]
    return Counts(columns[0], columns[1], sum(map(len, places)), columns[2])


def pair(found: Any, truth: Any, radius: float) -> np.ndarray:
    """Pair pixels one to one at the least cost.

    Args:
        found: KD tree (`scipy.spatial.cKDTree`) of N pixels.
        truth: likewise of M.
        radius: in pixels, within which two may be paired.

    Returns:
        (N,) int64: the partner of each found pixel among the M, or -1.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    near = found.sparse_distance_matrix(truth, radius, output_type="ndarray")
    partners = np.full(found.n, -1, np.int64)
    if not len(near):
        return partners
    # Only pixels with a candidate take part; each may stay unpaired with a column of its own, so all can be matched.
    mine, rows = np.unique(near["i"], return_inverse=True)
    theirs, columns = np.unique(near["j"], return_inverse=True)
    alone = np.arange(len(mine))
    # Weights of zero are no edges to scipy. One more on every edge changes nothing: each row takes part once.
    weights = 1 + np.concatenate([near["v"], np.full(len(mine), _UNPAIRED * radius)])
    places = (np.concatenate([rows, alone]), np.concatenate([columns, len(theirs) + alone]))
    graph = csr_array((weights, places), shape=(len(mine), len(theirs) + len(mine)))
    row, column = min_weight_full_bipartite_matching(graph)
    paired = column < len(theirs)
    partners[mine[row[paired]]] = theirs[column[paired]]
    return partners
