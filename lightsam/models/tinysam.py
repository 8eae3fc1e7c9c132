"""TinySAM: MobileSAM's architecture, all of it distilled from SAM ViT-H.

Paper: "TinySAM: Pushing the Envelope for Efficient Segment Anything Model" - https://arxiv.org/abs/2312.13789
Architecture and key names: https://github.com/xinghaochen/TinySAM (Apache-2.0)

What differs from MobileSAM: the weights, and which masks are given. MobileSAM distills the image encoder and keeps
SAM's decoder; here the decoder is trained as well, and the authors only ever use its masks 1 to 3, of which the best by
predicted IoU answers a box as it answers a point. Keys and shapes of the checkpoints are the same, down to the ImageNet
head that is never run.
"""

from lightsam.geometry import Preprocess
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.sam import Sam
from lightsam.models.card import OFFICIAL, Download, ModelCard, Published, WeightSet
from lightsam.models.mobile_sam import DAMPED, TinyViT, TinyViTConfig
from lightsam.rules import MaskRules


class MultimaskDecoder(MaskDecoder):
    """SAM's, of whose masks those of an ambiguous prompt answer every prompt."""

    rules = MaskRules(count=3, single=False)


def build(image_size: int) -> Sam:
    """TinySAM for square inputs of ``image_size`` pixels; the weights fit every size."""
    encoder = TinyViT(image_size, TinyViTConfig())
    return Sam(encoder, PromptEncoder(image_size), MultimaskDecoder(), Preprocess(image_size))


CARD = ModelCard(
    name="tinysam",
    title="TinySAM",
    build=build,
    image_sizes=(1024, 512, 768),
    damped=DAMPED,
    paper="https://arxiv.org/abs/2312.13789",
    source="https://github.com/xinghaochen/TinySAM",
    weights=(
        WeightSet(
            OFFICIAL,
            authors="TinySAM's authors",
            license="Apache-2.0",
            license_url="https://github.com/xinghaochen/TinySAM/blob/main/LICENSE",
            sources=(
                Download("https://github.com/xinghaochen/TinySAM/releases/download/3.0/tinysam_42.3.pth", sha256=None),
            ),
        ),
    ),
    published=Published("TinySAM README, https://github.com/xinghaochen/TinySAM", coco_ap=42.3),
)
