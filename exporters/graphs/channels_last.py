"""Encoders as XNNPACK likes them, which runs LiteRT's files on the CPU and keeps channels last.

What costs time there beside products, by the profile of LiteRT's own runtime, is copies: slices and pads run on one
thread, transposes write everything once more. Matrix products run at the machine's rate whether they are 32 columns
wide or a thousand, so that an attention head can have projections of its own.
"""

import torch
from torch import Tensor, nn

from lightsam.modeling.windows import attend_in_windows
from lightsam.models.mobile_sam import TinyViTBlock

from .layers import behind, linear
from .replacing import replace_modules


def standardised(x: Tensor, eps: float) -> Tensor:
    """A layer norm over the last axis, less its scale and shift."""
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)


class HeadsApart(nn.Module):
    """A TinyViT block whose attention computes one head after the other.

    Nothing has to be split or transposed then, and the logits of a head stay in the caches. The norm's scale and shift
    are in the projections. What a window is padded with is zero behind the norm: it would give keys and values their
    offsets alone. A key's offset adds the same to all logits of a query, so the softmax drops it; a value's comes out
    of the attention as it is, because weights sum to one, so it is in the last bias.
    """

    def __init__(self, block: TinyViTBlock) -> None:
        super().__init__()
        attn = block.attn
        heads, channels = attn.heads, attn.qkv.in_features
        weight, offset = behind(attn.norm, attn.qkv.weight, attn.qkv.bias)
        weights, offsets = weight.view(heads, 3, -1, channels), offset.view(heads, 3, -1)
        assert attn.bias is not None  # the stage is folded
        self.heads = nn.ModuleList(Head(weights[i], offsets[i, 0], attn.bias[i], attn.scale) for i in range(heads))
        proj = attn.proj.weight.double()
        self.proj = linear(proj, attn.proj.bias.double() + proj @ offsets[:, 2].flatten())
        self.eps = attn.norm.eps
        self.local_conv, self.mlp = block.local_conv, block.mlp
        self.resolution, self.window = block.resolution, block.window

    def attend(self, x: Tensor) -> Tensor:
        """Attend within each of the B * windows rows of (B * windows, L, C)."""
        # Of rank 4: attention of rank 3 is wrong on LiteRT's GPU.
        x = x[:, None]
        return torch.cat([head(x) for head in self.heads], -1)[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        attended = attend_in_windows(standardised(x, self.eps), self.attend, self.resolution, self.window)
        x = x + self.proj(attended)  # behind the windows: nothing is projected that padding makes
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # (B, H, W, C)
        return x + self.mlp(x)


class Head(nn.Module):
    """One head of attention, of standardised input."""

    bias: Tensor

    def __init__(self, weights: Tensor, offset: Tensor, bias: Tensor, scale: float) -> None:
        """Join weights (3, d, C) of query, key and value, the query's offset (d,) and the biases of the logits."""
        super().__init__()
        query, key, value = weights
        self.q = linear(query * scale, offset * scale)
        self.k, self.v = linear(key, None), linear(value, None)
        self.register_buffer("bias", bias[None, None].clone(), persistent=False)  # (1, 1, L, L)

    def forward(self, x: Tensor) -> Tensor:
        """(B * windows, 1, L, C) to (B * windows, 1, L, d)."""
        logits = self.q(x) @ self.k(x).transpose(2, 3) + self.bias
        return logits.softmax(-1) @ self.v(x)


@torch.no_grad()
def heads_apart(module: nn.Module) -> nn.Module | None:
    """Compute TinyViT's attention one head after the other."""
    return replace_modules(module, {TinyViTBlock: HeadsApart})
