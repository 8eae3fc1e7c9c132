"""EfficientSAM: a plain vision transformer, pretrained to rebuild SAM's features, in two sizes (Ti and S).

Paper: "EfficientSAM: Leveraged Masked Image Pretraining for Efficient Segment Anything" - https://arxiv.org/abs/2312.00863
Architecture and key names: https://github.com/yformer/EfficientSAM (Apache-2.0)

Shapes: B images or prompts, S = image size, E = S / 16 positions a side, P = E * E, C channels, h heads, d = C / h.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.modeling.image_encoder import SAM_EMBEDDINGS, ImageEncoder, sam_neck

PRETRAINED_SIDE = 224 // SAM_EMBEDDINGS.stride
"""Positions a side that the checkpoints' position embeddings are for: those of the pretraining on ImageNet."""


@dataclass(frozen=True)
class ViTConfig:
    """One of the sizes."""

    channels: int
    heads: int
    depth: int = 12


class Attention(nn.Module):
    """Attention of every position to every other, on (B, P, C)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, channels // heads
        self.scale = self.width**-0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(2, (3, self.heads, self.width))  # (B, P, 3, h, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, h, P, d)
        x = ((q * self.scale) @ k.transpose(2, 3)).softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear layers around a GELU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class ViTBlock(nn.Module):
    """Attention and an MLP, both pre-norm with a residual; on (B, P, C)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = MLP(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """Image (B, 3, S, S) to one position a patch, (B, P, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, SAM_EMBEDDINGS.stride, stride=SAM_EMBEDDINGS.stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class ViT(ImageEncoder):
    """Normalised image (B, 3, S, S) to image embeddings (B, 256, E, E)."""

    positions: Tensor | None

    def __init__(self, image_size: int, config: ViTConfig) -> None:
        super().__init__()
        self.side = image_size // SAM_EMBEDDINGS.stride
        self.patch_embed = PatchEmbed(config.channels)
        # The first position is that of a class token, which the pretraining had.
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + PRETRAINED_SIDE**2, config.channels))
        self.blocks = nn.ModuleList(ViTBlock(config.channels, config.heads) for _ in range(config.depth))
        self.neck = sam_neck(config.channels)
        self.register_buffer("positions", None, persistent=False)

    def _positions(self) -> Tensor:
        """The position embeddings at this size, (1, P, C)."""
        pretrained = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (PRETRAINED_SIDE, PRETRAINED_SIDE))
        resampled = F.interpolate(pretrained, size=(self.side, self.side), mode="bicubic")
        return resampled.flatten(2).transpose(1, 2)

    def fold(self) -> None:
        """Resample the position embeddings once."""
        self.positions = self._positions()

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x) + (self._positions() if self.positions is None else self.positions)
        for block in self.blocks:
            x = block(x)
        return self.neck(x.transpose(1, 2).unflatten(2, (self.side, self.side)))
