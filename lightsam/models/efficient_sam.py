"""EfficientSAM: a plain vision transformer, pretrained to rebuild SAM's features, in two sizes (Ti and S).

Paper: "EfficientSAM: Leveraged Masked Image Pretraining for Efficient Segment Anything" - https://arxiv.org/abs/2312.00863
Architecture and key names: https://github.com/yformer/EfficientSAM (Apache-2.0)

What differs from SAM: images are stretched to the square, without padding. A prompt has six slots, and points that
mean nothing fill what it leaves of them; there are no background points and no masks as prompts. The prompt tokens keep
their positional encoding through the decoder, whose layers are wider apart from SAM's in small things: GELU
throughout, a norm over whole maps, filters of three linear layers. Of its masks the authors only ever give the three of
an ambiguous prompt, and so do we. Low-res masks are resized bicubically, at once to the image's size.

Shapes: B images or prompts, N = 6 slots, T tokens, K = 3 masks, S = image size, E = S / 16 positions a side, P = E * E,
C channels, h heads, d = C / h.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.geometry import Fit, MaskResize, Preprocess
from lightsam.modeling.image_encoder import SAM_EMBEDDINGS, ImageEncoder, sam_neck
from lightsam.modeling.mask_decoder import BaseMaskDecoder
from lightsam.modeling.prompt_encoder import BasePromptEncoder
from lightsam.modeling.sam import Sam
from lightsam.modeling.transformer import TwoWayAttentionBlock, TwoWayTransformer
from lightsam.models.card import OFFICIAL, Download, ModelCard, Published, WeightSet
from lightsam.rules import MaskRules, Padding, PointLabel, PromptRules

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


class EncoderMLP(nn.Module):
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
        self.mlp = EncoderMLP(channels)

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


class PromptEncoder(BasePromptEncoder):
    """Points and boxes to sparse embeddings."""

    rules = PromptRules(masks=False, background=False, padding=Padding.FILL, slots=6)

    def __init__(self, image_size: int, channels: int = 256) -> None:
        super().__init__(image_size, channels)
        self.invalid_points = nn.Embedding(1, channels)
        self.point_embeddings = nn.Embedding(1, channels)
        self.bbox_top_left_embeddings = nn.Embedding(1, channels)
        self.bbox_bottom_right_embeddings = nn.Embedding(1, channels)

    def embed_points(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        embeddings = {
            PointLabel.PADDING: self.invalid_points,
            PointLabel.FOREGROUND: self.point_embeddings,
            PointLabel.BOX_TOP_LEFT: self.bbox_top_left_embeddings,
            PointLabel.BOX_BOTTOM_RIGHT: self.bbox_bottom_right_embeddings,
        }
        chosen = {label: (point_labels == label).to(point_coords.dtype)[..., None] for label in embeddings}  # (B, N, 1)
        # The authors put the padding points at (-1, -1), and their position counts.
        is_padding = chosen[PointLabel.PADDING]
        embedded = self.pe_layer((point_coords * (1 - is_padding) - is_padding + 0.5) / self.image_size)
        for label, embedding in embeddings.items():
            embedded = embedded + chosen[label] * embedding.weight
        return embedded


class DecoderMLP(nn.Module):
    """Linear layers with GELU between them; all but the last are in ``layers``."""

    def __init__(self, in_features: int, hidden: int, out_features: int, depth: int) -> None:
        super().__init__()
        widths = [in_features, *[hidden] * (depth - 1)]
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(a, b), nn.GELU()) for a, b in pairwise(widths))
        self.fc = nn.Linear(hidden, out_features)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.fc(x)


class PositionedAttentionBlock(TwoWayAttentionBlock):
    """A block whose tokens keep the positional encoding that is added to them."""

    def __init__(self, channels: int, heads: int, mlp_hidden: int, *, first: bool) -> None:
        super().__init__(channels, heads, mlp_hidden, first=first)
        self.mlp = DecoderMLP(channels, mlp_hidden, channels, 2)

    def attend_among_tokens(self, tokens: Tensor, token_pe: Tensor, token_mask: Tensor | None) -> Tensor:
        if not self.first:
            tokens = tokens + token_pe
        return tokens + self.self_attn(tokens, tokens, tokens, token_mask)


class PositionedTransformer(TwoWayTransformer):
    """The decoder's transformer."""

    block = PositionedAttentionBlock


class MapNorm(nn.Module):
    """Norm over all channels and positions of a (B, C, H, W) map, as ``nn.GroupNorm(1, channels)``.

    It holds in float16 as well: what is squared is at most one, and means are taken over one axis after the other, so
    that no sum has a million summands.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    @staticmethod
    def _mean(x: Tensor) -> Tensor:
        return x.mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)  # (B, 1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        centred = x - self._mean(x)
        peak = centred.abs().amax((1, 2, 3), keepdim=True).clamp(min=1)
        scaled = centred / peak
        # The epsilon is divided twice: in float16 the square of a large peak is infinite.
        normalised = scaled * torch.rsqrt(self._mean(scaled * scaled) + self.eps / peak / peak)
        return normalised * self.weight[:, None, None] + self.bias[:, None, None]


class MaskDecoder(BaseMaskDecoder):
    """Image and prompt embeddings to mask logits and predicted IoUs."""

    rules = MaskRules(count=3, single=False)
    """The whole, the part and the subpart. The checkpoints have a token for a single answer, too: the other tokens
    attend to it, but the authors never give its mask."""

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        tokens = 1 + self.rules.count
        self.transformer = PositionedTransformer(channels=channels)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(tokens, channels)
        self.final_output_upscaling_layers = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 2, stride=2), norm, nn.GELU())
            for a, b, norm in (
                (channels, channels // 4, MapNorm(channels // 4)),
                (channels // 4, channels // 8, nn.Identity()),
            )
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            DecoderMLP(channels, channels, channels // 8, 3) for _ in range(tokens)
        )
        self.iou_prediction_head = DecoderMLP(channels, 256, tokens, 3)

    def own_tokens(self) -> Tensor:
        return torch.cat([self.iou_token.weight, self.mask_tokens.weight])[None]

    def upscale(self, image: Tensor, *high_res_features: Tensor) -> Tensor:
        for layer in self.final_output_upscaling_layers:
            image = layer(image)
        return image

    def filters(self, tokens: Tensor) -> Tensor:
        mlps = list(self.output_hypernetworks_mlps)[1:]
        return torch.stack([mlp(tokens[:, 2 + k]) for k, mlp in enumerate(mlps)], dim=1)

    def filter_biases(self) -> list[nn.Parameter]:
        return [mlp.get_parameter("fc.bias") for mlp in list(self.output_hypernetworks_mlps)[1:]]

    def heads(self, tokens: Tensor) -> tuple[Tensor, ...]:
        return (self.iou_prediction_head(tokens[:, 0])[:, 1:],)


def build(image_size: int, config: ViTConfig) -> Sam:
    """EfficientSAM for square inputs of ``image_size`` pixels, a multiple of 16; the weights fit every size."""
    return Sam(
        ViT(image_size, config),
        PromptEncoder(image_size),
        MaskDecoder(),
        Preprocess(image_size, fit=Fit.STRETCH, mask_resize=MaskResize.BICUBIC),
    )


DAMPED = (
    *("attn.proj.weight", "mlp.fc2.weight"),
    *("q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight", "mlp.fc.weight"),
)


def _card(name: str, size: str, config: ViTConfig, file: str, coco_ap: float) -> ModelCard:
    return ModelCard(
        name=name,
        title=f"EfficientSAM-{size}",
        build=partial(build, config=config),
        image_sizes=(1024, 512, 768),
        damped=DAMPED,
        paper="https://arxiv.org/abs/2312.00863",
        source="https://github.com/yformer/EfficientSAM",
        weights=(
            WeightSet(
                OFFICIAL,
                authors="EfficientSAM's authors (Meta AI)",
                license="Apache-2.0",
                license_url="https://github.com/yformer/EfficientSAM/blob/main/LICENSE",
                sources=(Download(f"https://github.com/yformer/EfficientSAM/raw/main/weights/{file}", sha256=None),),
            ),
        ),
        published=Published("EfficientSAM paper, table 5, https://arxiv.org/abs/2312.00863", coco_ap),
    )


CARDS = (
    _card("efficient_sam_ti", "Ti", ViTConfig(channels=192, heads=3), "efficient_sam_vitt.pt", coco_ap=42.3),
    _card("efficient_sam_s", "S", ViTConfig(channels=384, heads=6), "efficient_sam_vits.pt.zip", coco_ap=44.4),
)
