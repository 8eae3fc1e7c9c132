"""Small layers shared by the encoders and the decoder, and the folding of what does not depend on the input."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of a (B, C, H, W) map, as in SAM (biased variance, eps 1e-6)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # A product and a reciprocal root, not pow and a division: the form that Core ML's converter recognises and
        # turns into one layer_norm, so that float16 hardware never squares a large activation (overflow above 255).
        centred = x - x.mean(1, keepdim=True)
        variance = (centred * centred).mean(1, keepdim=True)
        normalised = centred * torch.rsqrt(variance + self.eps)
        return normalised * self.weight[:, None, None] + self.bias[:, None, None]


@runtime_checkable
class Reparametrizable(Protocol):
    """A block that in evaluation mode is no more than one convolution."""

    def reparametrize(self) -> nn.Conv2d:
        """That convolution."""

    def restored(self, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
        """The inverse: a state of this block, by name, from which `reparametrize` gives exactly this convolution."""


@dataclass(frozen=True)
class Lookup:
    """How a parameter becomes a larger table before it is used: ``parameter.index_select(axis, index)``, reshaped."""

    axis: int
    index: Tensor
    """Integers of any shape; that shape takes the place of the axis."""


@runtime_checkable
class LooksUp(Protocol):
    """A block whose parameters are looked up into tables that do not depend on the input."""

    def lookups(self) -> dict[str, Lookup]:
        """By the parameter's name; as upstream's exports hold the table."""


@dataclass(frozen=True)
class Sum:
    """How several parameters become one table before they are used: each is enlarged, and they are added up."""

    parameters: tuple[str, ...]
    """Names in the block, each of (1, C, h, w) with an h and w of its own."""
    table: Callable[..., Tensor]
    """The parameters in this order, with any number of channels, to the table (1, C, H, W): linear, and the same for
    every channel."""


@runtime_checkable
class SumsUp(Protocol):
    """A block that adds up parameters to a table that does not depend on the input."""

    def sums(self) -> tuple[Sum, ...]:
        """Each table; as upstream's exports hold it, but for the order of its axes."""


def identity_batchnorm(norm: nn.BatchNorm2d, prefix: str, bias: Tensor | None = None) -> dict[str, Tensor]:
    """A state of a BatchNorm that changes nothing, or adds ``bias`` and nothing else.

    The variance is what makes its root exactly one in float32, so that folding leaves every bit of the convolution.
    """
    zeros = torch.zeros(norm.num_features)
    return {
        f"{prefix}weight": torch.ones_like(zeros),
        f"{prefix}bias": zeros if bias is None else bias,
        f"{prefix}running_mean": zeros.clone(),
        f"{prefix}running_var": torch.full_like(zeros, 1 - norm.eps),
        f"{prefix}num_batches_tracked": torch.tensor(0),
    }


class ConvBN(nn.Sequential):
    """Convolution without bias, then BatchNorm; the key names ``c`` and ``bn`` are those of the checkpoints."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)
        super().__init__(OrderedDict(c=conv, bn=nn.BatchNorm2d(out_channels)))

    def reparametrize(self) -> nn.Conv2d:
        """One convolution that equals both in evaluation mode."""
        conv, norm = self
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        return fuse_conv_bn_eval(conv, norm)

    def restored(self, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
        """The state with an idle BatchNorm."""
        norm = self[1]
        assert isinstance(norm, nn.BatchNorm2d)
        return {"c.weight": weight, **identity_batchnorm(norm, "bn.", bias)}


class MLP(nn.Module):
    """Linear layers with an activation between them, ReLU unless told otherwise."""

    def __init__(
        self,
        in_features: int,
        hidden: int,
        out_features: int,
        depth: int,
        activation: Callable[[Tensor], Tensor] = F.relu,
    ) -> None:
        super().__init__()
        widths = [in_features, *[hidden] * (depth - 1), out_features]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


@torch.no_grad()
def fold(module: nn.Module) -> nn.Module:
    """Turn everything in ``module`` that does not depend on the input into constants, in place.

    A `Reparametrizable` block becomes the convolution that it amounts to, before anything inside it does; a block with
    a method ``fold`` computes its own tables. Every format is exported from the folded module, so that no converter's
    own folding decides what is in the file.

    Raises:
        RuntimeError: if the module is in training mode, in which BatchNorm is no constant.
    """
    if module.training:
        raise RuntimeError("fold() needs a module in evaluation mode: call eval() first")
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Reparametrizable):
                setattr(parent, name, child.reparametrize())
    for block in list(module.modules()):
        own_fold = getattr(block, "fold", None)
        if callable(own_fold):
            own_fold()
    # A table may be a view of another tensor. litert-torch 0.10.0 tells constants apart by their storage and not by
    # their strides: of two such tables it takes the first for both.
    for block in module.modules():
        for name, buffer in list(block.named_buffers(recurse=False)):
            setattr(block, name, buffer.contiguous())
    return module
