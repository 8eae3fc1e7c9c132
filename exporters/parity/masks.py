"""How far a file's masks are from the reference's, at the image's own size, sorted by what a user meets.

A decoder gives four masks for a prompt, and a user is shown one. The other three include what the model itself has no
opinion on: logits near zero over large areas, where any rounding draws another outline. So masks are told apart by
the reference's **stability score**: the IoU of a mask thresholded one logit above and one below zero. segment-anything
calls a mask stable from 0.95 on: https://github.com/facebookresearch/segment-anything,
``segment_anything/automatic_mask_generator.py``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lightsam.geometry import Frame
from lightsam.metrics import boundary_iou, mask_iou, stability_score
from lightsam.stages import LOW_RES_MASKS, MASKS
from lightsam.transforms import MASK_THRESHOLD, upscale_masks

DECIDED = 0.95
"""Stability score from which the reference is decided about a mask: ``stability_score_thresh`` of segment-anything's
automatic mask generator."""


@dataclass(frozen=True)
class MaskErrors:
    """How far several masks are from the reference's: the worst of them, but for the counts."""

    masks: int
    """How many."""
    mask_iou: float
    boundary_iou: float
    real_mask_iou: float
    """With rounded pixels as in the reference: what the gate holds."""
    real_boundary_iou: float
    """Likewise."""
    flipped_pixels: int
    """Of all together, whatever flipped them."""
    rounded_pixels: int
    """Those of them where the reference's own logit is within `Gate.rounding` of zero."""
    stability: float
    """Lowest stability score of the reference's masks."""


@dataclass(frozen=True)
class MaskGroups:
    """The masks of one case, sorted."""

    shown: MaskErrors
    """Those that a user is shown."""
    decided: MaskErrors | None
    """Others about which the reference is decided; None if there are none."""
    undecided: MaskErrors | None
    """The rest, likewise."""


def compare_masks(
    output: str,
    reference: np.ndarray,
    candidate: np.ndarray,
    frame: Frame,
    shown: Sequence[int],
    rounding: float,
) -> MaskGroups | None:
    """Compare masks at the image's own size; None for an output that is no mask.

    Args:
        output: its name; low-res masks are brought to the image's size first.
        reference: (B, K, height, width) logits.
        candidate: likewise.
        frame: of the image.
        shown: B indices, of the mask of each prompt that a user is shown.
        rounding: as in `Gate`.
    """
    if output not in (LOW_RES_MASKS, MASKS):
        return None
    found: dict[str, list[MaskErrors]] = {"shown": [], "decided": [], "undecided": []}
    for index, a, b in _pairs(output, reference, candidate, frame):
        errors = _errors(a, b, rounding)
        row, mask = divmod(index, reference.shape[1])
        group = "shown" if mask == shown[row] else ("decided" if errors.stability >= DECIDED else "undecided")
        found[group].append(errors)
    worst = {group: _worst(errors) for group, errors in found.items()}
    assert worst["shown"] is not None  # every prompt has one
    return MaskGroups(worst["shown"], worst["decided"], worst["undecided"])


def _pairs(
    output: str, reference: np.ndarray, candidate: np.ndarray, frame: Frame
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Every mask as (height, width) logits of both, counted through all prompts."""
    index = 0
    for pair in zip(reference, candidate, strict=True):
        logits = [upscale_masks(masks, frame) for masks in pair] if output == LOW_RES_MASKS else pair
        for a, b in zip(*logits, strict=True):
            yield index, a, b
            index += 1


def _errors(reference: np.ndarray, candidate: np.ndarray, rounding: float) -> MaskErrors:
    a, b = reference > MASK_THRESHOLD, candidate > MASK_THRESHOLD
    flipped = a != b
    stability = stability_score(reference)
    if not flipped.any():  # equal masks have an IoU of 1 and need no outlines
        return MaskErrors(1, 1.0, 1.0, 1.0, 1.0, 0, 0, stability)
    rounded = flipped & (np.abs(reference) <= rounding * float(np.abs(reference).max()))
    iou, boundary = mask_iou(a, b), boundary_iou(a, b)
    real_iou, real_boundary = iou, boundary
    if rounded.any():
        real = np.where(rounded, a, b)
        real_iou, real_boundary = mask_iou(a, real), boundary_iou(a, real)
    return MaskErrors(1, iou, boundary, real_iou, real_boundary, int(flipped.sum()), int(rounded.sum()), stability)


_WORST: dict[str, Callable[[list[Any]], Any]] = {
    field.name: sum if field.type is int else min for field in fields(MaskErrors)
}


def _worst(errors: Sequence[MaskErrors]) -> MaskErrors | None:
    if not errors:
        return None
    return MaskErrors(**{name: worst([getattr(one, name) for one in errors]) for name, worst in _WORST.items()})
