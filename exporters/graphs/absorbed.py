"""SAM's two-way transformer, with the projections of the image absorbed into the tokens.

The image has 4096 positions and a prompt some seven tokens. Of ``(x W) (y V)^T``, with x the tokens and y the image,
the order is free: ``(x W V^T) y^T`` projects nothing of the size of the image. It pays while 8 heads times the tokens
are fewer than the 384 columns of the three projections. DeepSeek-V2 absorbs the projections of its keys and values
alike (https://arxiv.org/abs/2405.04434, section 2.1).

Offsets go the same way. A key's adds the same to all logits of a query, which a softmax does not see; a value's comes
out as it is, because weights sum to one.

Shapes: B prompts, T tokens, P = E * E image positions, C channels, h heads, d = inner channels / h.
"""

import torch
from torch import Tensor, nn

from lightsam.modeling.transformer import Attention, TwoWayAttentionBlock, TwoWayTransformer

from .layers import linear
from .replacing import replace_modules, take_over


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, h * d) to (B, h, T, d)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


class TokensToImage(nn.Module):
    """Attention of the tokens to the image."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads = heads = attention.heads
        query, key, value, out = attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj
        self.query = linear(query.weight.double() * attention.scale, query.bias.double() * attention.scale)
        self.key = nn.Parameter(key.weight.unflatten(0, (heads, -1)).clone())  # (h, d, C)
        self.value = nn.Parameter(value.weight.unflatten(0, (heads, -1)).transpose(1, 2).clone())  # (h, C, d)
        self.out = linear(out.weight, out.bias.double() + out.weight.double() @ value.bias.double())

    def forward(self, tokens: Tensor, keys: Tensor, image: Tensor) -> Tensor:
        """Tokens (B, T, C), and the image with and without positions, (B, P, C) both, to (B, T, C)."""
        queries = (_heads(self.query(tokens), self.heads) @ self.key).flatten(1, 2)  # (B, h * T, C)
        attention = (queries @ keys.transpose(1, 2)).softmax(dim=-1)  # (B, h * T, P)
        attended = (attention @ image).unflatten(1, (self.heads, -1)) @ self.value  # (B, h, T, d)
        return self.out(attended.transpose(1, 2).flatten(2))


class ImageToTokens(nn.Module):
    """Attention of the image to the tokens."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads = heads = attention.heads
        query, key, value, out = attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj
        self.key = linear(key.weight.double() * attention.scale, key.bias.double() * attention.scale)
        self.value = linear(value.weight, value.bias)
        self.query = nn.Parameter(query.weight.unflatten(0, (heads, -1)).clone())  # (h, d, C)
        self.offset = nn.Parameter(query.bias.view(heads, -1, 1).clone())  # (h, d, 1)
        self.out = nn.Parameter(out.weight.T.unflatten(0, (heads, -1)).clone())  # (h, d, C)
        self.share = nn.Parameter(out.bias / heads)  # a head's weights sum to one, and so do these shares

    def forward(self, keys: Tensor, tokens_and_pe: Tensor, tokens: Tensor, token_mask: Tensor | None) -> Tensor:
        """The image with positions (B, P, C), and tokens (B, T, C) with and without theirs, to (B, P, C)."""
        of_tokens = _heads(self.key(tokens_and_pe), self.heads)  # (B, h, T, d)
        offsets = of_tokens @ self.offset  # (B, h, T, 1)
        if token_mask is not None:
            offsets = offsets + token_mask.transpose(2, 3)
        logits = ((of_tokens @ self.query).flatten(1, 2) @ keys.transpose(1, 2)).unflatten(
            1, (self.heads, -1)
        ) + offsets
        # Over the few tokens and not over the last axis, where rows of seven would keep no vector unit busy.
        weights = (logits - logits.amax(2, keepdim=True)).exp()
        weights = (weights / weights.sum(2, keepdim=True)).flatten(1, 2)  # (B, h * T, P)
        values = (_heads(self.value(tokens), self.heads) @ self.out + self.share).flatten(1, 2)  # (B, h * T, C)
        return weights.transpose(1, 2) @ values


class AbsorbedBlock(TwoWayAttentionBlock):
    """One layer of the transformer."""

    def __init__(self, faithful: nn.Module) -> None:
        assert isinstance(faithful, TwoWayAttentionBlock)
        take_over(self, faithful)
        self.tokens_to_image = TokensToImage(faithful.cross_attn_token_to_image)
        self.image_to_tokens = ImageToTokens(faithful.cross_attn_image_to_token)
        del self.cross_attn_token_to_image, self.cross_attn_image_to_token

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor, token_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        tokens = self.norm1(self.attend_among_tokens(tokens, token_pe, token_mask))
        keys = image + image_pe
        tokens = self.norm2(tokens + self.tokens_to_image(tokens + token_pe, keys, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        attended = image + self.image_to_tokens(keys, tokens + token_pe, tokens, token_mask)
        # Between the sum and its norm a change of shape: ONNX Runtime would make one operation of them, which takes ten
        # times as long on so many rows.
        return tokens, self.norm4(attended.flatten(0, 1)).view(attended.shape)


class AbsorbedTransformer(nn.Module):
    """As `TwoWayTransformer`."""

    def __init__(self, transformer: TwoWayTransformer) -> None:
        super().__init__()
        self.layers = nn.ModuleList(AbsorbedBlock(layer) for layer in transformer.layers)
        self.final_attn_token_to_image = TokensToImage(transformer.final_attn_token_to_image)
        self.norm_final_attn = transformer.norm_final_attn

    def forward(
        self, image: Tensor, image_pe: Tensor, tokens: Tensor, token_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        token_pe = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe, image_pe, token_mask)
        attended = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.norm_final_attn(tokens + attended), image


@torch.no_grad()
def absorbed_projections(module: nn.Module) -> nn.Module | None:
    """The decoder's transformer without projections of the image."""
    return replace_modules(module, {TwoWayTransformer: AbsorbedTransformer})
