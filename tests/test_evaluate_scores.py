"""What is said of masks: known numbers."""

import numpy as np
import pytest
from annotated import disc, rectangle

from lightsam.metrics import boundary_iou
from lightsam_benchmarks.quality.compare import bootstrap, difference
from lightsam_benchmarks.quality.scores import Target, clicks_to, size_of


def test_iou_of_known_masks():
    target = Target(rectangle(0, 0, 40, 40))
    assert target.iou(rectangle(0, 0, 40, 40)) == 1
    assert target.iou(rectangle(0, 0, 40, 20)) == 0.5
    assert target.iou(rectangle(20, 0, 60, 40)) == pytest.approx(1 / 3, abs=1e-5)
    assert target.iou(np.zeros((120, 160), bool)) == 0
    assert target.boundary_iou(rectangle(0, 0, 40, 40)) == 1
    assert target.boundary_iou(np.zeros((120, 160), bool)) == 0
    with pytest.raises(ValueError, match="shapes"):
        target.iou(np.zeros((10, 10), bool))


@pytest.mark.parametrize("seed", range(8))
def test_the_band_of_a_cropped_mask_is_that_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    a, b = (disc(*rng.uniform(0, 160, 2), rng.uniform(5, 60)) for _ in range(2))
    a |= rectangle(0, 100, 160, 120)  # along three edges of the image
    assert Target(a).boundary_iou(b) == pytest.approx(boundary_iou(a, b), abs=1e-5)
    assert Target(a).boundary_iou(a | b) == pytest.approx(boundary_iou(a, a | b), abs=1e-5)


def test_cocos_sizes():
    assert [size_of(area) for area in (1, 1023, 1024, 9215, 9216, 10**6)] == [
        "small", "small", "medium", "medium", "large", "large",
    ]  # fmt: skip


def test_number_of_clicks():
    ious = [[0.9, 0.9, 0.95], [0.5, 0.86, 0.8], [0.1, 0.2, 0.3]]
    assert clicks_to(0.85, ious) == ((1 + 2 + 3) / 3, pytest.approx(2 / 3))
    assert clicks_to(0.95, ious) == ((3 + 3 + 3) / 3, pytest.approx(1 / 3))


def test_the_bootstrap_draws_images():
    """Ten copies of every object say nothing new, so the interval stays; objects on their own would narrow it."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, 40)
    images = [f"{number}" for number in range(40)]
    low, high = bootstrap(list(values), images, 0)
    assert low < values.mean() < high
    # The mean's standard error is .29 / sqrt(40).
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(40), rel=0.15)
    again = bootstrap(list(np.repeat(values, 10)), list(np.repeat(images, 10)), 0)
    assert again == pytest.approx((low, high))
    assert bootstrap(list(values), images, 0) == (low, high)
    assert bootstrap(list(values), images, 1) != (low, high)
    assert bootstrap([0.5, 0.7], ["one", "one"], 0) is None
    # An image with many objects counts as many whenever it is drawn.
    assert bootstrap([0.5] * 50, ["crowded"] * 45 + list("abcde"), 0) == pytest.approx((0.5, 0.5))


def test_a_difference_is_paired():
    rng = np.random.default_rng(0)
    a = rng.uniform(0.2, 0.9, 60)
    images = [f"{number // 2}" for number in range(60)]
    shifted = difference(("a", "b"), "box", a, a - 0.01, images, 0)
    assert shifted.difference == pytest.approx(-0.01)
    assert shifted.interval == pytest.approx((-0.01, -0.01))
    assert not shifted.is_noise
    assert shifted.is_lost(0.002)
    assert not shifted.is_lost(0.02)
    assert shifted.largest_loss == pytest.approx(0.01)
    noisy = difference(("a", "b"), "box", a, a + rng.normal(0, 0.05, 60), images, 0)
    assert noisy.is_noise
    assert not noisy.is_lost(0)
    assert (noisy.objects, noisy.images) == (60, 30)
