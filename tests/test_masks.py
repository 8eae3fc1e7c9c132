"""Masks as a user meets them: which one is shown, what rounding may flip, and where the reference has no opinion."""

import numpy as np
import pytest

from lightsam.geometry import Frame
from lightsam.metrics import stability_score
from lightsam.prompts import Prompt
from lightsam.rules import MaskRules
from lightsam_exporters.parity.masks import DECIDED, compare_masks

FRAME = Frame(64, 48, 64)
ROUNDING = 2**-8
PREDICTIONS = np.array([0.99, 0.5, 0.9, 0.7], np.float32)
MASK = np.zeros((16, 16), np.float32)


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        (Prompt(points=[(5, 5)]), 2),
        (Prompt(points=[(5, 5)], labels=[0]), 2),
        (Prompt(points=[(5, 5), (6, 6)]), 0),
        (Prompt(box=(1, 1, 9, 9)), 0),
        (Prompt(points=[(5, 5)], box=(1, 1, 9, 9)), 0),
        (Prompt(points=[(5, 5)], mask=MASK), 0),
    ],
)
def test_a_lone_point_is_shown_the_best_of_three_and_all_else_the_single_mask(prompt, shown):
    rules, masks = MaskRules(), np.ones((4, 16, 16), np.float32)
    assert rules.shown(masks, PREDICTIONS, ambiguous=prompt.ambiguous) == shown
    assert rules.competing(masks, ambiguous=prompt.ambiguous) == (slice(1, None) if shown else slice(0, 1))


def test_what_is_judged_is_what_the_predictor_gives(tiny_predictor, tiny_stages, coffee):
    from lightsam_exporters.parity.reference_image import ReferenceImage
    from lightsam_exporters.parity.suite import load_suite

    reference_image = ReferenceImage(tiny_stages, load_suite("quick").images[0])
    encoding = tiny_predictor.encode(reference_image.image)
    for case in reference_image.cases[:4]:
        prediction = tiny_predictor.predict(encoding, case.prompts[0])
        (expected,), ((shown,),) = reference_image.expected(case), reference_image.shown(case)
        np.testing.assert_allclose(
            prediction.low_res_masks[prediction.best], expected["low_res_masks"][0, shown], rtol=1e-4, atol=1e-4
        )


def ramp(steepness: float) -> np.ndarray:
    """(48, 64) logits of a mask that covers the left half, rising by ``steepness`` a pixel across its outline."""
    return np.broadcast_to((31.75 - np.arange(64)) * steepness, (48, 64)).astype(np.float32).copy()


def test_the_stability_score_is_segment_anythings():
    """Thresholded at +1 the ramp loses four columns and at -1 it gains four."""
    assert stability_score(ramp(0.25)) == 28 / 36
    assert stability_score(ramp(8)) == 1
    assert stability_score(ramp(0.25), offset=0.5) == 30 / 34
    assert stability_score(np.full((4, 4), -9.0)) == 1  # empty beyond doubt
    assert stability_score(np.full((4, 4), -0.5)) == 0


def groups(reference, candidate, shown=0):
    """Of one prompt with masks (K, 48, 64)."""
    return compare_masks("masks", np.stack(reference)[None], np.stack(candidate)[None], FRAME, [shown], ROUNDING)


def test_masks_are_sorted_by_who_sees_them_and_by_how_decided_the_reference_is():
    reference = [ramp(8), ramp(8), ramp(0.05), ramp(8)]
    found = groups(reference, reference, shown=1)
    assert (found.shown.masks, found.decided.masks, found.undecided.masks) == (1, 2, 1)
    assert found.shown.mask_iou == found.shown.real_mask_iou == 1
    assert found.undecided.stability < DECIDED <= found.decided.stability
    assert groups([ramp(8)], [ramp(8)]).decided is None
    assert compare_masks("iou_predictions", PREDICTIONS[None], PREDICTIONS[None], FRAME, [0], ROUNDING) is None


def test_the_worst_mask_of_a_group_counts_and_pixels_add_up():
    off = [ramp(8) for _ in range(4)]
    off[1][:, 31] *= -1  # 48 pixels, logits of 6
    off[2][:, 29:32] *= -1
    found = groups([ramp(8)] * 4, off)
    assert found.shown.flipped_pixels == 0
    assert found.decided.flipped_pixels == 4 * 48
    assert found.decided.mask_iou == 29 / 32
    assert found.decided.rounded_pixels == 0
    assert found.decided.boundary_iou < 1


def test_what_rounding_flips_is_told_from_what_is_wrong():
    """A logit of half the rounding's part of the largest may fall on either side; one of twice it may not."""
    reference = ramp(8)
    largest = float(np.abs(reference).max())
    reference[10, :20] = largest * ROUNDING / 2
    reference[20, :20] = largest * ROUNDING * 2
    within, beyond = reference.copy(), reference.copy()
    within[10, :20] *= -1
    beyond[20, :20] *= -1
    found = groups([reference], [within]).shown
    assert (found.flipped_pixels, found.rounded_pixels) == (20, 20)
    assert found.mask_iou < found.real_mask_iou == 1
    assert found.boundary_iou < found.real_boundary_iou == 1
    found = groups([reference], [beyond]).shown
    assert (found.flipped_pixels, found.rounded_pixels) == (20, 0)
    assert found.mask_iou == found.real_mask_iou < 1


def test_nan_is_no_mask():
    found = groups([ramp(8)], [ramp(8) * np.nan]).shown
    assert found.real_mask_iou == 0
