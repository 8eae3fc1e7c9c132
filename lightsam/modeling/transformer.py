"""SAM's two-way transformer: prompt tokens and image tokens attend to one another.

Paper: "Segment Anything" - https://arxiv.org/abs/2304.02643
Architecture and key names: https://github.com/facebookresearch/segment-anything (Apache-2.0). What differs: a mask
over the tokens, so that empty prompt slots are attended to by nobody.

Shapes: B prompts, T tokens, P = E * E image positions, C channels, h heads.
"""

import math

from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than its outer one."""

    def __init__(self, channels: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = channels // downsample
        self.heads = heads
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)
        self.scale = 1 / math.sqrt(inner // heads)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, h, tokens, C / h)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Attend from ``q`` to ``k``; ``key_mask`` (B, 1, 1, keys) is added to the logits."""
        # The queries are scaled, not the logits: 14 times fewer numbers on the image side, and float16 products
        # stay small.
        q = self._split(self.q_proj(q) * self.scale)
        k, v = self._split(self.k_proj(k)), self._split(self.v_proj(v))
        logits = q @ k.transpose(-2, -1)  # (B, h, queries, keys)
        if key_mask is not None:
            logits = logits + key_mask
        x = logits.softmax(dim=-1) @ v
        return self.out_proj(x.transpose(1, 2).flatten(2))  # (B, queries, C)


class MLPBlock(nn.Module):
    """Two linear layers around a ReLU."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, hidden)
        self.lin2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayAttentionBlock(nn.Module):
    """Tokens to tokens, tokens to image, MLP on the tokens, image to tokens; post-norm throughout."""

    def __init__(self, channels: int, heads: int, mlp_hidden: int, *, first: bool) -> None:
        super().__init__()
        self.self_attn = Attention(channels, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, heads, downsample=2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp: nn.Module = MLPBlock(channels, mlp_hidden)
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, heads, downsample=2)
        self.first = first

    def attend_among_tokens(self, tokens: Tensor, token_pe: Tensor, token_mask: Tensor | None) -> Tensor:
        """Tokens to tokens: (B, T, C) to (B, T, C), with the residual."""
        if self.first:  # the tokens *are* their encoding here: nothing to add, no residual
            return self.self_attn(tokens, tokens, tokens, token_mask)
        q = tokens + token_pe
        return tokens + self.self_attn(q, q, tokens, token_mask)

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor, token_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        tokens = self.norm1(self.attend_among_tokens(tokens, token_pe, token_mask))
        keys = image + image_pe
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, keys, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = image + self.cross_attn_image_to_token(keys, tokens + token_pe, tokens, token_mask)
        return tokens, self.norm4(image)


class TwoWayTransformer(nn.Module):
    """The decoder's transformer."""

    block = TwoWayAttentionBlock

    def __init__(self, depth: int = 2, channels: int = 256, heads: int = 8, mlp_hidden: int = 2048) -> None:
        super().__init__()
        self.layers = nn.ModuleList(self.block(channels, heads, mlp_hidden, first=index == 0) for index in range(depth))
        self.final_attn_token_to_image = Attention(channels, heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(
        self, image: Tensor, image_pe: Tensor, tokens: Tensor, token_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mix tokens and image.

        Args:
            image: (B, P, C) image embeddings with the mask prompt added.
            image_pe: (1, P, C) positional encoding of the image positions.
            tokens: (B, T, C) output tokens and prompt embeddings.
            token_mask: (B, 1, 1, T) added to attention logits over the tokens; None for nothing.

        Returns:
            The tokens (B, T, C) and the image (B, P, C).
        """
        token_pe = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe, image_pe, token_mask)
        attended = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.norm_final_attn(tokens + attended), image
