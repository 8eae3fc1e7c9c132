"""Prompts from ground truth: the box, the centre point, and the next click of a simulated user.

Clicks follow RITM (https://arxiv.org/abs/2102.06583), whose rules EfficientViT-SAM's evaluation shares. A point is
given as the column and row of its pixel, as in these evaluations.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .dataset import Box, Truth
from .evaluation import ANNOTATED, RANDOM, Protocol

FOREGROUND, BACKGROUND = 1, 0


class Click(NamedTuple):
    """One point and its label."""

    x: int
    y: int
    label: int


def extent(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that a (height, width) mask with a pixel reaches over."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def tight_box(mask: np.ndarray) -> Box:
    """x0, y0, x1, y1 in pixel edges: a mask of one pixel at column 3, row 5 has the box (3, 5, 4, 6)."""
    rows, columns = extent(mask)
    return float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)


def box_of(truth: Truth, mask: np.ndarray, protocol: Protocol) -> Box:
    """The box prompt of an object."""
    return truth.box if protocol.box_from == ANNOTATED and truth.box is not None else tight_box(mask)


def deepest(region: np.ndarray, clicked: Sequence[Click] = ()) -> tuple[float, int, int]:
    """The pixel of a region that is farthest from everything else, where beyond the image's edge is outside.

    Args:
        region: (height, width) bool.
        clicked: pixels that are not to be chosen again.

    Returns:
        Distance in pixels (0 if there is no pixel left), x and y. Of equal ones the first in reading order.
    """
    from scipy.ndimage import distance_transform_edt

    if not region.any():
        return 0.0, 0, 0
    rows, columns = extent(region)
    # Outside the extent nothing is of the region, so one pixel of margin gives the whole image's distances.
    depth = distance_transform_edt(np.pad(region[rows, columns], 1))[1:-1, 1:-1]
    for click in clicked:
        y, x = click.y - rows.start, click.x - columns.start
        if 0 <= y < depth.shape[0] and 0 <= x < depth.shape[1]:
            depth[y, x] = 0
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[y, x]), int(x) + columns.start, int(y) + rows.start


def centre(mask: np.ndarray) -> Click:
    """The first click: the pixel deepest inside an object."""
    _, x, y = deepest(mask)
    return Click(x, y, FOREGROUND)


def next_click(
    truth: np.ndarray, found: np.ndarray, clicked: Sequence[Click], protocol: Protocol, rng: np.random.Generator
) -> Click | None:
    """Where a user would correct a mask; None if there is nothing to correct.

    Args:
        truth: (height, width) bool.
        found: likewise, the answer to ``clicked``.
        rng: of protocols that draw the pixel.
    """
    if protocol.next_click == RANDOM:
        wrong = np.flatnonzero(truth != found)
        if not wrong.size:
            return None
        y, x = np.unravel_index(int(rng.choice(wrong)), truth.shape)
        return Click(int(x), int(y), FOREGROUND if truth[y, x] else BACKGROUND)
    missed, missed_x, missed_y = deepest(truth & ~found, clicked)
    extra, extra_x, extra_y = deepest(found & ~truth, clicked)
    if not max(missed, extra):
        return None
    if missed > extra:
        return Click(missed_x, missed_y, FOREGROUND)
    return Click(extra_x, extra_y, BACKGROUND)
