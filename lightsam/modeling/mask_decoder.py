"""Mask decoders: what all of them do, and SAM's.

Paper: "Segment Anything" - https://arxiv.org/abs/2304.02643
Architecture and key names: https://github.com/facebookresearch/segment-anything (Apache-2.0). What differs: all four
masks are always returned, and empty prompt slots are masked out.

Shapes: B prompts, N prompt slots, C = 256 channels, E = image size / 16, K = 4 masks; the decoder's own tokens are one
for the predicted IoUs and one a mask.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightsam.modeling.common import MLP, LayerNorm2d
from lightsam.modeling.transformer import TwoWayTransformer
from lightsam.rules import MaskRules


@dataclass(frozen=True)
class DecoderOutput:
    """One output of a decoder behind its masks and their predicted IoUs."""

    name: str
    """In the stage contract."""
    width: int
    """Values a prompt."""
    meaning: str
    magnitude: float
    """Typical of its values, as `TensorSpec.magnitude`."""
    part: str = ""
    """The part of the decoder that makes this output and nothing else, and that a checkpoint may lack; "" for none."""


class BaseMaskDecoder(nn.Module, ABC):
    """Base of the mask decoders: image and prompt embeddings to mask logits and predicted IoUs.

    Tokens and image attend to one another; each mask is a weighting of the upscaled image's channels.
    """

    rules = MaskRules()
    """Which masks it gives."""
    further_outputs: tuple[DecoderOutput, ...] = ()
    """What it gives besides, in order."""
    transformer: TwoWayTransformer

    def give_up(self, output: DecoderOutput) -> None:
        """Do without one of `further_outputs` and the part that makes it, for a checkpoint that lacks the part."""
        delattr(self, output.part)
        self.further_outputs = tuple(one for one in self.further_outputs if one != output)

    @abstractmethod
    def own_tokens(self) -> Tensor:
        """The decoder's own tokens, (1, own, C), in front of those of a prompt."""

    @abstractmethod
    def upscale(self, image: Tensor, *high_res_features: Tensor) -> Tensor:
        """Image positions (B, C, E, E), and what feature maps of higher resolution there are, to (B, C / 8, 4E, 4E)."""

    @abstractmethod
    def filters(self, tokens: Tensor) -> Tensor:
        """Output tokens (B, own + N, C) to what each mask weights the upscaled channels by, (B, K, C / 8)."""

    @abstractmethod
    def filter_biases(self) -> list[nn.Parameter]:
        """The last biases of `filters`, (C / 8,) each, a mask each: they set how much of an image a mask covers."""

    @abstractmethod
    def heads(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Output tokens (B, own + N, C) to predicted IoUs (B, K), and to `further_outputs`."""

    def all_tokens(self, sparse: Tensor, slot_logits: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The tokens that attend: the decoder's own, and those of the prompts.

        Args:
            sparse: (B, N, C) point and box embeddings.
            slot_logits: (B, N) added to attention logits over the prompt slots; None where no slot is ever empty.

        Returns:
            The tokens (B, own + N, C), and what is added to attention logits over them, (B, 1, 1, own + N) or None.
        """
        own_tokens = self.own_tokens().expand(sparse.shape[0], -1, -1)
        tokens = torch.cat([own_tokens, sparse], dim=1)
        if slot_logits is None:
            return tokens, None
        return tokens, nn.functional.pad(slot_logits, (own_tokens.shape[1], 0))[:, None, None, :]

    def embed(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse: Tensor,
        dense: Tensor | None,
        slot_logits: Tensor | None,
        *high_res_features: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Let prompts and image attend to one another.

        Args:
            image_embeddings: (1, C, E, E).
            image_pe: (1, C, E, E) positional encoding of the grid.
            sparse: (B, N, C) point and box embeddings.
            dense: (B, C, E, E) mask embeddings; None for a model that takes no masks.
            slot_logits: (B, N) added to attention logits over the prompt slots; None where no slot is ever empty.
            high_res_features: the encoder's other feature maps.

        Returns:
            The tokens (B, own + N, C) and the upscaled image (B, C / 8, 4E, 4E).
        """
        size = image_embeddings.shape[-1]
        tokens, token_mask = self.all_tokens(sparse, slot_logits)
        # Without mask embeddings to differ by, the image is still one copy a prompt.
        image = image_embeddings.expand(sparse.shape[0], -1, -1, -1) if dense is None else image_embeddings + dense
        image = image.flatten(2).transpose(1, 2)  # (B, E * E, C)
        tokens, image = self.transformer(image, image_pe.flatten(2).transpose(1, 2), tokens, token_mask)
        image = image.transpose(1, 2).unflatten(2, (size, size))  # (B, C, E, E)
        return tokens, self.upscale(image, *high_res_features)

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse: Tensor,
        dense: Tensor | None,
        slot_logits: Tensor | None,
        *high_res_features: Tensor,
    ) -> tuple[Tensor, ...]:
        """Predict the masks of B prompts about one image.

        Args:
            All as for `embed`.

        Returns:
            Mask logits (B, K, 4E, 4E), predicted IoUs (B, K), and `further_outputs` (B, width) each.
        """
        tokens, upscaled = self.embed(image_embeddings, image_pe, sparse, dense, slot_logits, *high_res_features)
        side = upscaled.shape[-1]
        masks = (self.filters(tokens) @ upscaled.flatten(2)).unflatten(2, (side, side))
        return (masks, *self.heads(tokens))


class MaskDecoder(BaseMaskDecoder):
    """SAM's."""

    rules = MaskRules()
    """Mask 0 is the answer to an unambiguous prompt; masks 1 to 3 are the whole, the part and the subpart."""
    damped = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight", "lin2.weight")
    """For `ModelCard.damped` of the models that have this decoder."""

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        # SAM's decoders have a token for the single answer even where it is never given.
        count = self.rules.count + (not self.rules.single)
        self.transformer = TwoWayTransformer(channels=channels)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(count, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, 2, stride=2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(channels, channels, channels // 8, 3) for _ in range(count))
        self.iou_prediction_head = MLP(channels, 256, count, 3)

    def fold(self) -> None:
        """Drop what is never run."""
        if not self.rules.single:
            self.output_hypernetworks_mlps[0] = nn.Identity()  # the others keep their places

    def _given(self) -> list[tuple[int, nn.Module]]:
        """Number and filters of every mask, but for those of a single answer that is never given."""
        return list(enumerate(self.output_hypernetworks_mlps))[0 if self.rules.single else 1 :]

    def own_tokens(self) -> Tensor:
        return torch.cat([self.iou_token.weight, self.mask_tokens.weight])[None]

    def upscale(self, image: Tensor, *high_res_features: Tensor) -> Tensor:
        return self.output_upscaling(image)

    def filters(self, tokens: Tensor) -> Tensor:
        return torch.stack([mlp(tokens[:, 1 + k]) for k, mlp in self._given()], dim=1)

    def filter_biases(self) -> list[nn.Parameter]:
        return [mlp.get_parameter("layers.2.bias") for _, mlp in self._given()]

    def heads(self, tokens: Tensor) -> tuple[Tensor, ...]:
        scores = self.iou_prediction_head(tokens[:, 0])
        return (scores if self.rules.single else scores[:, 1:],)
