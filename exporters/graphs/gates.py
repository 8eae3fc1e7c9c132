"""Squeeze and excite without leaving the layout of convolutions.

ONNX Runtime keeps a map in blocks of channels from one convolution to the next, through poolings, activations, nearest
upsampling and products of two maps of one shape. A mean over an axis, or a product with a gate of one position, takes
the map out of them and back, and keeps the residual that follows from being added by a convolution.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.modeling.repvit import SqueezeExcite

from .replacing import replace_modules


class UpsampledGate(nn.Module):
    """As `SqueezeExcite`, its means as poolings and its gate as large as the map."""

    def __init__(self, faithful: SqueezeExcite) -> None:
        super().__init__()
        self.fc1, self.fc2 = faithful.fc1, faithful.fc2

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        # One axis after the other, as the model does it: see there.
        means = F.avg_pool2d(F.avg_pool2d(x, (1, width)), (height, 1))  # (B, C, 1, 1)
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(means))))
        # Scales and not sizes: of an upsampling to sizes ONNX Runtime does not keep the layout.
        return x * F.interpolate(gate, scale_factor=(float(height), float(width)), mode="nearest")


def upsampled_gates(module: nn.Module) -> nn.Module | None:
    """The gates of squeeze and excite as maps, which a product of two equal shapes multiplies."""
    return replace_modules(module, {SqueezeExcite: UpsampledGate})
