"""Where an image lies in the model's input, and where a mask lies in the image.

Coordinate frames: *image* is pixels of the image as a viewer shows it (EXIF orientation applied), *model* is pixels
of the square that the encoder sees. Both have x to the right, y down, origin at the top left corner.

S is the model's image size: the side of that square, in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

IMAGENET_MEAN = (123.675, 116.28, 103.53)
"""Per channel, RGB, 0..255: what every published SAM is trained with."""
IMAGENET_STD = (58.395, 57.12, 57.375)
MASK_STRIDE = 4
"""Pixels of the model's input per position of a low-res mask."""


def mask_side(image_size: int) -> int:
    """Side of low-res masks and of mask prompts, in positions."""
    return image_size // MASK_STRIDE


class Fit(StrEnum):
    """How an image is brought to the square input."""

    PAD = "pad"
    """The longest side is resized to S, the rest is padded right and bottom."""
    STRETCH = "stretch"
    """Both sides are resized to S; nothing is padded."""


class MaskResize(StrEnum):
    """How mask logits are interpolated on the way to the image's size; torch's names."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    """With torch's coefficient of -0.75."""


@dataclass(frozen=True)
class Frame:
    """Where one image lies in the model's input: in the top left corner, as its `Fit` says."""

    width: int
    """Of the image, in pixels."""
    height: int
    image_size: int
    """S."""
    fit: Fit = Fit.PAD
    mask_resize: MaskResize = MaskResize.BILINEAR

    @property
    def resized(self) -> tuple[int, int]:
        """(width, height) in pixels of the model's input."""
        if self.fit is Fit.STRETCH:
            return self.image_size, self.image_size
        scale = self.image_size / max(self.width, self.height)
        # A very long image may round to nothing across: it keeps one pixel.
        return max(1, int(self.width * scale + 0.5)), max(1, int(self.height * scale + 0.5))

    def _scale(self) -> np.ndarray:
        width, height = self.resized
        return np.array([width / self.width, height / self.height])

    def to_model(self, coords: np.ndarray) -> np.ndarray:
        """(..., 2) x, y in the image to x, y in the model's input, float32."""
        return (np.asarray(coords, np.float64) * self._scale()).astype(np.float32)

    def to_image(self, coords: np.ndarray) -> np.ndarray:
        """The inverse of `to_model`."""
        return (np.asarray(coords, np.float64) / self._scale()).astype(np.float32)


@dataclass(frozen=True)
class Preprocess:
    """How a model takes its images and gives its masks: their place in the square input, and the normalisation."""

    image_size: int
    """S."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Per channel, RGB, 0..255; subtracted inside the encoder's graph."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Likewise; divided by."""
    fit: Fit = Fit.PAD
    mask_resize: MaskResize = MaskResize.BILINEAR
    """Of low-res masks, on the way to the image's size."""

    @property
    def padding_colour(self) -> tuple[int, int, int] | None:
        """RGB of the padding: the mean as an 8-bit image can hold it. The encoder's graph turns it into exact zeros.

        None for a model that does not pad.
        """
        if self.fit is Fit.STRETCH:
            return None
        red, green, blue = (round(value) for value in self.mean)
        return red, green, blue

    @property
    def description(self) -> str:
        """What a caller does to an image, in words; written into every exported encoder."""
        if self.fit is Fit.STRETCH:
            return f"both sides resized to {self.image_size} (bilinear), nothing padded"
        return (
            f"longest side resized to {self.image_size} (bilinear), padded right and bottom with the pixel mean as "
            f"whole numbers, {self.padding_colour}"
        )

    @property
    def mask_frame(self) -> str:
        """Where a low-res mask lies, in words."""
        return "the stretched image" if self.fit is Fit.STRETCH else "the padded input"

    def frame(self, width: int, height: int) -> Frame:
        """Where an image of this size lies in the model's input."""
        return Frame(width, height, self.image_size, self.fit, self.mask_resize)

    def resize_masks(self, low_res_masks: Tensor, original: Tensor) -> Tensor:
        """Bring mask logits to the image's own size, as a graph computes it; see `resize_masks`.

        Args:
            low_res_masks: (B, K, 4E, 4E) logits.
            original: (height, width) of the image, (2,) float32.

        Returns:
            (B, K, height, width) logits.
        """
        inside = None
        if self.fit is Fit.PAD:
            scaled = original * (self.image_size / original.max())
            inside = (scaled + 0.5).floor().clamp(min=1).to(torch.int64).tolist()  # as `Frame.resized`
        return resize_masks(low_res_masks, self, inside, original.to(torch.int64).tolist())


def resize_masks(
    low_res_masks: Tensor, how: Preprocess | Frame, resized: Sequence[int] | None, original: Sequence[int]
) -> Tensor:
    """Bring mask logits to the image's own size: to that of the model's input, without the padding, to the image's.

    Where an image is stretched there is no padding to leave out, and the masks go to the image's size at once.

    Args:
        low_res_masks: (B, K, 4E, 4E) logits.
        how: says S and the interpolation.
        resized: (height, width) of the image in the model's input, at most S; None where it is stretched.
        original: (height, width) of the image.

    Returns:
        (B, K, height, width) logits.
    """

    def interpolated(masks: Tensor, size: Sequence[int]) -> Tensor:
        return F.interpolate(masks, list(size), mode=how.mask_resize.value, align_corners=False)

    # What a tracer cannot know of numbers that come out of a tensor.
    for side in original:
        torch._check(side >= 1)
    if resized is None:
        return interpolated(low_res_masks, original)
    height, width = resized
    for side in (height, width):
        torch._check(side >= 1)
        torch._check(side <= how.image_size)
    masks = interpolated(low_res_masks, (how.image_size, how.image_size))
    return interpolated(masks[..., :height, :width], original)
