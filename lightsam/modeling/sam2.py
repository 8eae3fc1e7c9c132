"""What the image modes of SAM 2 and of its light followers share: neck, prompt encoder and mask decoder.

Paper: "SAM 2: Segment Anything in Images and Videos" - https://arxiv.org/abs/2408.00714
Architecture and key names: https://github.com/facebookresearch/sam2 (Apache-2.0). What differs: the decoder's
projections of the two fine maps belong to the neck, because they are run once an image and not once a prompt; all four
masks are always returned; memories and video are left out.

Shapes: B prompts, S = image size, E = S / 16, C = 256 channels.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.modeling.image_encoder import SAM_EMBEDDINGS, FeatureMap, ImageEncoder

_MEANING = "Finer features: the encoder's output goes into the decoder as it is"
FEATURE_MAPS = (
    SAM_EMBEDDINGS,
    FeatureMap("high_res_features_0", 32, 4, _MEANING),
    FeatureMap("high_res_features_1", 64, 8, _MEANING),
)
"""What passes from the encoder to the decoder."""


class ProjectedLateral(nn.Sequential):
    """A lateral convolution of the neck and the decoder's projection of it; both are pointwise, so they are one."""

    def __init__(self, in_channels: int, channels: int, out_channels: int) -> None:
        conv, projection = nn.Conv2d(in_channels, channels, 1), nn.Conv2d(channels, out_channels, 1)
        super().__init__(OrderedDict(conv=conv, projection=projection))

    def reparametrize(self) -> nn.Conv2d:
        """The product of both; of 96 channels at S / 4 it takes a tenth of the arithmetic."""
        conv, projection = self
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(projection, nn.Conv2d)
        assert conv.bias is not None
        assert projection.bias is not None
        # In float64, because the sum of the products is rounded to float32 anyhow.
        matrix = projection.weight[:, :, 0, 0].double()
        joined = nn.Conv2d(conv.in_channels, projection.out_channels, 1).to(conv.weight)
        joined.weight = nn.Parameter((matrix @ conv.weight[:, :, 0, 0].double())[:, :, None, None].to(conv.weight))
        joined.bias = nn.Parameter((matrix @ conv.bias.double() + projection.bias.double()).to(conv.bias))
        return joined.eval()

    def restored(self, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
        """The state whose first convolution does everything, and whose projection takes its first channels."""
        state = {name: torch.zeros_like(tensor) for name, tensor in self.state_dict().items()}
        state["conv.weight"][: len(weight)] = weight
        state["conv.bias"][: len(bias)] = bias
        state["projection.weight"][:, : len(weight), 0, 0] = torch.eye(len(weight))
        return state


class PyramidNeck(nn.Module):
    """Four maps of a backbone to image embeddings and two finer maps.

    The coarsest map only helps the second coarsest; the finer ones go to the decoder as they are.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        """Make a neck.

        Args:
            widths: channels of the backbone's maps, the finest (S / 4) first.
        """
        super().__init__()
        finest, fine, coarse, coarsest = widths
        embeddings, high_res_0, high_res_1 = (one.channels for one in FEATURE_MAPS)
        self.convs = nn.ModuleList(
            (
                nn.Sequential(OrderedDict(conv=nn.Conv2d(coarsest, embeddings, 1))),
                nn.Sequential(OrderedDict(conv=nn.Conv2d(coarse, embeddings, 1))),
                ProjectedLateral(fine, embeddings, high_res_1),
                ProjectedLateral(finest, embeddings, high_res_0),
            )
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Join the maps of a backbone, (1, width, S / 4, S / 4) to (1, width, S / 32, S / 32).

        Returns:
            (1, 256, S / 16, S / 16), (1, 32, S / 4, S / 4) and (1, 64, S / 8, S / 8).
        """
        coarsest, coarse, fine, finest = (conv(x) for conv, x in zip(self.convs, reversed(maps), strict=True))
        return coarse + F.interpolate(coarsest, scale_factor=2.0, mode="nearest"), finest, fine


class PyramidEncoder(ImageEncoder):
    """A backbone of four maps and the neck: a normalised image (1, 3, S, S) to the three `FEATURE_MAPS`."""

    feature_maps = FEATURE_MAPS

    def __init__(self, trunk: nn.Module, widths: Sequence[int]) -> None:
        """Join both.

        Args:
            trunk: gives four maps, (1, width, S / 4, S / 4) to (1, width, S / 32, S / 32).
            widths: of these maps.
        """
        super().__init__()
        self.trunk = trunk
        self.neck = PyramidNeck(widths)
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, SAM_EMBEDDINGS.channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embeddings, high_res_0, high_res_1 = self.neck(self.trunk(x))
        # An image is a video whose first frame has no memories yet.
        return embeddings + self.no_mem_embed.reshape(1, -1, 1, 1), high_res_0, high_res_1
