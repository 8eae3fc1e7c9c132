"""Boxes of masks: which of many mean the same, and which were cut off by the edge of a crop.

A box here is x0, y0, x1, y1 of the outermost pixels, both ends inside: segment-anything's own, whose areas are a row
and a column short. Boxes are compared with one another in this form; what a user gets is COCO's.
"""

from collections.abc import Sequence

import numpy as np


def suppressed(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Non-maximum suppression: drop every box that overlaps a better one.

    Args:
        boxes: (N, 4) float64.
        scores: (N,); of equal ones the first counts as the better.
        threshold: IoU above which two boxes are the same.

    Returns:
        Indices of the boxes that stay, the best first.
    """
    order = np.argsort(-scores, kind="stable")
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        union = areas[best] + areas[rest] - shared
        # Two lines, of a width of one pixel, have no union and are not the same.
        order = rest[shared <= threshold * np.maximum(union, np.finfo(np.float64).tiny)]
    return np.array(kept, np.int64)


def cut_off(box: Sequence[float], crop: Sequence[float], size: tuple[int, int], tolerance: float) -> bool:
    """Whether a box ends at an edge of its crop that is no edge of the image.

    Args:
        box: in pixels of the image.
        crop: x0, y0, x1, y1, the ends outside.
        size: width, height of the image.
        tolerance: pixels within which two edges are the same.
    """
    there = np.asarray(box, np.float64)
    at_crop = np.abs(there - np.asarray(crop)) <= tolerance
    at_image = np.abs(there - (0, 0, *size)) <= tolerance
    return bool((at_crop & ~at_image).any())


def crop_boxes(size: tuple[int, int], layers: int, overlap: float) -> list[tuple[int, tuple[int, int, int, int]]]:
    """The image, and each layer of crops that cover it: 2 x 2 of them, then 4 x 4, and so on.

    Args:
        size: width, height of the image.
        layers: how many, besides the image.
        overlap: of neighbours in the first layer, as a part of the image's shorter side; half of it in the next.

    Returns:
        Layer and x0, y0, x1, y1 of each, the ends outside.
    """
    width, height = size
    found = [(0, (0, 0, width, height))]
    for layer in range(1, layers + 1):
        count = 2**layer
        shared = int(overlap * min(size) * 2 / count)
        across, down = (-((-shared * (count - 1) - side) // count) for side in size)
        found += [
            (layer, (x, y, min(x + across, width), min(y + down, height)))
            for x in (column * (across - shared) for column in range(count))
            for y in (row * (down - shared) for row in range(count))
        ]
    return found
