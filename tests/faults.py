"""Faults of the kinds that conversions have, as functions that plant one in a stage."""

import torch
from torch import nn

SCALED = "image_encoder.layers.1.blocks.0.mlp.fc1"
OVERFLOWING = "image_encoder.layers.2.blocks.0.mlp.fc1"


def scaled_weight(encoder: nn.Module) -> None:
    """One layer's weights are a hundredth too large."""
    encoder.get_submodule(SCALED).weight.data *= 1.01


def swapped_mean_channels(encoder: nn.Module) -> None:
    encoder.mean.copy_(encoder.mean.flip(1).clone())


def bgr_for_rgb(encoder: nn.Module) -> None:
    first = encoder.image_encoder.patch_embed.seq[0].c
    first.weight.data = first.weight.data.flip(1)


def gelu_by_tanh(encoder: nn.Module) -> None:
    for module in encoder.modules():
        if isinstance(module, nn.GELU):
            module.approximate = "tanh"


def overflow_in_float16(encoder: nn.Module) -> None:
    encoder.get_submodule(OVERFLOWING).weight.data *= 1e6


def half_a_pixel_off(decoder: nn.Module) -> None:
    embed = decoder.prompt_encoder.embed_points
    decoder.prompt_encoder.embed_points = lambda coords, labels: embed(coords - 0.5, labels)


def attended_empty_slots(decoder: nn.Module) -> None:
    decoder.prompt_encoder.slot_logits = lambda labels: labels * 0


def transposed_points(decoder: nn.Module) -> None:
    embed = decoder.prompt_encoder.embed_points
    decoder.prompt_encoder.embed_points = lambda coords, labels: embed(
        torch.cat([coords[..., 1:], coords[..., :1]], -1), labels
    )
