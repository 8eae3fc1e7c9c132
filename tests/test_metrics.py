"""Known pairs give known numbers."""

import math

import numpy as np
import pytest

from lightsam import metrics
from lightsam.metrics import cosine, mask_iou, max_abs_error, psnr_db


def test_psnr():
    reference = np.array([0.0, 10.0, -5.0, 5.0])
    assert psnr_db(reference, reference + 0.1) == pytest.approx(40)  # 20 log10(10 / 0.1)
    assert psnr_db(reference, reference) == math.inf
    assert psnr_db(np.zeros(3), np.ones(3)) == -math.inf
    assert math.isnan(psnr_db(reference, np.array([0, np.nan, 0, 0])))
    assert psnr_db(reference, np.zeros(4)) < 10
    assert psnr_db(reference, reference + 0.1, 1) == pytest.approx(40)
    assert psnr_db(reference, reference + 0.1, 100) == pytest.approx(60)


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


def test_sqnr_of_known_pairs():
    signal = np.array([3.0, 4.0])
    assert metrics.sqnr_db(signal, signal + np.array([0.5, 0])) == pytest.approx(20)  # 25 over 0.25
    assert metrics.sqnr_db(signal, signal) == np.inf
    assert metrics.sqnr_db(np.zeros(2), signal) == -np.inf
    assert np.isnan(metrics.sqnr_db(signal, np.array([np.nan, 4])))
    # a constant offset, which PSNR forgives where the peak is far away
    peak = np.array([100.0] + [0.1] * 999)
    assert metrics.psnr_db(peak, peak + 0.1) - metrics.sqnr_db(peak, peak + 0.1) == pytest.approx(30, abs=0.1)


def test_mean_error_of_known_pairs():
    assert metrics.mean_abs_error(np.array([1.0, 2.0]), np.array([1.5, 2.0])) == 0.25
    assert np.isnan(metrics.mean_abs_error(np.array([1.0]), np.array([np.nan])))


def disc(radius, side=200, centre=(100, 100)):
    y, x = np.mgrid[:side, :side]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_boundary_iou_sees_what_mask_iou_forgives():
    large, shrunk = disc(80), disc(78)
    assert metrics.mask_iou(large, shrunk) > 0.94
    assert metrics.boundary_iou(large, shrunk) < 0.6
    assert metrics.boundary_iou(large, large) == 1
    assert metrics.boundary_iou(np.zeros((9, 9)), np.zeros((9, 9))) == 1
    assert metrics.boundary_iou(np.ones((9, 9)), np.zeros((9, 9))) == 0


def test_boundary_iou_of_a_known_pair():
    """Two squares of 10 beside one another by a pixel, band of one pixel: 36 pixels each, 2 * 9 shared."""
    a, b = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    a[10:20, 10:20] = True
    b[10:20, 11:21] = True
    assert metrics.boundary_iou(a, b) == pytest.approx(18 / (36 + 36 - 18))


def test_the_edge_of_the_image_is_an_outline():
    assert metrics.boundary_iou(np.ones((50, 50)), np.ones((50, 50))) == 1
    band = metrics.outline_band(np.ones((50, 50), bool), 3)
    assert band.sum() == 50 * 50 - 44 * 44


def test_flipped_pixels_are_counted():
    a = disc(10)
    b = a.copy()
    b[100, 100] = False
    b[0, 0] = True
    assert metrics.flipped_pixels(a, b) == 2
    with pytest.raises(ValueError, match="shapes"):
        metrics.flipped_pixels(a, a[1:])


def test_rank_order_and_best():
    scores = np.array([0.9, 0.5, 0.51, 0.1])
    assert metrics.same_order(scores, scores * 2 - 1, 0)
    assert metrics.same_order(scores, np.array([0.9, 0.51, 0.5, 0.1]), 0.02)  # a near tie
    assert not metrics.same_order(scores, np.array([0.9, 0.51, 0.5, 0.1]), 0.001)
    assert not metrics.same_order(scores, np.array([0.9, 0.5, 0.51, 0.95]), 0.02)
    assert metrics.same_best(scores, np.array([0.8, 0.1, 0.2, 0.3]), 0)
    assert not metrics.same_best(scores, np.array([0.1, 0.8, 0.2, 0.3]), 0.3)
    assert metrics.same_best(scores, np.array([0.1, 0.8, 0.2, 0.3]), 0.4)
    assert not metrics.same_best(scores, np.full(4, np.nan), 1)
