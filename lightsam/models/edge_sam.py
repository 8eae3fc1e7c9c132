"""EdgeSAM: SAM with a RepViT-M1 image encoder, distilled with prompts in the loop.

Paper: "EdgeSAM: Prompt-In-the-Loop Distillation for On-Device Deployment of SAM" - https://arxiv.org/abs/2312.06660
Encoder: "RepViT: Revisiting Mobile CNN From ViT Perspective" - https://arxiv.org/abs/2307.09283
Architecture and key names: https://github.com/chongzhou96/EdgeSAM (S-Lab License 1.0: no commercial use)

What differs from SAM: the encoder, and nothing in prompt encoder and decoder but their weights. Its IoU token was not
distilled: the authors rank masks by how stable they are, not by the predicted IoU.
What differs from RepViT-SAM: the last stage halves the resolution as in a classifier, to a stride of 32, and is fused
with the one before. The coarse features are enlarged bicubically, as upstream trains and runs the model in PyTorch;
its own exports put bilinear there, which is another function. Here it is two products with a constant matrix, which
every format has.

Shapes: B images, S = image size, E = S / 16.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.geometry import Preprocess
from lightsam.modeling.image_encoder import SAM_EMBEDDINGS, ImageEncoder, sam_neck
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.repvit import DAMPED, RepViTConfig, repvit_layers
from lightsam.modeling.sam import Sam
from lightsam.models.card import OFFICIAL, Download, ModelCard, Published, WeightSet

CONFIG = RepViTConfig(channels=(48, 96, 192, 384), depths=(3, 3, 15, 2), strides=(4, 8, 16, 32), outer_norm=False)


class BicubicDoubling(nn.Module):
    """Twice the resolution of (B, C, side, side), bicubically."""

    matrix: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("matrix", self._matrix(side, "bicubic"), persistent=False)  # (2 * side, side)

    @staticmethod
    def _matrix(side: int, mode: str) -> Tensor:
        # Resampling is linear along each axis, so what it does to the unit vectors is all that there is to know.
        return F.interpolate(torch.eye(side)[None, None], size=(2 * side, side), mode=mode)[0, 0]

    def use_mode(self, mode: str) -> None:
        """Enlarge by another of PyTorch's modes: what upstream's own exports do is compared with that."""
        self.matrix = self._matrix(self.matrix.shape[1], mode)

    def forward(self, x: Tensor) -> Tensor:
        return self.matrix @ x @ self.matrix.T  # (B, C, 2 * side, 2 * side)


class CoarseBranch(nn.Module):
    """Features at stride 32 to the width and resolution of the embeddings."""

    def __init__(self, in_channels: int, side: int) -> None:
        super().__init__()
        self.op_list = nn.Sequential(
            nn.Conv2d(in_channels, SAM_EMBEDDINGS.channels, 1, bias=False),
            BicubicDoubling(side),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.op_list(x)


class FusedRepViT(ImageEncoder):
    """Normalised image (B, 3, S, S) to image embeddings (B, 256, E, E)."""

    def __init__(self, image_size: int, config: RepViTConfig) -> None:
        super().__init__()
        self.features = nn.ModuleList(repvit_layers(config))
        self.coarse_blocks = 1 + config.depths[-1]
        # Upstream counts stages from 0: these are the third and the fourth.
        self.fuse_stage2 = nn.Conv2d(config.channels[2], SAM_EMBEDDINGS.channels, 1, bias=False)
        self.fuse_stage3 = CoarseBranch(config.channels[3], image_size // config.strides[3])
        self.neck = sam_neck(SAM_EMBEDDINGS.channels)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.features[: -self.coarse_blocks]:
            x = block(x)
        fine = x  # (B, 192, E, E)
        for block in self.features[-self.coarse_blocks :]:
            x = block(x)  # (B, 384, E / 2, E / 2)
        return self.neck(self.fuse_stage2(fine) + self.fuse_stage3(x))


def build(image_size: int) -> Sam:
    """EdgeSAM for square inputs of ``image_size`` pixels; the weights fit every size."""
    return Sam(FusedRepViT(image_size, CONFIG), PromptEncoder(image_size), MaskDecoder(), Preprocess(image_size))


CARD = ModelCard(
    name="edge_sam",
    title="EdgeSAM",
    build=build,
    image_sizes=(1024, 512, 768),
    damped=(*DAMPED, *MaskDecoder.damped),
    paper="https://arxiv.org/abs/2312.06660",
    source="https://github.com/chongzhou96/EdgeSAM",
    weights=(
        WeightSet(
            OFFICIAL,
            authors="EdgeSAM's authors",
            license="LicenseRef-S-Lab-1.0",
            license_url="https://github.com/chongzhou96/EdgeSAM/blob/master/LICENSE",
            commercial_use=False,
            # EdgeSAM-3x, the best of the published: the architecture of edge_sam.pth, trained on three times the
            # images.
            sources=(
                Download(
                    "https://huggingface.co/spaces/chongzhou/EdgeSAM/resolve/main/weights/edge_sam_3x.pth", sha256=None
                ),
            ),
        ),
    ),
    published=Published("EdgeSAM README, https://github.com/chongzhou96/EdgeSAM", coco_ap=42.7),
)
