"""Everything in photographs: a file finds what PyTorch finds, but for masks within rounding of a threshold."""

from pathlib import Path

import pytest

from lightsam import Everything, Predictor
from lightsam.metrics import mask_iou
from lightsam_exporters.loading import load_predictor

IMAGES = Path(__file__).parent.parent / "exporters" / "parity" / "data"
HOW = Everything(points_per_side=16)
SAME = 0.999
"""IoU of two masks that differ by pixels on their outline alone."""
ROUNDING = 1e-3
"""Of predicted IoUs and stability scores; both formats compute in float32."""


def alone(masks, others):
    """Those without their like among the others."""
    return [
        one
        for one in masks
        if not any(one.point == other.point and mask_iou(one.runs.mask, other.runs.mask) > SAME for other in others)
    ]


def at_a_threshold(one):
    """Whether rounding may have decided over a mask."""
    return (
        abs(one.predicted_iou - HOW.pred_iou_thresh) < ROUNDING
        or abs(one.stability_score - HOW.stability_score_thresh) < ROUNDING
    )


@pytest.mark.trained
@pytest.mark.parametrize("name", ["coffee.jpg", "chelsea.jpg"])
def test_onnx_finds_the_masks_of_pytorch(trained, name):
    pytorch = Predictor.from_model(trained.reference.model)
    onnx = load_predictor(trained.export("onnx", "float32").folder)
    expected, found = (one.segment_everything(one.encode(IMAGES / name), HOW) for one in (pytorch, onnx))
    assert len(expected) > 3
    assert all(one.runs.area > 50 for one in expected)
    only_in_one = [*alone(expected, found), *alone(found, expected)]
    assert all(at_a_threshold(one) for one in only_in_one), [one.point for one in only_in_one]
    assert len(only_in_one) < len(expected) / 2
