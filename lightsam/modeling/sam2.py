"""What the image modes of SAM 2 and of its light followers share: neck, prompt encoder and mask decoder.

Paper: "SAM 2: Segment Anything in Images and Videos" - https://arxiv.org/abs/2408.00714
Architecture and key names: https://github.com/facebookresearch/sam2 (Apache-2.0). What differs: the decoder's
projections of the two fine maps belong to the neck, because they are run once an image and not once a prompt; all four
masks are always returned, and empty prompt slots are masked out; mask prompts are clamped where they come in, and not
where they are given back; memories, which only video needs, are left out.

Shapes: B prompts, N prompt slots, S = image size, E = S / 16, C = 256 channels, K = 4 masks; the decoder's own tokens
are one for the object score, one for the predicted IoUs and one a mask.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.modeling.common import MLP
from lightsam.modeling.image_encoder import SAM_EMBEDDINGS, FeatureMap, ImageEncoder
from lightsam.modeling.mask_decoder import DecoderOutput, MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.rules import MaskRules, Padding, PromptRules, StabilityFallback

RENAMED = {
    r"^sam_mask_decoder\.conv_s0\.": "image_encoder.neck.convs.3.projection.",
    r"^sam_mask_decoder\.conv_s1\.": "image_encoder.neck.convs.2.projection.",
    r"^sam_": "",
    r"^no_mem_embed$": "image_encoder.no_mem_embed",
}
"""For `ModelCard.renamed`."""
LEFT_OUT = ("mask_downsample.", "maskmem_tpos_enc", "memory_", "no_mem_pos_enc", "no_obj_", "obj_ptr_")
"""For `ModelCard.left_out`: memories, and the pointers to objects in other frames."""

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

    def spread(self, drawn: Sequence[Tensor]) -> list[Tensor]:
        """No norm ends this encoder: its maps are about as spread as a standard normal distribution."""
        return list(drawn)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embeddings, high_res_0, high_res_1 = self.neck(self.trunk(x))
        # An image is a video whose first frame has no memories yet.
        return embeddings + self.no_mem_embed.reshape(1, -1, 1, 1), high_res_0, high_res_1


class Sam2PromptEncoder(PromptEncoder):
    """SAM's, with its padding point behind boxes, too: SAM 2's predictor gives a box as two points."""

    rules = PromptRules(padding=Padding.ALWAYS)
    limit = 32.0
    """Largest magnitude of a mask prompt's logits."""

    def embed_mask(self, mask_input: Tensor, has_mask_input: Tensor) -> Tensor:
        """As in SAM; the logits of an earlier prediction are clamped first."""
        return super().embed_mask(mask_input.clamp(-self.limit, self.limit), has_mask_input)


class Sam2MaskDecoder(MaskDecoder):
    """SAM's, with two finer maps added while the image is upscaled, and a score for the object's being there."""

    # As SAM 2's own code sets them when it builds a model for use.
    rules = MaskRules(fallback=StabilityFallback(delta=0.05, threshold=0.98))
    further_outputs = (
        DecoderOutput(
            "object_score_logits",
            width=1,
            meaning="Whether the object is in the image at all: above 0 if it is",
            magnitude=1.0,  # where a logistic function has gone half of its way
            part="pred_obj_score_head",
        ),
    )
    damped = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight", "mlp.layers.1.weight")

    def __init__(self, channels: int = 256) -> None:
        super().__init__(channels)
        for layer in self.transformer.layers:
            layer.mlp = MLP(channels, 2048, channels, 2)  # the same block, under the keys of SAM 2's checkpoints
        self.obj_score_token = nn.Embedding(1, channels)
        self.pred_obj_score_head = MLP(channels, channels, 1, 3)

    def own_tokens(self) -> Tensor:
        """(1, 2 + K, C), the object score's first."""
        return torch.cat([self.obj_score_token.weight[None], super().own_tokens()], dim=1)

    def upscale(self, image: Tensor, *high_res_features: Tensor) -> Tensor:
        """Image positions (B, C, E, E) to (B, C / 8, 4E, 4E).

        Args:
            image: behind the transformer.
            high_res_features: (1, C / 8, 4E, 4E) and (1, C / 4, 2E, 2E).
        """
        finest, fine = high_res_features
        first, norm, activation, second, last = self.output_upscaling
        return last(second(activation(norm(first(image) + fine))) + finest)

    def filters(self, tokens: Tensor) -> Tensor:
        """(B, K, C / 8), from the tokens behind the object score's."""
        return super().filters(tokens[:, 1:])

    def heads(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Predicted IoUs (B, K), between 0 and 1, and the logit of the object score (B, 1) unless it was given up."""
        (iou_predictions,) = super().heads(tokens[:, 1:])
        scores = (self.pred_obj_score_head(tokens[:, 0]) for _ in self.further_outputs)
        return (iou_predictions.sigmoid(), *scores)
