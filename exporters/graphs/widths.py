"""Inverted bottlenecks a part of their width at a time: what is widest in an encoder need not be there all at once."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.models.mobile_sam import MBConv

from .replacing import replace_modules


class NarrowMBConv(nn.Module):
    """TinyViT's, as a sum of bottlenecks that do not widen.

    At 1024 pixels its map is 67 MB wide in float32, twice, which is the peak of MobileSAM's memory. Between the two
    pointwise convolutions no channel meets another.
    """

    def __init__(self, block: MBConv) -> None:
        super().__init__()
        widen, mix, narrow = (_folded(conv) for conv in (block.conv1, block.conv2, block.conv3))
        parts = widen.out_channels // narrow.out_channels
        self.widens = nn.ModuleList(
            _conv(widen, *part) for part in zip(widen.weight.chunk(parts), _bias(widen).chunk(parts), strict=True)
        )
        self.mixes = nn.ModuleList(
            _conv(mix, *part) for part in zip(mix.weight.chunk(parts), _bias(mix).chunk(parts), strict=True)
        )
        self.narrows = nn.ModuleList(
            _conv(narrow, weight, _bias(narrow) if index == 0 else None)
            for index, weight in enumerate(narrow.weight.chunk(parts, dim=1))
        )

    def forward(self, x: Tensor) -> Tensor:
        total = x
        for widen, mix, narrow in zip(self.widens, self.mixes, self.narrows, strict=True):
            total = total + narrow(F.gelu(mix(F.gelu(widen(x)))))
        return F.gelu(total)


def _folded(conv: nn.Module) -> nn.Conv2d:
    assert isinstance(conv, nn.Conv2d)  # of a folded graph
    return conv


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _conv(like: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """A convolution with these weights, (C', C, k, k) and (C',), one group a channel if ``like`` has several."""
    channels = weight.shape[0]
    groups = 1 if like.groups == 1 else channels
    conv = nn.Conv2d(
        weight.shape[1] * groups,
        channels,
        like.kernel_size,  # type: ignore[arg-type]  # two numbers, which torch declares as any
        padding=like.padding,  # type: ignore[arg-type]  # likewise
        groups=groups,
        bias=bias is not None,
    )
    conv.weight = nn.Parameter(weight.clone())
    if bias is not None:
        conv.bias = nn.Parameter(bias.clone())
    return conv


@torch.no_grad()
def narrow_bottlenecks(module: nn.Module) -> nn.Module | None:
    """TinyViT's inverted bottlenecks a part of their width at a time, which quarters the peak of what they hold."""
    return replace_modules(module, {MBConv: NarrowMBConv})
