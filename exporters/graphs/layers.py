"""Layers from weights that are there: of what rewrites put in the place of others."""

from torch import Tensor, nn


def behind(norm: nn.LayerNorm, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The weight (C', C) and bias (C',) of a linear layer, with scale and shift of the norm before it; in float64."""
    return weight.double() * norm.weight.double(), bias.double() + weight.double() @ norm.bias.double()


def pointwise(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """The convolution that multiplies every position by a matrix (C', C) and adds (C',)."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    conv.weight, conv.bias = (nn.Parameter(tensor.float()) for tensor in (weight[:, :, None, None], bias))
    return conv


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """The layer that multiplies by a matrix (C', C) and adds (C',), or nothing; in float32, whatever they are in."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.float().contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias.float().clone())
    return layer
