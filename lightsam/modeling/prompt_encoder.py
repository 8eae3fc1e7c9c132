"""Prompt encoders: what all of them do, and SAM's; they trace, without in-place writes and boolean indexing.

Paper: "Segment Anything" - https://arxiv.org/abs/2304.02643
Architecture and key names: https://github.com/facebookresearch/segment-anything (Apache-2.0). What differs: a box is
two points with labels of their own, and a slot may be empty.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightsam.modeling.common import LayerNorm2d
from lightsam.rules import PointLabel, PromptRules

# Added to the attention logits of empty slots. Not -inf, which the Neural Engine turns into NaN, and inside
# float16's range; exp(-40000) is exactly zero in every precision.
EMPTY_SLOT_LOGIT = -40_000.0


class PositionEmbeddingRandom(nn.Module):
    """Positions as sines and cosines of random frequencies (Fourier features, https://arxiv.org/abs/2006.10739)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, frequencies))

    def forward(self, positions: Tensor) -> Tensor:
        """Encode (..., 2) positions in [0, 1], x first, as (..., 2 * frequencies)."""
        angles = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, size: int) -> Tensor:
        """Encode the cell centres of a ``size`` x ``size`` grid as (1, 2 * frequencies, size, size)."""
        frequencies = self.positional_encoding_gaussian_matrix
        centres = (torch.arange(size, dtype=frequencies.dtype, device=frequencies.device) + 0.5) / size
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        return self(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]


class BasePromptEncoder(nn.Module, ABC):
    """Base of the prompt encoders: points and boxes to sparse embeddings."""

    rules = PromptRules(masks=False)
    """Which prompts it takes."""

    def __init__(self, image_size: int, channels: int = 256) -> None:
        super().__init__()
        self.image_size = image_size
        self.pe_layer = PositionEmbeddingRandom(channels // 2)

    @abstractmethod
    def embed_points(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        """Embed points (B, N, 2), in pixels of the model's input, with labels (B, N), as (B, N, C)."""

    def embed_no_mask(self) -> Tensor | None:
        """What stands for the mask of a prompt without one, (1, C, 1, 1); None of a model that takes no masks."""
        return None

    def embed_mask(self, mask_input: Tensor, has_mask_input: Tensor) -> Tensor:
        """Embed low-res logits (B, 1, 4E, 4E), where ``has_mask_input`` (B,) is 1, as (B, C, E, E).

        Raises:
            NotImplementedError: of a model that takes no masks.
        """
        raise NotImplementedError

    @staticmethod
    def slot_logits(point_labels: Tensor) -> Tensor:
        """What to add to attention logits over the prompt slots: (B, N), zero unless the slot is empty."""
        return (point_labels == PointLabel.EMPTY).to(point_labels.dtype) * EMPTY_SLOT_LOGIT


class PromptEncoder(BasePromptEncoder):
    """SAM's: points and boxes to sparse embeddings, an earlier mask to a dense one."""

    rules = PromptRules()

    def __init__(self, image_size: int, channels: int = 256, mask_channels: int = 16) -> None:
        super().__init__(image_size, channels)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, 2, stride=2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, 2, stride=2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, channels, 1),
        )
        self.no_mask_embed = nn.Embedding(1, channels)

    def embed_points(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        position = self.pe_layer((point_coords + 0.5) / self.image_size)
        is_position = (point_labels >= PointLabel.BACKGROUND).to(position.dtype)[..., None]  # (B, N, 1)
        embedded = position * is_position
        embeddings = [self.not_a_point_embed, *self.point_embeddings]  # of labels -1, 0, 1, 2, 3
        for label, embedding in enumerate(embeddings, start=PointLabel.PADDING):
            assert isinstance(embedding, nn.Embedding)
            embedded = embedded + (point_labels == label).to(position.dtype)[..., None] * embedding.weight
        return embedded

    def embed_no_mask(self) -> Tensor | None:
        return self.no_mask_embed.weight[:, :, None, None]

    def embed_mask(self, mask_input: Tensor, has_mask_input: Tensor) -> Tensor:
        given = has_mask_input[:, None, None, None]
        absent = self.no_mask_embed.weight[:, :, None, None]  # (1, C, 1, 1)
        return given * self.mask_downscaling(mask_input) + (1 - given) * absent
