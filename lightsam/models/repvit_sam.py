"""RepViT-SAM: SAM with a RepViT-M2.3 image encoder.

Paper: "RepViT-SAM: Towards Real-Time Segmenting Anything" - https://arxiv.org/abs/2312.05760
Encoder: "RepViT: Revisiting Mobile CNN From ViT Perspective" - https://arxiv.org/abs/2307.09283
Architecture and key names: https://github.com/THU-MIG/RepViT, folder sam (Apache-2.0)

What differs from SAM: the encoder alone, which is convolutional from end to end and so runs at every multiple of 16
pixels. What differs from the RepViT-M2.3 that classifies images: the last stage keeps its resolution, so that the
embeddings have a stride of 16, and there is no classifier.

Shapes: B images, S = image size, E = S / 16.
"""

from torch import Tensor, nn

from lightsam.geometry import Preprocess
from lightsam.modeling.image_encoder import ImageEncoder, sam_neck
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.repvit import DAMPED, RepViTConfig, repvit_layers
from lightsam.modeling.sam import Sam
from lightsam.models.card import (
    OFFICIAL,
    REPVIT_SAM_README,
    Download,
    ModelCard,
    Published,
    WeightSet,
    repvit_sam_readme,
)

CONFIG = RepViTConfig(channels=(80, 160, 320, 640), depths=(7, 7, 35, 2), strides=(4, 8, 16, 16), outer_norm=True)


class RepViT(ImageEncoder):
    """Normalised image (B, 3, S, S) to image embeddings (B, 256, E, E)."""

    def __init__(self, config: RepViTConfig) -> None:
        super().__init__()
        self.features = nn.Sequential(*repvit_layers(config))
        self.neck = sam_neck(config.channels[-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.neck(self.features(x))


def build(image_size: int) -> Sam:
    """RepViT-SAM for square inputs of ``image_size`` pixels; the weights fit every size."""
    return Sam(RepViT(CONFIG), PromptEncoder(image_size), MaskDecoder(), Preprocess(image_size))


CARD = ModelCard(
    name="repvit_sam",
    title="RepViT-SAM",
    build=build,
    image_sizes=(1024, 512, 768),
    damped=(*DAMPED, "token_mixer.0.conv1.weight", *MaskDecoder.damped),
    paper="https://arxiv.org/abs/2312.05760",
    source="https://github.com/THU-MIG/RepViT",
    weights=(
        WeightSet(
            OFFICIAL,
            authors="RepViT-SAM's authors",
            license="Apache-2.0",
            license_url="https://github.com/THU-MIG/RepViT/blob/main/LICENSE",
            sources=(Download("https://github.com/THU-MIG/RepViT/releases/download/v1.0/repvit_sam.pt", sha256=None),),
        ),
    ),
    published=Published(REPVIT_SAM_README, coco_ap=44.4, latencies=repvit_sam_readme(48.9, 44.8)),
)
