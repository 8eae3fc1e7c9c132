"""Boundaries as BSDS500 keeps them."""

from pathlib import Path

import numpy as np
from scipy.io import savemat


def write_boundaries(path: Path, maps: list[np.ndarray]) -> None:
    """A ``.mat`` file of these maps, (height, width) bool each, one an annotator."""
    cells = np.empty((1, len(maps)), object)
    for number, one in enumerate(maps):
        cell = np.empty((1, 1), [("Segmentation", object), ("Boundaries", object)])
        cell[0, 0] = (np.ones(one.shape, np.uint16), one.astype(np.uint8))
        cells[0, number] = cell
    savemat(path, {"groundTruth": cells})
