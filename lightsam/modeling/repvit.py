"""RepViT's blocks, which RepViT-SAM and EdgeSAM share.

Paper: "RepViT: Revisiting Mobile CNN From ViT Perspective" - https://arxiv.org/abs/2307.09283
Architecture and key names: https://github.com/THU-MIG/RepViT (Apache-2.0). What differs: a stage is described by its
width, depth and stride instead of a row for every block; folding replaces the training-time branches from outside, so
that a block never has two ways to run.

Shapes: everything maps (B, C, H, W) to (B, C', H', W').
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lightsam.modeling.common import ConvBN, identity_batchnorm

DAMPED = ("token_mixer.0.conv.bn.weight", "token_mixer.1.fc2.weight", "channel_mixer.m.2.bn.weight")
"""For `ModelCard.damped` of the models that are made of these blocks."""


@dataclass(frozen=True)
class RepViTConfig:
    """The four stages of a RepViT."""

    channels: tuple[int, ...]
    depths: tuple[int, ...]
    """Blocks that keep width and resolution; every stage but the first has one before them that changes both."""
    strides: tuple[int, ...]
    """Pixels of the image per position."""
    outer_norm: bool
    """Where the 1x1 branch is normalised: with the others, by a BatchNorm of their sum (M0.9 to M2.3), or alone, by one
    of its own (M1 to M3, the models of the paper's first version)."""


class RepVGGDepthwise(nn.Module):
    """3x3 depthwise, 1x1 depthwise and identity, summed: the branches that training needs."""

    def __init__(self, channels: int, *, outer_norm: bool) -> None:
        super().__init__()
        self.conv = ConvBN(channels, channels, 3, padding=1, groups=channels)
        self.conv1: nn.Module
        self.bn: nn.Module
        if outer_norm:
            self.conv1, self.bn = nn.Conv2d(channels, channels, 1, groups=channels), nn.BatchNorm2d(channels)
        else:
            self.conv1, self.bn = ConvBN(channels, channels, groups=channels), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x) + self.conv1(x) + x)

    @torch.no_grad()
    def reparametrize(self) -> nn.Conv2d:
        """One 3x3 depthwise convolution that equals the sum of all branches in evaluation mode."""
        conv = self.conv.reparametrize()
        pointwise = self.conv1.reparametrize() if isinstance(self.conv1, ConvBN) else self.conv1
        assert isinstance(pointwise, nn.Conv2d)
        assert conv.bias is not None
        assert pointwise.bias is not None
        conv.weight[:, :, 1:2, 1:2] += pointwise.weight + 1  # the centre tap; the identity is a 1x1 kernel of one
        conv.bias += pointwise.bias
        return fuse_conv_bn_eval(conv, self.bn) if isinstance(self.bn, nn.BatchNorm2d) else conv

    def restored(self, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
        """The state in which the 3x3 branch is everything: the 1x1 branch takes away what the identity adds."""
        state = {f"conv.{name}": tensor for name, tensor in self.conv.restored(weight, bias).items()}
        taken = torch.full((len(bias), 1, 1, 1), -1.0)
        if isinstance(self.conv1, ConvBN):
            inner = self.conv1.restored(taken, torch.zeros_like(bias))
            return state | {f"conv1.{name}": tensor for name, tensor in inner.items()}
        assert isinstance(self.bn, nn.BatchNorm2d)
        return state | {
            "conv1.weight": taken,
            "conv1.bias": torch.zeros_like(bias),
            **identity_batchnorm(self.bn, "bn."),
        }


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from the means of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = (channels // 4 + 4) // 8 * 8  # a quarter, to the nearest multiple of 8
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        # One axis after the other: runtimes that add 65,536 numbers in a row lose 35 dB of float32 by it (LiteRT's
        # reference and XNNPACK alike; ONNX Runtime 15 dB).
        means = x.mean(3, keepdim=True).mean(2, keepdim=True)  # (B, C, 1, 1)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(means))))


class ChannelMixer(nn.Module):
    """Inverted bottleneck of 1x1 convolutions with a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.m = nn.Sequential(ConvBN(channels, 2 * channels), nn.GELU(), ConvBN(2 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.m(x)


class RepViTBlock(nn.Module):
    """A token mixer, which mixes neighbouring positions, then a channel mixer."""

    def __init__(self, token_mixer: nn.Sequential, channels: int) -> None:
        super().__init__()
        self.token_mixer = token_mixer
        self.channel_mixer = ChannelMixer(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.channel_mixer(self.token_mixer(x))


def _keeping(channels: int, *, outer_norm: bool, squeeze: bool) -> RepViTBlock:
    """A block that keeps width and resolution."""
    gate = SqueezeExcite(channels) if squeeze else nn.Identity()
    return RepViTBlock(nn.Sequential(RepVGGDepthwise(channels, outer_norm=outer_norm), gate), channels)


def _changing(in_channels: int, out_channels: int, stride: int) -> RepViTBlock:
    """A block that changes width, and the resolution by ``stride``."""
    depthwise = ConvBN(in_channels, in_channels, 3, stride, padding=1, groups=in_channels)
    # The checkpoints count the place of a gate that no published model has.
    return RepViTBlock(nn.Sequential(depthwise, nn.Identity(), ConvBN(in_channels, out_channels)), out_channels)


def repvit_layers(config: RepViTConfig) -> list[nn.Module]:
    """The stem and the blocks of all stages, counted through as in the checkpoints.

    The last stage is the last ``1 + config.depths[-1]`` of them.
    """
    width = config.channels[0]
    stem = (ConvBN(3, width // 2, 3, 2, padding=1), nn.GELU(), ConvBN(width // 2, width, 3, 2, padding=1))
    layers: list[nn.Module] = [nn.Sequential(*stem)]
    for stage, (channels, depth) in enumerate(zip(config.channels, config.depths, strict=True)):
        if stage > 0:
            stride = config.strides[stage] // config.strides[stage - 1]
            layers.append(_changing(config.channels[stage - 1], channels, stride))
        # Every other block has a gate, and a stage's last has none.
        layers += [
            _keeping(channels, outer_norm=config.outer_norm, squeeze=index % 2 == 0 and index + 1 < depth)
            for index in range(depth)
        ]
    return layers
