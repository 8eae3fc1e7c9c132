"""A light SAM: an image encoder, SAM's prompt encoder and SAM's mask decoder."""

from typing import TYPE_CHECKING, Optional

from torch import nn

from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder

if TYPE_CHECKING:
    from lightsam.weights.checkpoints import Weights

EMBEDDING_STRIDE = 16
"""Pixels of the model's input per position of the image embeddings."""
EMBEDDING_CHANNELS = 256
PIXEL_MEAN = (123.675, 116.28, 103.53)
"""Per channel, RGB, 0..255: ImageNet's mean, as every published SAM is trained with."""
PIXEL_STD = (58.395, 57.12, 57.375)
PADDING_COLOUR = tuple(round(mean) for mean in PIXEL_MEAN)
"""RGB of the padding: the pixel mean as an 8-bit image can hold it."""


class Sam(nn.Module):
    """The three parts, under the names that the published checkpoints use.

    It has no ``forward``: lightsam.stages makes the two callable graphs from it.
    """

    weights: Optional["Weights"] = None
    """What was loaded into it; None before anything was."""

    def __init__(self, image_encoder: nn.Module, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder(image_size, EMBEDDING_CHANNELS)
        self.mask_decoder = MaskDecoder(EMBEDDING_CHANNELS)
