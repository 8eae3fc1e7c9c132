"""Morphological thinning: lines of any width become lines of one pixel, and nothing is torn.

Z. Guo and R. Hall, "Parallel Thinning with Two-Subiteration Algorithms", 1989, https://doi.org/10.1145/62065.62074,
the first of their two algorithms, which is also MATLAB's ``bwmorph(..., 'thin', Inf)``, by which BSDS500 thins.
"""

from functools import cache

import numpy as np

_AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Row and column of the neighbours, from the right on against the clock."""


def thinned(mask: np.ndarray) -> np.ndarray:
    """Thin a mask until nothing changes.

    Args:
        mask: (height, width) bool.

    Returns:
        (height, width) bool, a part of the mask.
    """
    padded = np.pad(np.asarray(mask, bool), 1)
    flat = padded.reshape(-1).view(np.uint8)
    steps = np.array([row * padded.shape[1] + column for row, column in _AROUND])
    weights = 1 << np.arange(8)
    there = np.flatnonzero(flat)  # pixels of the mask alone are looked at: they are few
    while True:
        count = len(there)
        for removed in _tables():
            gone = removed[flat[there[:, None] + steps] @ weights]
            flat[there[gone]] = 0
            there = there[~gone]
        if len(there) == count:
            return padded[1:-1, 1:-1].copy()


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """(256,) bool, by neighbours as bits: what the first and the second half of a step take away."""
    x = np.arange(256)[:, None] >> np.arange(8) & 1 == 1  # (256, 8): is there a neighbour
    even, odd = x[:, 1::2], x[:, 0::2]
    # Removing it tears nothing apart.
    one_piece = (~odd & (even | np.roll(odd, -1, axis=1))).sum(axis=1) == 1
    pairs = np.minimum((odd | even).sum(axis=1), (even | np.roll(odd, -1, axis=1)).sum(axis=1))
    ends = (pairs >= 2) & (pairs <= 3)  # neither the end of a line nor inside an area
    first = ~((x[:, 1] | x[:, 2] | ~x[:, 7]) & x[:, 0])
    second = ~((x[:, 5] | x[:, 6] | ~x[:, 3]) & x[:, 4])
    return one_piece & ends & first, one_piece & ends & second
