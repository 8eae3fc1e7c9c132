"""Transposed convolutions as convolutions and pixel shuffles.

coremltools 9.0 gives every transposed convolution an ``output_shape``, with which the Neural Engine could not plan a
decoder of MobileSAM ("Could not infer a new output shape for conv_transpose", SamSession.swift of
https://github.com/john-rocky/CoreML-Models).
Where kernel and stride are both 2, no two positions of the input meet in one of the output: the products are those of a
pointwise convolution.
"""

import torch
from torch import nn

from .replacing import replace_modules


class ShuffledUpscaling(nn.Sequential):
    """Twice the resolution: (B, C, H, W) to (B, C', 2H, 2W)."""

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        """Take the weights of a transposed convolution.

        Args:
            conv: of kernel 2 and stride 2, in one group and without padding.
        """
        pointwise = nn.Conv2d(conv.in_channels, 4 * conv.out_channels, 1, bias=conv.bias is not None)
        with torch.no_grad():
            # (C, C', 2, 2) to (4C', C): the shuffle takes the four places of a channel one after the other.
            pointwise.weight.copy_(conv.weight.permute(1, 2, 3, 0).reshape(pointwise.weight.shape))
            if pointwise.bias is not None and conv.bias is not None:
                pointwise.bias.copy_(conv.bias.repeat_interleave(4))
        super().__init__(pointwise, nn.PixelShuffle(2))


def _built(conv: nn.ConvTranspose2d) -> nn.Module:
    doubles = conv.kernel_size == conv.stride == (2, 2)
    plain = conv.groups == 1 and conv.dilation == (1, 1) and not any((*conv.padding, *conv.output_padding))
    return ShuffledUpscaling(conv) if doubles and plain else conv


def shuffled_upscaling(module: nn.Module) -> nn.Module | None:
    """Every transposed convolution of kernel and stride 2 as a convolution and a pixel shuffle: the sums are equal."""
    return replace_modules(module, {nn.ConvTranspose2d: _built})
