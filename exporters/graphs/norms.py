"""Norms of maps as norms over the last axis, for runtimes that have an operation for these alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.modeling.common import LayerNorm2d

from .replacing import replace_modules

FEWEST_CHANNELS = 64
"""Rows of fewer take longer than the eight operations: the 4 and 16 channels of a mask prompt."""


class LastAxisNorm(LayerNorm2d):
    """Over the channels of (B, C, H, W), brought to the last axis and back."""

    def __init__(self, faithful: LayerNorm2d) -> None:
        super().__init__(faithful.weight.shape[0], faithful.eps)
        self.weight, self.bias = faithful.weight, faithful.bias

    def forward(self, x: Tensor) -> Tensor:
        normed = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)


def _norm(norm: LayerNorm2d) -> LayerNorm2d:
    return LastAxisNorm(norm) if norm.weight.shape[0] >= FEWEST_CHANNELS else norm


@torch.no_grad()
def norms_over_last_axis(module: nn.Module) -> nn.Module | None:
    """Norms of maps over the last axis: one operation in ONNX, where over the second it is eight."""
    return replace_modules(module, {LayerNorm2d: _norm})
