"""EdgeTAM in image mode: SAM 2 with a RepViT-M1 image encoder.

Paper: "EdgeTAM: On-Device Track Anything Model" - https://arxiv.org/abs/2501.07256
Encoder: "RepViT: Revisiting Mobile CNN From ViT Perspective" - https://arxiv.org/abs/2307.09283
Architecture and key names: https://github.com/facebookresearch/EdgeTAM (Apache-2.0), whose RepViT is timm's,
https://github.com/huggingface/pytorch-image-models (Apache-2.0)

What differs from SAM 2: the backbone, and nothing in neck, prompt encoder and mask decoder but their weights.
What differs from EdgeSAM, whose backbone has the same blocks: every stage gives a map, and the first three give theirs
before their last block, which timm counts to the change of resolution behind it. Memories, and the perceiver that
makes them small, are for video and are left out. So are the authors' frame rates, which are of no single stage.

Shapes: B images, S = image size.
"""

from collections import OrderedDict

from torch import Tensor, nn

from lightsam.geometry import Fit, Preprocess
from lightsam.modeling.repvit import DAMPED, RepViTConfig, repvit_layers
from lightsam.modeling.sam import Sam
from lightsam.modeling.sam2 import LEFT_OUT, RENAMED, PyramidEncoder, Sam2MaskDecoder, Sam2PromptEncoder
from lightsam.models.card import OFFICIAL, Download, ModelCard, WeightSet

CONFIG = RepViTConfig(channels=(48, 96, 192, 384), depths=(3, 3, 15, 2), strides=(4, 8, 16, 32), outer_norm=False)


class RepViTStages(nn.Module):
    """Normalised image (B, 3, S, S) to the maps of all stages, (B, C, S / 4, S / 4) first."""

    def __init__(self, config: RepViTConfig) -> None:
        super().__init__()
        layers = iter(repvit_layers(config))
        self.stem = next(layers)
        self.stages = nn.ModuleList()
        for stage, depth in enumerate(config.depths):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            if stage > 0:  # the last block of the stage before, and the one that changes width and resolution
                parts["downsample"] = nn.Sequential(OrderedDict(pre_block=next(layers), change=next(layers)))
            is_last = stage + 1 == len(config.depths)
            parts["blocks"] = nn.Sequential(*(next(layers) for _ in range(depth if is_last else depth - 1)))
            self.stages.append(nn.Sequential(parts))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


TIMM_NAMES = {
    r"stem\.conv1": "stem.0",
    r"stem\.conv2": "stem.2",
    r"stages_(\d)\.downsample\.spatial_downsample": r"stages.\1.downsample.change.token_mixer.0",
    r"stages_(\d)\.downsample\.channel_downsample": r"stages.\1.downsample.change.token_mixer.2",
    r"stages_(\d)\.downsample\.ffn\.conv1": r"stages.\1.downsample.change.channel_mixer.m.0",
    r"stages_(\d)\.downsample\.ffn\.conv2": r"stages.\1.downsample.change.channel_mixer.m.2",
    r"stages_(\d)\.(.+)\.token_mixer": r"stages.\1.\2.token_mixer.0",
    r"stages_(\d)\.(.+)\.se": r"stages.\1.\2.token_mixer.1",
    r"stages_(\d)\.(.+)\.channel_mixer\.conv1": r"stages.\1.\2.channel_mixer.m.0",
    r"stages_(\d)\.(.+)\.channel_mixer\.conv2": r"stages.\1.\2.channel_mixer.m.2",
}
"""Layers of timm's RepViT, as regular expressions, and what they are called here."""


def build(image_size: int, config: RepViTConfig = CONFIG) -> Sam:
    """EdgeTAM for square inputs of ``image_size`` pixels; the weights fit every size."""
    encoder = PyramidEncoder(RepViTStages(config), config.channels)
    preprocess = Preprocess(image_size, fit=Fit.STRETCH)
    return Sam(encoder, Sam2PromptEncoder(image_size), Sam2MaskDecoder(), preprocess)


CARD = ModelCard(
    name="edge_tam",
    title="EdgeTAM",
    build=build,
    image_sizes=(1024, 512, 768),
    damped=(*DAMPED, *Sam2MaskDecoder.damped),
    renamed={
        **{
            rf"^image_encoder\.trunk\.body\.{timm}\.": f"image_encoder.trunk.{ours}."
            for timm, ours in TIMM_NAMES.items()
        },
        **RENAMED,
    },
    left_out=(*LEFT_OUT, "spatial_perceiver."),
    paper="https://arxiv.org/abs/2501.07256",
    source="https://github.com/facebookresearch/EdgeTAM",
    weights=(
        WeightSet(
            OFFICIAL,
            authors="EdgeTAM's authors (Meta)",
            license="Apache-2.0",
            license_url="https://github.com/facebookresearch/EdgeTAM/blob/main/LICENSE",
            sources=(
                Download("https://github.com/facebookresearch/EdgeTAM/raw/main/checkpoints/edgetam.pt", sha256=None),
            ),
        ),
    ),
)
