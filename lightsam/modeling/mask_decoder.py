"""SAM's mask decoder.

Paper: "Segment Anything" - https://arxiv.org/abs/2304.02643
Architecture and key names: https://github.com/facebookresearch/segment-anything (Apache-2.0). What differs: all four
masks are always returned, and empty prompt slots are masked out.

Shapes: B prompts, N prompt slots, C = 256 channels, E = image size / 16, K = 4 masks.
"""

import torch
from torch import Tensor, nn

from lightsam.modeling.common import MLP, LayerNorm2d
from lightsam.modeling.transformer import TwoWayTransformer


class MaskDecoder(nn.Module):
    """Image and prompt embeddings to mask logits and predicted IoUs."""

    num_masks = 4
    """Mask 0 is the answer to an unambiguous prompt; masks 1 to 3 are the whole, the part and the subpart."""
    damped = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight", "lin2.weight")
    """For `ModelCard.damped` of the models that have this decoder."""

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(channels=channels)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(self.num_masks, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, 2, stride=2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(channels, channels, channels // 8, 3) for _ in range(self.num_masks)
        )
        self.iou_prediction_head = MLP(channels, 256, self.num_masks, 3)

    def forward(
        self, image_embeddings: Tensor, image_pe: Tensor, sparse: Tensor, dense: Tensor, slot_logits: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict the masks of B prompts about one image.

        Args:
            image_embeddings: (1, C, E, E).
            image_pe: (1, C, E, E) positional encoding of the grid.
            sparse: (B, N, C) point and box embeddings.
            dense: (B, C, E, E) mask embeddings.
            slot_logits: (B, N) added to attention logits over the prompt slots.

        Returns:
            Mask logits (B, K, 4E, 4E) and predicted IoUs (B, K).
        """
        size = image_embeddings.shape[-1]
        own_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])[None]  # (1, 1 + K, C)
        own_tokens = own_tokens.expand(sparse.shape[0], -1, -1)
        tokens = torch.cat([own_tokens, sparse], dim=1)  # (B, 1 + K + N, C)
        token_mask = nn.functional.pad(slot_logits, (1 + self.num_masks, 0))[:, None, None, :]  # (B, 1, 1, 1 + K + N)

        image = (image_embeddings + dense).flatten(2).transpose(1, 2)  # (B, E * E, C)
        tokens, image = self.transformer(image, image_pe.flatten(2).transpose(1, 2), tokens, token_mask)

        image = image.transpose(1, 2).unflatten(2, (size, size))  # (B, C, E, E)
        upscaled = self.output_upscaling(image).flatten(2)  # (B, C / 8, 16 * E * E)
        filters = torch.stack(
            [mlp(tokens[:, 1 + k]) for k, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )  # (B, K, C / 8)
        masks = (filters @ upscaled).unflatten(2, (4 * size, 4 * size))
        return masks, self.iou_prediction_head(tokens[:, 0])
