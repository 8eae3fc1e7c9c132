"""A mask as other programs take it: COCO's run lengths, and rings along the edges of its pixels."""

from collections.abc import Sequence

import numpy as np

_RIGHT, _DOWN, _LEFT, _UP = range(4)
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def rle_counts(mask: np.ndarray) -> list[int]:
    """Run lengths as COCO has them uncompressed: column by column, background first.

    Args:
        mask: (height, width) bool.

    Returns:
        Lengths in pixels, background and foreground by turns; their sum is width x height.
    """
    flat = np.asarray(mask, bool).ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = [int(run) for run in np.diff([0, *changes, flat.size])]
    return [0, *runs] if flat[0] else runs


def compressed(counts: Sequence[int]) -> str:
    """Run lengths as pycocotools writes them: a string, a third as long as their JSON.

    Each is its difference from the one two before it, from the fourth on, in groups of five bits, the lowest first; a
    sixth bit says that another group follows. https://github.com/cocodataset/cocoapi, ``common/maskApi.c``.

    Args:
        counts: as `rle_counts` gives them.
    """
    characters = []
    for index, count in enumerate(counts):
        rest = count - counts[index - 2] if index > 2 else count
        while True:
            group, rest = rest & 0x1F, rest >> 5
            last = rest == (-1 if group & 0x10 else 0)
            characters.append(chr(48 + (group if last else group | 0x20)))
            if last:
                break
    return "".join(characters)


def mask_of_counts(counts: list[int], width: int, height: int) -> np.ndarray:
    """The inverse of `rle_counts`: (height, width) bool."""
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")


def rings(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """The boundary of a mask, as closed rings along the edges of its pixels.

    The foreground is on the right hand: rings around it run clockwise on the screen, those around holes
    counterclockwise. Pixels that touch at a corner alone are kept apart. Filled by the even-odd rule, the rings give
    the mask back.

    Args:
        mask: (height, width) bool.

    Returns:
        Rings in the order of their first vertices, each the topmost, then leftmost of its ring. Vertices are x, y in
        the image frame, where pixel (0, 0) reaches from (0, 0) to (1, 1); straight lines have none within.
    """
    inside = np.pad(np.asarray(mask, bool), 1)
    # By the vertex that an edge leaves: which of the four ways it may go, the foreground on its right hand.
    top_left, top_right = inside[:-1, :-1], inside[:-1, 1:]
    bottom_left, bottom_right = inside[1:, :-1], inside[1:, 1:]
    leaves = np.stack(
        [
            bottom_right & ~top_right,  # right: below it is foreground, above it is none
            bottom_left & ~bottom_right,
            top_left & ~bottom_left,
            top_right & ~top_left,
        ],
        axis=-1,
    )
    found = []
    for y, x in zip(*np.nonzero(leaves.any(axis=-1)), strict=True):
        # A ring's first vertex is a corner at which it runs to the right, around foreground, or down, around a hole.
        for way in (_RIGHT, _DOWN):
            if leaves[y, x, way]:
                found.append(_follow(leaves, int(x), int(y), way))
    return sorted(found, key=lambda ring: (ring[0][1], ring[0][0]))


def _follow(leaves: np.ndarray, x: int, y: int, way: int) -> list[tuple[int, int]]:
    """Walk along a ring until it closes, and take its edges out of ``leaves``."""
    ring: list[tuple[int, int]] = []
    before = -1
    while leaves[y, x, way]:
        leaves[y, x, way] = False
        if way != before:
            ring.append((x, y))
        before = way
        x, y = x + _STEPS[way][0], y + _STEPS[way][1]
        # To the right first: that is around the pixel on the right hand, away from one that touches at a corner.
        turns = ((way + 1) % 4, way, (way + 3) % 4)
        way = next((turn for turn in turns if leaves[y, x, turn]), way)
    return ring
