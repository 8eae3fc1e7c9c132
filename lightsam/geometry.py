"""Where an image lies in the model's input, and where a mask lies in the image.

Coordinate frames: *image* is pixels of the image as a viewer shows it (EXIF orientation applied), *model* is pixels
of the square that the encoder sees. Both have x to the right, y down, origin at the top left corner.

S is the model's image size: the side of that square, in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Frame:
    """Where one image lies in the model's input: in the top left corner, its longest side as long as the square's."""

    width: int
    """Of the image, in pixels."""
    height: int
    image_size: int
    """S."""

    @property
    def resized(self) -> tuple[int, int]:
        """(width, height) in pixels of the model's input."""
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
    """How a model takes its images: their place in the square input, the padding, and the normalisation.

    The longest side is resized to S, the rest is padded right and bottom. A model that takes its images in another way
    overrides `frame`, `resized` and `description` together; one that never pads also needs an encoder graph of its own,
    because the usual one sets pixels of the padding colour to zero.
    """

    image_size: int
    """S."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Per channel, RGB, 0..255; subtracted inside the encoder's graph."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Likewise; divided by."""

    @property
    def padding_colour(self) -> tuple[int, int, int]:
        """RGB of the padding: the mean as an 8-bit image can hold it. The encoder's graph turns it into exact zeros."""
        red, green, blue = (round(value) for value in self.mean)
        return red, green, blue

    @property
    def description(self) -> str:
        """What a caller does to an image, in words; written into every exported encoder."""
        return (
            f"longest side resized to {self.image_size} (bilinear), padded right and bottom with the pixel mean as "
            f"whole numbers, {self.padding_colour}"
        )

    def frame(self, width: int, height: int) -> Frame:
        """Where an image of this size lies in the model's input."""
        return Frame(width, height, self.image_size)

    def resized(self, original: Tensor) -> Tensor:
        """`Frame.resized` as a graph computes it: (height, width) of an image, (2,) float32, to (2,) int64."""
        scaled = original * (self.image_size / original.max())
        return (scaled + 0.5).floor().clamp(min=1).to(torch.int64)


def resize_masks(low_res_masks: Tensor, image_size: int, resized: Sequence[int], original: Sequence[int]) -> Tensor:
    """Bring mask logits to the image's own size: to that of the model's input, without the padding, to the image's.

    Args:
        low_res_masks: (B, K, 4E, 4E) logits.
        image_size: S.
        resized: (height, width) of the image in the model's input; at most S.
        original: (height, width) of the image.

    Returns:
        (B, K, height, width) logits.
    """
    height, width = resized
    # What a tracer cannot know of numbers that come out of a tensor.
    for side in (height, width):
        torch._check(side >= 1)
        torch._check(side <= image_size)
    for side in original:
        torch._check(side >= 1)
    masks = F.interpolate(low_res_masks, (image_size, image_size), mode="bilinear", align_corners=False)
    return F.interpolate(masks[..., :height, :width], list(original), mode="bilinear", align_corners=False)
