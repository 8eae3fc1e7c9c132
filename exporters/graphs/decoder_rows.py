"""SAM's decoder with the image as rows of channels, (B, P, C), from the embeddings to the masks.

A mask prompt comes to the rows as a product with 17 columns: whether there is one is decided on its 16 channels, not on
all of the image's. The upscaling is made of products, too: where kernel and stride of a transposed convolution are both
2, no two positions meet in one of the output, so it is a linear layer from a position to its four. XNNPACK computes the
former at a third of the rate of the latter. All that follows works on positions in any order, so that only the masks
are put in order, of 4 channels instead of 32.

Shapes: B prompts, P = E * E image positions, C channels, K masks.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightsam.modeling.common import LayerNorm2d
from lightsam.modeling.graphs import DecoderModule
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder

from .layers import linear
from .replacing import take_over


class RowsPromptEncoder(PromptEncoder):
    """SAM's, whose mask embeddings are rows."""

    def __init__(self, faithful: PromptEncoder) -> None:
        take_over(self, faithful)
        *features, last = faithful.mask_downscaling
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        absent = faithful.no_mask_embed.weight[0]
        self.mask_downscaling = nn.Sequential(*features)
        # The last column is of "there is a mask": what the convolution adds, less what stands for no mask.
        self.mask_rows = linear(torch.cat([last.weight.flatten(1), (last.bias - absent)[:, None]], dim=1), absent)

    def embed_mask(self, mask_input: Tensor, has_mask_input: Tensor) -> Tensor:
        """Embed low-res logits (B, 1, 4E, 4E), where ``has_mask_input`` (B,) is 1, as (B, P, C)."""
        features = self.mask_downscaling(mask_input).flatten(2)  # (B, 16, P)
        columns = torch.cat([features, torch.ones_like(features[:, :1])], dim=1) * has_mask_input[:, None, None]
        return self.mask_rows(columns.transpose(1, 2))


class RowsMaskDecoder(MaskDecoder):
    """SAM's, on rows."""

    def __init__(self, faithful: MaskDecoder) -> None:
        take_over(self, faithful)
        first, norm, _, second, _ = faithful.output_upscaling
        assert isinstance(first, nn.ConvTranspose2d)
        assert isinstance(norm, LayerNorm2d)
        assert isinstance(second, nn.ConvTranspose2d)
        del self.output_upscaling
        self.first, self.second = _upscaling(first), _upscaling(second)
        self.norm = nn.LayerNorm(second.in_channels, norm.eps)
        self.norm.weight, self.norm.bias = norm.weight, norm.bias

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse: Tensor,
        dense: Tensor | None,
        slot_logits: Tensor | None,
        *high_res_features: Tensor,
    ) -> tuple[Tensor, ...]:
        """As `MaskDecoder`, but for mask embeddings ``dense`` (B, P, C)."""
        assert dense is not None
        tokens, token_mask = self.all_tokens(sparse, slot_logits)
        image = image_embeddings.flatten(2).transpose(1, 2) + dense
        pe = image_pe.flatten(2).transpose(1, 2)
        tokens, image = self.transformer(image, pe, tokens, token_mask)
        upscaled = self.upscale(image)
        # Stacked along the last axis: of a transposed factor litert-torch makes a layer without constant weights, which
        # XNNPACK does not take.
        filters = torch.stack([mlp(tokens[:, 1 + k]) for k, mlp in self._given()], dim=2)  # (B, C / 8, K)
        masks = (upscaled @ filters).transpose(1, 2)  # (B, K, 16 P)
        # A place is (y, x, a, b, c, d): 4 y + 2 a + c is its row, 4 x + 2 b + d its column. Rank 4 at most.
        count, side = masks.shape[1], image_embeddings.shape[-1]
        masks = masks.reshape(-1, side, 2, 8).transpose(1, 2)
        masks = masks.reshape(-1, 2 * side, 2, 2).transpose(1, 2)
        return (masks.reshape(-1, count, 4 * side, 4 * side), *self.heads(tokens))

    def upscale(self, image: Tensor, *high_res_features: Tensor) -> Tensor:
        """Positions (B, P, C), row after row, to four each, and four of each of these: (B, 16 P, C / 8)."""
        batch, _, channels = image.shape
        x = self.first(image).reshape(batch, -1, channels // 4)
        # A change of shape between the offset and the activation: ONNX Runtime would make one operation of them, which
        # runs on one thread.
        x = self.second(F.gelu(self.norm(x))).reshape(batch, -1, channels // 8)
        return F.gelu(x)


def _upscaling(conv: nn.ConvTranspose2d) -> nn.Linear:
    """The four places of a position one after the other: outputs in the order (row, column, channel)."""
    assert conv.bias is not None
    return linear(conv.weight.permute(2, 3, 1, 0).reshape(-1, conv.in_channels), conv.bias.repeat(4))


@torch.no_grad()
def decoder_by_rows(module: nn.Module) -> nn.Module | None:
    """The image as rows of channels, with products for the mask prompt and for the upscaling."""
    parts = getattr(module, "prompt_encoder", None), getattr(module, "mask_decoder", None)
    if not isinstance(module, DecoderModule) or tuple(map(type, parts)) != (PromptEncoder, MaskDecoder):
        return None
    module.prompt_encoder = RowsPromptEncoder(module.prompt_encoder).eval()  # type: ignore[arg-type]  # its type is known
    module.mask_decoder = RowsMaskDecoder(module.mask_decoder).eval()  # type: ignore[arg-type]  # likewise
    return module
