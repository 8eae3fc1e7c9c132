"""Small models of the real kinds of layer, so that a test can convert each in seconds."""

from functools import cache, partial

import torch
from torch import nn

from lightsam.geometry import Preprocess
from lightsam.modeling.image_encoder import ImageEncoder
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.repvit import RepViTConfig
from lightsam.modeling.sam import Sam
from lightsam.models import (
    MODELS,
    ModelCard,
    WeightSet,
    edge_sam,
    efficient_sam,
    mobile_sam,
    repvit_sam,
    sam2,
    sam_vit,
)
from lightsam.models.card import OFFICIAL, Download
from lightsam.models.edge_sam import FusedRepViT
from lightsam.models.mobile_sam import TinyViT, TinyViTConfig
from lightsam.models.repvit_sam import RepViT
from lightsam.models.sam2 import HieraConfig
from lightsam.models.sam2 import build as build_sam2
from lightsam.models.sam_vit import ViTConfig
from lightsam.models.sam_vit import build as build_vit
from lightsam.stages import STAGE_NAMES

PUBLISHED = tuple(MODELS)
"""The models of the registry, before these join them."""
NAME = "tiny_sam"
SIZE = 128

TINY_VIT = TinyViTConfig(
    channels=(16, 32, 40, 64), depths=(1, 1, 1, 1), heads=(1, 2, 2, 4), windows=(7, 7, 14, 7), classes=10
)
REPVIT = RepViTConfig(channels=(16, 24, 32, 40), depths=(1, 1, 3, 2), strides=(4, 8, 16, 16), outer_norm=True)
EDGE = RepViTConfig(channels=(16, 24, 32, 40), depths=(1, 1, 3, 2), strides=(4, 8, 16, 32), outer_norm=False)
PLAIN_VIT = efficient_sam.ViTConfig(channels=48, heads=3, depth=2)
VIT = ViTConfig(channels=64, depth=2, heads=2, global_blocks=(1,), window=5)
HIERA = HieraConfig(depths=(1, 1, 2, 2), global_blocks=(3,), channels=16, windows=(8, 4, 6, 3))


def compose(image_encoder: ImageEncoder, image_size: int) -> Sam:
    """An encoder, and SAM's own parts for everything else."""
    return Sam(image_encoder, PromptEncoder(image_size), MaskDecoder(), Preprocess(image_size))


def build(image_size: int) -> Sam:
    """TinyViT cut down."""
    return compose(TinyViT(image_size, TINY_VIT), image_size)


def build_repvit(image_size: int) -> Sam:
    """RepViT cut down, with gates and an outer norm."""
    return compose(RepViT(REPVIT), image_size)


def build_edge(image_size: int) -> Sam:
    """EdgeSAM's encoder cut down, with its bicubic fusion."""
    return compose(FusedRepViT(image_size, EDGE), image_size)


def official(url: str, sha256: str | None = None, **changes) -> WeightSet:
    """The weights of the tiny models' authors, at an address."""
    facts = {"authors": "tiny authors", "license": "CC0-1.0", "license_url": "https://example.org/license"}
    return WeightSet(OFFICIAL, sources=(Download(url, sha256),), **{**facts, **changes})


def _card(name: str, build, damped: tuple[str, ...], **names) -> ModelCard:
    return ModelCard(
        name=name,
        title=name.replace("_", " ").title(),
        build=build,
        image_sizes=(SIZE, 192),
        paper="https://example.org/paper",
        source="https://example.org/source",
        weights=(official("http://127.0.0.1:9/tiny_sam.pt"),),
        damped=damped,
        **names,
    )


CARD = _card(NAME, build, mobile_sam.CARD.damped)
CARDS = (
    CARD,
    _card("tiny_repvit", build_repvit, repvit_sam.CARD.damped),
    _card("tiny_edge", build_edge, edge_sam.CARD.damped),
    _card("tiny_efficient", partial(efficient_sam.build, config=PLAIN_VIT), efficient_sam.DAMPED),
    _card("tiny_vit", partial(build_vit, config=VIT), sam_vit.CARDS[0].damped),
    _card("tiny_sam2", partial(build_sam2, config=HIERA), sam2.DAMPED, renamed=sam2.RENAMED, left_out=sam2.LEFT_OUT),
)


@cache
def _first_of_each_decoder() -> set[str]:
    first: dict[tuple[type, type], str] = {}
    for card in CARDS:
        sam = card.skeleton(SIZE)
        first.setdefault((type(sam.prompt_encoder), type(sam.mask_decoder)), card.name)
    return set(first.values())


def tested_stages(model: str) -> tuple[str, ...]:
    """What the tests convert of a model: of models that share a decoder's code, all but the first without theirs."""
    return STAGE_NAMES if model in _first_of_each_decoder() else STAGE_NAMES[:1]


def register() -> None:
    """Put them into the registry, as a new model's own file would."""
    MODELS.update({card.name: card for card in CARDS})


@torch.no_grad()
def randomise(module: nn.Module) -> nn.Module:
    """Give every tensor of a layer values between 0.5 and 1.5, the same every time, and set it to evaluation."""
    generator = torch.Generator().manual_seed(1)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return module.eval()
