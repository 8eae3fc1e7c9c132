"""Encoders with windows whose maps keep their channels first, (1, C, H, W), from the image to the embeddings.

Linear layers become pointwise convolutions, which take the scale and the shift of the norm before them. Of a block's
changes of layout, the two that cut windows and put them together are left. Apple's own form for the Neural Engine has
channels on the second axis and positions on the last, too:
https://github.com/apple/coreai-models (models/ios/sam3)
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.models import mobile_sam, sam2, sam_vit

from .layers import behind, pointwise
from .replacing import replace_modules
from .windows import (
    BiasedAttention,
    ChannelNorm,
    HalvingAttention,
    KeysFirstAttention,
    RelativeAttention,
    Windows,
)


class MLP(nn.Module):
    """Pre-norm MLP."""

    def __init__(self, norm: nn.LayerNorm, fc1: nn.Linear, fc2: nn.Linear) -> None:
        super().__init__()
        self.norm = ChannelNorm(norm.eps)
        self.fc1, self.fc2 = pointwise(*behind(norm, fc1.weight, fc1.bias)), pointwise(fc2.weight, fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class Block(nn.Module):
    """Attention in windows and an MLP; on (1, C, H, W)."""

    def __init__(
        self,
        norm: nn.LayerNorm,
        attn: KeysFirstAttention,
        mlp: MLP,
        *,
        local_conv: nn.Module | None = None,
        proj: nn.Linear | None = None,
    ) -> None:
        """Join the parts.

        Args:
            norm: before the attention.
            local_conv: between attention and MLP.
            proj: of a block that halves the map, widens its shortcut.
        """
        super().__init__()
        self.norm, self.attn, self.mlp = ChannelNorm(norm.eps), attn, mlp
        self.local_conv = nn.Identity() if local_conv is None else local_conv
        self.proj = None if proj is None else pointwise(*behind(norm, proj.weight, proj.bias))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        shortcut = x if self.proj is None else F.max_pool2d(self.proj(normed), 2, stride=2)
        x = self.local_conv(shortcut + self.attn(normed))
        return x + self.mlp(x)


class ViT(nn.Module):
    """SAM's, (1, 3, S, S) to image embeddings (1, 256, E, E)."""

    positions: Tensor

    def __init__(self, vit: sam_vit.ViT) -> None:
        super().__init__()
        self.patch_embed, self.neck = vit.patch_embed.proj, vit.neck
        self.register_buffer("positions", _map(vit.positions), persistent=False)  # (1, C, E, E)
        self.blocks = nn.Sequential(*map(_vit_block, vit.blocks))

    def forward(self, x: Tensor) -> Tensor:
        return self.neck(self.blocks(self.patch_embed(x) + self.positions))


class Hiera(nn.Module):
    """SAM 2's, (1, 3, S, S) to one map a stage, (1, C, S / 4, S / 4) first."""

    positions: Tensor

    def __init__(self, hiera: sam2.Hiera) -> None:
        super().__init__()
        self.patch_embed, self.stage_ends = hiera.patch_embed.proj, hiera.stage_ends
        self.register_buffer("positions", _map(hiera.positions), persistent=False)  # (1, C, S / 4, S / 4)
        self.blocks = nn.ModuleList(map(_hiera_block, hiera.blocks))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.patch_embed(x) + self.positions
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x)
        return tuple(maps)


def _map(positions: Tensor | None) -> Tensor:
    assert positions is not None  # of a folded graph
    return positions.permute(0, 3, 1, 2).contiguous()


def _tinyvit_stage(stage: mobile_sam.TinyViTStage) -> nn.Module:
    if not stage.channels_last:
        return stage
    blocks = [_tinyvit_block(block) for block in stage.blocks]
    return mobile_sam.TinyViTStage(blocks, stage.downsample, channels_last=False)


# Blocks are elements of lists, whose types torch does not keep.


def _tinyvit_block(block: Any) -> nn.Module:
    attn = BiasedAttention(block.attn, Windows(block.resolution, block.window))
    mlp = MLP(block.mlp.norm, block.mlp.fc1, block.mlp.fc2)
    return Block(block.attn.norm, attn, mlp, local_conv=block.local_conv)


def _vit_block(block: Any) -> nn.Module:
    attn = RelativeAttention(block.norm1, block.attn, Windows(block.side, block.window))
    return Block(block.norm1, attn, MLP(block.norm2, block.mlp.lin1, block.mlp.lin2))


def _hiera_block(block: Any) -> nn.Module:
    attn = HalvingAttention(block.norm1, block.attn, Windows(block.side, block.window))
    mlp = MLP(block.norm2, *block.mlp.layers)
    return Block(block.norm1, attn, mlp, proj=block.proj if block.halves else None)


@torch.no_grad()
def channels_first(module: nn.Module) -> nn.Module | None:
    """Encoders with windows on maps whose channels come first, attending with keys before queries."""
    return replace_modules(module, {mobile_sam.TinyViTStage: _tinyvit_stage, sam_vit.ViT: ViT, sam2.Hiera: Hiera})
