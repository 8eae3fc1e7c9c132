"""The rule by which tests compare two runtimes lets rounding pass, and nothing else."""

import numpy as np
import pytest
from agreement import ROUNDING, assert_close, assert_same_masks

from lightsam import Prompt
from lightsam.transforms import upscale_masks


@pytest.fixture(scope="module")
def encoding(tiny_predictor, coffee):
    return tiny_predictor.encode(coffee)


@pytest.fixture(scope="module")
def prediction(tiny_predictor, encoding):
    return tiny_predictor.predict(encoding, Prompt(points=[(300, 150)]))


def flipped(prediction, encoding, which: int) -> np.ndarray:
    """The masks with one pixel turned over: the ``which``-th from zero."""
    logits = np.abs(upscale_masks(prediction.low_res_masks, encoding.frame))
    masks = prediction.masks.copy()
    masks.reshape(-1)[np.argsort(logits, axis=None)[which]] ^= True
    return masks


def test_the_pixel_nearest_to_zero_may_go_either_way(prediction, encoding):
    assert assert_same_masks(prediction.masks, prediction, encoding.frame) == 0
    assert assert_same_masks(flipped(prediction, encoding, 0), prediction, encoding.frame) == 1


def test_any_other_pixel_may_not(prediction, encoding):
    """Of 720,000 the thousandth is still nearly zero, and no longer by rounding."""
    with pytest.raises(AssertionError, match="1 pixels differ"):
        assert_same_masks(flipped(prediction, encoding, 1000), prediction, encoding.frame)


def test_noise_above_rounding_is_told(prediction):
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1, 1, prediction.low_res_masks.shape) * prediction.low_res_masks.std()
    assert_close(prediction.low_res_masks + 0.9 * ROUNDING * noise, prediction.low_res_masks)
    for wrong in (1.2 * ROUNDING * noise, np.nan):
        with pytest.raises(AssertionError, match="off by"):
            assert_close(prediction.low_res_masks + wrong, prediction.low_res_masks)


def test_half_a_pixel_is_told(tiny_predictor, encoding, prediction):
    half = 0.5 * encoding.frame.width / encoding.frame.image_size  # of the model's pixels, in the image's
    moved = tiny_predictor.predict(encoding, Prompt(points=[(300 + half, 150)]))
    with pytest.raises(AssertionError, match="off by"):
        assert_close(moved.low_res_masks, prediction.low_res_masks, rounding=100 * ROUNDING)
    with pytest.raises(AssertionError, match="pixels differ"):
        assert_same_masks(moved.masks, prediction, encoding.frame)
