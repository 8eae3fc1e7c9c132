"""SAM as published: a plain vision transformer as image encoder, in three sizes (ViT-B, ViT-L and ViT-H).

Paper: "Segment Anything" - https://arxiv.org/abs/2304.02643
Encoder: "Exploring Plain Vision Transformer Backbones for Object Detection" - https://arxiv.org/abs/2203.16527
Architecture and key names: https://github.com/facebookresearch/segment-anything (Apache-2.0)

What differs from upstream: a block that attends globally is one whose only window is the whole map; windows are cut
with tensors of rank 4 at most and no tensor has a rank above 5; relative positions are matrix products with tables that
folding computes once. Position embeddings of any other size than the checkpoint's are resampled (absolute ones
bicubically, relative ones linearly), also once: that is for small builds in tests, the published models run at 1024.

Shapes: B images, S = image size, E = S / 16 positions a side, C channels, h heads, d = C / h, w = a window's side,
L = w * w, N = B * windows * h.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.geometry import Preprocess
from lightsam.modeling.common import Lookup
from lightsam.modeling.image_encoder import SAM_EMBEDDINGS, ImageEncoder, sam_neck
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.sam import Sam
from lightsam.modeling.windows import attend_in_windows
from lightsam.models.card import (
    OFFICIAL,
    REPVIT_SAM_README,
    Download,
    ModelCard,
    Published,
    WeightSet,
    repvit_sam_readme,
)

TRAINED_SIDE = 1024 // SAM_EMBEDDINGS.stride
"""Positions a side that the checkpoints' position embeddings are for."""


@dataclass(frozen=True)
class ViTConfig:
    """One of the sizes."""

    channels: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    """Blocks that attend to the whole map; the others attend within windows."""
    window: int = 14


class WindowAttention(nn.Module):
    """Attention in a window, with biases that depend on the query and on how far off the key's row and column are."""

    distances: Tensor
    row_table: Tensor | None
    column_table: Tensor | None

    def __init__(self, channels: int, heads: int, window: int, trained_window: int) -> None:
        super().__init__()
        self.heads, self.window, self.width = heads, window, channels // heads
        self.scale = self.width**-0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * trained_window - 1, self.width))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * trained_window - 1, self.width))
        position = torch.arange(window)
        distances = position[:, None] - position + window - 1  # from 0, which is the key farthest ahead
        self.register_buffer("distances", distances, persistent=False)  # (w, w)
        self.register_buffer("row_table", None, persistent=False)
        self.register_buffer("column_table", None, persistent=False)

    def _table(self, rel_pos: Tensor) -> Tensor:
        """The embedding between every two positions of an axis, (w, d, w); the query is first, the key last."""
        # Onto its own length, interpolation is the identity.
        resampled = F.interpolate(rel_pos.T[None], size=2 * self.window - 1, mode="linear")[0]  # (d, 2w - 1)
        return resampled[:, self.distances].transpose(0, 1)

    def fold(self) -> None:
        """Look both tables up once."""
        self.row_table, self.column_table = self._table(self.rel_pos_h), self._table(self.rel_pos_w)

    def lookups(self) -> dict[str, Lookup]:
        """As upstream does: by the query's place, then by the key's."""
        return {name: Lookup(0, self.distances) for name in ("rel_pos_h", "rel_pos_w")}

    def _biases(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """For queries (N, L, d): a bias for each row of keys (N, L, w, 1), and for each column (N, L, 1, w)."""
        row_table = self._table(self.rel_pos_h) if self.row_table is None else self.row_table
        column_table = self._table(self.rel_pos_w) if self.column_table is None else self.column_table
        # The position along the axis is the batch of the product, so that no table is repeated for each window.
        q = q.unflatten(1, (self.window, self.window))  # (N, w, w, d)
        rows = q.transpose(0, 1).flatten(1, 2) @ row_table  # (w, N * w, w): row of the query, ..., row of the key
        rows = rows.unflatten(1, (-1, self.window)).transpose(0, 1)  # (N, w, w, w)
        columns = q.permute(2, 0, 1, 3).flatten(1, 2) @ column_table  # (w, N * w, w): column of the query first
        columns = columns.unflatten(1, (-1, self.window)).permute(1, 2, 0, 3)  # (N, w, w, w)
        return rows.flatten(1, 2)[:, :, :, None], columns.flatten(1, 2)[:, :, None, :]

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each of the B * windows rows of (B * windows, L, C)."""
        qkv = self.qkv(x).unflatten(2, (3, self.heads, self.width))  # (B * windows, L, 3, h, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).flatten(1, 2).unbind(0)  # each (N, L, d)
        logits = (q * self.scale) @ k.transpose(1, 2)  # (N, L, L)
        rows, columns = self._biases(q)
        logits = logits.unflatten(2, (self.window, self.window)) + rows + columns  # (N, L, w, w)
        x = logits.flatten(2).softmax(dim=-1) @ v  # (N, L, d)
        x = x.unflatten(0, (-1, self.heads)).transpose(1, 2).flatten(2)  # (B * windows, L, C)
        return self.proj(x)


class MLP(nn.Module):
    """Two linear layers around a GELU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, 4 * channels)
        self.lin2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.gelu(self.lin1(x)))


class ViTBlock(nn.Module):
    """Attention and an MLP, both pre-norm with a residual; on (B, E, E, C)."""

    def __init__(self, config: ViTConfig, side: int, *, attends_globally: bool) -> None:
        super().__init__()
        channels = config.channels
        window, trained_window = (side, TRAINED_SIDE) if attends_globally else (config.window, config.window)
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = WindowAttention(channels, config.heads, window, trained_window)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = MLP(channels)
        self.side, self.window = side, window

    def forward(self, x: Tensor) -> Tensor:
        # The norm comes before the windows, so that their padding is zero behind it.
        x = x + attend_in_windows(self.norm1(x), self.attn, self.side, self.window)
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """Image (B, 3, S, S) to one position a patch, (B, E, E, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, SAM_EMBEDDINGS.stride, stride=SAM_EMBEDDINGS.stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).permute(0, 2, 3, 1)


class ViT(ImageEncoder):
    """Normalised image (B, 3, S, S) to image embeddings (B, 256, E, E)."""

    positions: Tensor | None

    def __init__(self, image_size: int, config: ViTConfig) -> None:
        super().__init__()
        self.side = image_size // SAM_EMBEDDINGS.stride
        self.patch_embed = PatchEmbed(config.channels)
        self.pos_embed = nn.Parameter(torch.zeros(1, TRAINED_SIDE, TRAINED_SIDE, config.channels))
        self.blocks = nn.ModuleList(
            ViTBlock(config, self.side, attends_globally=index in config.global_blocks) for index in range(config.depth)
        )
        self.neck = sam_neck(config.channels)
        self.register_buffer("positions", None, persistent=False)

    def _positions(self) -> Tensor:
        """The position embeddings at this size, (1, E, E, C); onto its own size, interpolation is the identity."""
        trained = self.pos_embed.permute(0, 3, 1, 2)
        return F.interpolate(trained, size=(self.side, self.side), mode="bicubic").permute(0, 2, 3, 1)

    def fold(self) -> None:
        """Resample the position embeddings once."""
        self.positions = self._positions()

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x) + (self._positions() if self.positions is None else self.positions)
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))


def build(image_size: int, config: ViTConfig) -> Sam:
    """SAM for square inputs of ``image_size`` pixels, a multiple of 16; the weights fit every size."""
    return Sam(ViT(image_size, config), PromptEncoder(image_size), MaskDecoder(), Preprocess(image_size))


DAMPED = ("patch_embed.proj.weight", "attn.proj.weight", "lin2.weight", *MaskDecoder.damped)


def _card(size: str, config: ViTConfig, file: str, sha256: str, published: Published) -> ModelCard:
    return ModelCard(
        name=f"sam_vit_{size.lower()}",
        title=f"SAM ViT-{size}",
        build=partial(build, config=config),
        image_sizes=(1024,),
        damped=DAMPED,
        paper="https://arxiv.org/abs/2304.02643",
        source="https://github.com/facebookresearch/segment-anything",
        weights=(
            WeightSet(
                OFFICIAL,
                authors="Segment Anything's authors (Meta AI)",
                license="Apache-2.0",
                license_url="https://github.com/facebookresearch/segment-anything/blob/main/LICENSE",
                sources=(Download(f"https://dl.fbaipublicfiles.com/segment_anything/{file}", sha256),),
            ),
        ),
        published=published,
    )


CARDS = (
    _card(
        "B",
        ViTConfig(channels=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11)),
        "sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        Published(REPVIT_SAM_README, coco_ap=42.5, latencies=repvit_sam_readme("out of memory", 6249.5)),
    ),
    _card(
        "L",
        ViTConfig(channels=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23)),
        "sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        Published(),
    ),
    _card(
        "H",
        ViTConfig(channels=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31)),
        "sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        Published(REPVIT_SAM_README, coco_ap=46.8),
    ),
)
