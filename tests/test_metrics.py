"""Known pairs give known numbers."""

import math

import numpy as np
import pytest

from lightsam.metrics import cosine, mask_iou, max_abs_error, psnr_db


def test_psnr():
    reference = np.array([0.0, 10.0, -5.0, 5.0])
    assert psnr_db(reference, reference + 0.1) == pytest.approx(40)  # 20 log10(10 / 0.1)
    assert psnr_db(reference, reference) == math.inf
    assert psnr_db(np.zeros(3), np.ones(3)) == -math.inf
    assert math.isnan(psnr_db(reference, np.array([0, np.nan, 0, 0])))
    assert psnr_db(reference, np.zeros(4)) < 10


def test_psnr_is_computed_in_float64():
    reference = np.full(4, 1.0, np.float32)
    assert psnr_db(reference, np.nextafter(reference, np.float32(2))) == pytest.approx(138.5, abs=0.1)


def test_cosine():
    assert cosine(np.array([1.0, 0]), np.array([0, 1.0])) == 0
    assert cosine(np.array([1.0, 2]), np.array([2.0, 4])) == pytest.approx(1)
    assert cosine(np.array([1.0, 2]), np.array([-1.0, -2])) == pytest.approx(-1)
    assert cosine(np.zeros(2), np.zeros(2)) == 1
    assert cosine(np.ones(2), np.zeros(2)) == 0


def test_max_abs_error():
    assert max_abs_error(np.array([1.0, 2]), np.array([1.5, 0])) == 2
    assert math.isnan(max_abs_error(np.array([1.0]), np.array([np.nan])))


def test_mask_iou():
    a, b = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert mask_iou(a, b) == pytest.approx(1 / 3)
    assert mask_iou(a, a) == 1
    assert mask_iou(a, ~a) == 0
    assert mask_iou(np.zeros(3, bool), np.zeros(3, bool)) == 1


@pytest.mark.parametrize("metric", [psnr_db, cosine, max_abs_error, mask_iou])
def test_other_shapes_are_refused(metric):
    with pytest.raises(ValueError, match="cannot compare"):
        metric(np.zeros(3), np.zeros(4))
