"""Attention in windows of a map whose channels come first, with keys before queries.

Core ML of macOS 26 fuses products, an addition and a softmax over the last axis, ``softmax(q @ k.T + bias) @ v``, into
one kernel of the GPU, which is wrong where the leading dimension is 10 or more: windows, mostly.
https://github.com/apple/coremltools/issues/2650
Here logits are ``k.T @ q``, of a key and a query, the softmax goes over the last axis but one, and the result is
``v @ attention``: no operation is added, and nothing is transposed, if a head's channels come before its positions. So
they do in Apple's own form for the Neural Engine, which projects by pointwise convolutions of whole maps, too:
https://github.com/apple/coreai-models

What a window's padding is to its keys and values is the same everywhere. Taken off all keys, it changes a query's
logits by one number, which a softmax does not see; taken off all values, it comes back as an offset of the result. So a
map can be projected before it is padded, by zeros.

Shapes: C channels, h heads, d = C / h, w = a window's side, L = w * w positions, W windows.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.models import mobile_sam, sam2, sam_vit

from .layers import behind, pointwise


class ChannelNorm(nn.Module):
    """Norm over the channels of (1, C, H, W), without scale and shift: the layer behind it has them."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # As in `LayerNorm2d`: the form in which Core ML's converter recognises a norm.
        centred = x - x.mean(1, keepdim=True)
        return centred * torch.rsqrt((centred * centred).mean(1, keepdim=True) + self.eps)


@dataclass(frozen=True)
class Windows:
    """How a map is cut."""

    side: int
    """Of the map."""
    window: int
    """Of a window; the last ones are padded with zeros."""

    @property
    def across(self) -> int:
        """Windows along a side."""
        return -(-self.side // self.window)

    def cut(self, x: Tensor, width: int) -> Tensor:
        """(1, n * width, side, side) to (W, n, width, L)."""
        missing = self.across * self.window - self.side
        if missing:  # coremltools 9.0 does not convert a pad of nothing
            x = F.pad(x, (0, missing, 0, missing))
        if self.across > 1:
            x = x.reshape(-1, self.across, self.window, self.across, self.window).permute(1, 3, 0, 2, 4)
        return x.reshape(self.across**2, -1, width, self.window**2)

    def join(self, x: Tensor) -> Tensor:
        """(W, n, width, L) to (1, n * width, side, side), the inverse."""
        padded = self.across * self.window
        if self.across > 1:
            x = x.reshape(self.across, self.across, -1, self.window, self.window).permute(2, 0, 3, 1, 4)
        x = x.reshape(1, -1, padded, padded)
        return x[:, :, : self.side, : self.side] if padded > self.side else x

    def halved(self) -> "Windows":
        """Those of a map of half the side."""
        return Windows(self.side // 2, self.window // 2)


class KeysFirstAttention(nn.Module):
    """Attention in windows of (1, in C, side, side), behind a `ChannelNorm`; gives (1, C, side', side')."""

    def __init__(
        self,
        norm: nn.LayerNorm,
        qkv: tuple[Tensor, Tensor],
        proj: nn.Linear,
        heads: int,
        windows: Windows,
        *,
        pads_before_norm: bool = False,
        halves: bool = False,
    ) -> None:
        """Take the weights of an attention.

        Args:
            norm: before it.
            qkv: weight (3C, in C) and bias (3C,) of its queries, keys and values, each in the order of the heads.
            proj: behind it.
            pads_before_norm: whether the padding of windows goes through the norm, too.
            halves: whether the queries are the largest of every 2 x 2 positions.
        """
        super().__init__()
        self.width, self.windows, self.halves = proj.in_features // heads, windows, halves
        self.joined = windows.halved() if halves else windows
        weight, bias = behind(norm, *qkv)
        # The norm makes its own shift of zeros; behind it, zeros stay.
        of_padding = bias if pads_before_norm else qkv[1].double()
        _, keys, values = of_padding.chunk(3)
        taken_off = torch.cat([torch.zeros_like(keys), keys, values])
        scales = torch.ones_like(bias)
        scales[: proj.in_features] = self.width**-0.5  # of the queries
        self.qkv = pointwise(weight * scales[:, None], (bias - taken_off) * scales)
        self.proj = pointwise(proj.weight, proj.bias.double() + proj.weight.double() @ values)

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled queries (W, h, d, L'), keys and values (W, h, d, L)."""
        qkv = self.qkv(x)
        if self.halves:
            q, kv = qkv.split((qkv.shape[1] // 3, qkv.shape[1] // 3 * 2), dim=1)
            # With the stride given: coremltools 9.0 does not know torch's default.
            q = self.joined.cut(F.max_pool2d(q, 2, stride=2), self.width)
            k, v = self.windows.cut(kv, self.width).chunk(2, dim=1)
        else:
            q, k, v = self.windows.cut(qkv, self.width).chunk(3, dim=1)
        return q, k, v

    def biased(self, logits: Tensor, q: Tensor) -> Tensor:
        """Add what depends on the positions to logits (W, h, L, L'), of keys and queries."""
        return logits

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.projected(x)
        attention = self.biased(k.transpose(2, 3) @ q, q).softmax(dim=2)
        return self.proj(self.joined.join(v @ attention))


class BiasedAttention(KeysFirstAttention):
    """TinyViT's, with a constant for every two positions."""

    bias: Tensor

    def __init__(self, attention: mobile_sam.WindowAttention, windows: Windows) -> None:
        # Upstream has queries, keys and values of one head after the other.
        weight, offset = (
            tensor.unflatten(0, (attention.heads, 3, -1)).transpose(0, 1).flatten(0, 2)
            for tensor in (attention.qkv.weight, attention.qkv.bias)
        )
        qkv = weight, offset
        super().__init__(attention.norm, qkv, attention.proj, attention.heads, windows, pads_before_norm=True)
        assert attention.bias is not None  # of a folded graph
        bias = attention.bias.transpose(1, 2).contiguous()  # (h, keys, queries)
        self.register_buffer("bias", bias, persistent=False)

    def biased(self, logits: Tensor, q: Tensor) -> Tensor:
        """Add the constants."""
        return logits + self.bias


class RelativeAttention(KeysFirstAttention):
    """SAM's, with biases of the query and of how far off the key's row and column are."""

    row_table: Tensor
    column_table: Tensor

    def __init__(self, norm: nn.LayerNorm, attention: sam_vit.WindowAttention, windows: Windows) -> None:
        qkv = attention.qkv.weight, attention.qkv.bias
        super().__init__(norm, qkv, attention.proj, attention.heads, windows)
        assert attention.row_table is not None  # of a folded graph
        assert attention.column_table is not None
        # (w, w, d), the query's place first and the key's second; for queries that are scaled.
        for name, table in (("row_table", attention.row_table), ("column_table", attention.column_table)):
            self.register_buffer(name, (table / attention.scale).transpose(1, 2).contiguous(), persistent=False)

    def biased(self, logits: Tensor, q: Tensor) -> Tensor:
        """Add a bias for each row of keys, and for each column."""
        w = self.windows.window
        q = q.reshape(-1, self.width, w, w)  # (N = W * h, d, row, column)
        # The place along the axis is the batch of the product, so that no table is repeated for each window.
        rows = self.row_table @ q.permute(2, 1, 0, 3).flatten(2)  # (row, key's row, N * column)
        rows = rows.unflatten(2, (-1, w)).permute(2, 1, 0, 3)  # (N, key's row, row, column)
        columns = self.column_table @ q.permute(3, 1, 0, 2).flatten(2)  # (column, key's column, N * row)
        columns = columns.unflatten(2, (-1, w)).permute(2, 1, 3, 0)  # (N, key's column, row, column)
        by_place = logits.reshape(-1, w, w, w * w)
        by_place = by_place + rows.reshape(-1, w, 1, w * w) + columns.reshape(-1, 1, w, w * w)
        return by_place.reshape(logits.shape)


class HalvingAttention(KeysFirstAttention):
    """Hiera's, which may halve the map."""

    def __init__(self, norm: nn.LayerNorm, attention: sam2.WindowAttention, windows: Windows) -> None:
        qkv = attention.qkv.weight, attention.qkv.bias
        super().__init__(norm, qkv, attention.proj, attention.heads, windows, halves=attention.halves)
