"""What two runtimes, two batch sizes, two numbers of threads or two CPUs have in common: values to rounding.

Each adds in an order of its own, so no float is the same in every bit, and a mask's pixel may go either way where its
logit is zero to rounding: everywhere else masks are equal. Bits are compared only of what is truly the same: integers,
bytes of files, geometry, and one runtime asked twice on one machine.
"""

import numpy as np

from lightsam.geometry import Frame
from lightsam.predictor import Prediction
from lightsam.transforms import upscale_masks

ROUNDING = 5e-5
"""In standard deviations of the output. Of the small model at float32 the largest errors measured against PyTorch are
1.2e-5: Core ML's evaluator, ONNX Runtime fused and unfused, LiteRT with XNNPACK, without it and by its reference
kernels, on one thread and two, and PyTorch on AVX-512, AVX2 and SSE4.1. Four times that leaves room for others,
and a prompt that is half a pixel off is a hundred times as far."""

FLIPPED_SHARE = 5e-6
"""Of many pixels, how many may go either way: 50 of 10 million, where 0 or 1 was measured of the small model, and up to
4 of MobileSAM at 1024. Which ones they are is a matter of chance, and another CPU's are others."""

_NEAR_ZERO_SHARE = 2e-4
"""Of many pixels, how many may lie within `ROUNDING` of zero: seven times what seeded weights have. Of more than that,
equality of the others would say little."""
_MANY = 100_000


def assert_close(found: np.ndarray, expected: np.ndarray, what: str = "", rounding: float = ROUNDING) -> None:
    """Equal to rounding: no error above ``rounding`` standard deviations of what was expected."""
    assert found.shape == expected.shape, what
    spread = np.asarray(expected, np.float64).std()
    assert spread > 0, f"{what}: an output without spread has no rounding"
    error = np.abs(np.asarray(found, np.float64) - expected).max() / spread
    assert error <= rounding, f"{what}: off by {error:.1e} standard deviations"  # a NaN fails, too


def assert_same_masks(found: np.ndarray, expected: Prediction, frame: Frame) -> int:
    """Masks are those of another answer, but where its own logit is zero to rounding.

    Args:
        found: (K, height, width) bool.
        frame: of the image.

    Returns:
        How many pixels differ.
    """
    assert found.shape == expected.masks.shape
    logits = np.abs(upscale_masks(expected.low_res_masks, frame))  # (K, height, width)
    near_zero = logits <= ROUNDING * expected.low_res_masks.std()
    different = found != expected.masks
    beyond = different & ~near_zero
    assert not beyond.any(), f"{beyond.sum()} pixels differ, of logits up to {logits[beyond].max()}"
    assert found.size < _MANY or near_zero.mean() <= _NEAR_ZERO_SHARE
    return int(different.sum())
