"""TinyViT as ONNX Runtime likes it on the CPU.

Its convolutions run in a blocked layout, NCHWc. A map is brought into and out of it on all threads, transposed on the
way if need be; what pads, slices, splits and transposes elsewhere runs on one. So a block's map stays a convolution's,
and the last convolutions of attention and MLP add their residuals. Windows are cut and put together by `Gather`, which
runs on all threads. Products without an offset run at the machine's rate, those with one (`Gemm`) a third slower, so
that keys and values have none.

Shapes: C channels, h heads, d = C / h, W windows of L positions, P = H * W positions of the map.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.models.mobile_sam import MLP, TinyViTBlock, TinyViTStage, WindowAttention

from .layers import behind, pointwise
from .replacing import replace_modules


def window_rows(side: int, window: int) -> Tensor:
    """Which position of a map each position of a window is: (L, W), with side * side for one of the padding."""
    across = -(-side // window)
    places = torch.full((across * window, across * window), side * side, dtype=torch.int32)
    places[:side, :side] = torch.arange(side * side, dtype=torch.int32).view(side, side)
    return places.view(across, window, across, window).permute(1, 3, 0, 2).reshape(window**2, across**2)


def map_rows(side: int, window: int, heads: int) -> Tensor:
    """Which row of (W, h, L) each position and head of a map is: (P * h,)."""
    across = -(-side // window)
    rows = torch.arange((across * window) ** 2 * heads, dtype=torch.int32)
    rows = rows.view(across, across, heads, window, window).permute(0, 3, 1, 4, 2)
    return rows.reshape(across * window, across * window, heads)[:side, :side].flatten().contiguous()


class Attention(nn.Module):
    """Window attention of a map (1, C, H, W), and the residual.

    The norm's scale and shift are in the projections. What a window is padded with is zero behind the norm: it would
    give keys and values their offsets alone. A key's offset adds the same to all logits of a query, which a softmax
    does not see; a value's comes out as it is, because weights sum to one, and is in the last offset.
    """

    bias: Tensor
    cut: Tensor
    join: Tensor

    def __init__(self, attention: WindowAttention, side: int, cut: Tensor, join: Tensor) -> None:
        super().__init__()
        heads, channels = attention.heads, attention.proj.in_features
        assert attention.bias is not None  # of a folded graph
        weight, offset = behind(attention.norm, attention.qkv.weight, attention.qkv.bias)
        # Upstream has queries, keys and values of one head after the other.
        query, key, value = weight.view(heads, 3, -1, channels).transpose(0, 1).flatten(1, 2)
        of_queries, _, of_values = offset.view(heads, 3, -1).transpose(0, 1).flatten(1)
        self.query = nn.Parameter((query * attention.scale).T.float().contiguous())  # (C, C), as are the others
        self.offset = nn.Parameter((of_queries * attention.scale).float())
        self.key, self.value = (nn.Parameter(matrix.T.float().contiguous()) for matrix in (key, value))
        proj = attention.proj.weight.double()
        self.proj = pointwise(proj, attention.proj.bias.double() + proj @ of_values)
        self.heads, self.channels, self.side, self.eps = heads, channels, side, attention.norm.eps
        self.padded = cut.numel() > side * side
        for name, table in (("bias", attention.bias), ("cut", cut), ("join", join)):
            self.register_buffer(name, table, persistent=False)  # (h, L, L), (L, W), (P * h,)

    def forward(self, x: Tensor) -> Tensor:
        positions, windows = self.cut.shape
        normed = F.layer_norm(x.permute(0, 2, 3, 1), (self.channels,), eps=self.eps).reshape(-1, self.channels)
        if self.padded:
            normed = F.pad(normed, (0, 0, 0, 1))  # the row of every position of the padding
        # Positions before windows: then a head's rows are where a product finds them, and nothing is transposed.
        rows = normed.index_select(0, self.cut.flatten()).view(positions, windows, self.channels)
        q, k, v = (
            projected.reshape(positions, windows * self.heads, -1)
            for projected in (rows @ self.query + self.offset, rows @ self.key, rows @ self.value)
        )
        logits = (q.permute(1, 0, 2) @ k.permute(1, 2, 0)).view(windows, self.heads, positions, positions) + self.bias
        attended = logits.softmax(-1).flatten(0, 1) @ v.permute(1, 0, 2)  # (W * h, L, d)
        attended = attended.flatten(0, 1).index_select(0, self.join).view(1, self.side, self.side, self.channels)
        return x + self.proj(attended.permute(0, 3, 1, 2))


class PointwiseMLP(nn.Module):
    """An MLP as pointwise convolutions of a map (1, C, H, W), and the residual."""

    def __init__(self, mlp: MLP) -> None:
        super().__init__()
        self.eps = mlp.norm.eps
        self.fc1 = pointwise(*behind(mlp.norm, mlp.fc1.weight, mlp.fc1.bias))
        self.fc2 = pointwise(mlp.fc2.weight, mlp.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        normed = F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), eps=self.eps).permute(0, 3, 1, 2)
        return x + self.fc2(F.gelu(self.fc1(normed)))


def _stage(stage: TinyViTStage) -> nn.Module:
    if not stage.channels_last:
        return stage
    blocks: list[nn.Module] = []
    tables: tuple[Tensor, Tensor] | None = None
    for block in stage.blocks:
        assert isinstance(block, TinyViTBlock)
        if tables is None:  # one pair a stage, in the file, too
            tables = (
                window_rows(block.resolution, block.window),
                map_rows(block.resolution, block.window, block.attn.heads),
            )
        parts = {  # the model's own names
            "attn": Attention(block.attn, block.resolution, *tables),
            "local_conv": block.local_conv,
            "mlp": PointwiseMLP(block.mlp),
        }
        blocks.append(nn.Sequential(OrderedDict(parts)))
    return TinyViTStage(blocks, stage.downsample, channels_last=False)


@torch.no_grad()
def windows_by_rows(module: nn.Module) -> nn.Module | None:
    """TinyViT on maps whose channels come first, its windows gathered row by row."""
    return replace_modules(module, {TinyViTStage: _stage})
