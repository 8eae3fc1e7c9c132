"""Well-conditioned random weights, for exports and tests without a checkpoint.

Default initialisation is no stand-in for a trained network: some BatchNorms start at zero, a converter folds their
branches away, and a tenth of the model is left. Here every tensor is drawn from its own stream of random numbers,
seeded by its name, so that the same model always gets the same weights. What a trained network learns from its data is
then measured on a synthetic image: the BatchNorm statistics, so that activations neither vanish nor grow from block to
block, and the level of the mask logits, so that masks are connected areas and not specks.
"""

import zlib
from copy import deepcopy

import numpy as np
import torch
from torch import nn

from lightsam.geometry import Preprocess
from lightsam.modeling.image_encoder import ImageEncoder
from lightsam.modeling.sam import Sam
from lightsam.models.card import ModelCard
from lightsam.rules import PointLabel

_DAMPING = 0.25
"""Factor on the weights that a model's card names as damped."""
_MASK_MEAN = 0.85
"""Mean of a mask's logits, in their standard deviations: a normal distribution is then positive in four fifths."""
_MEASURING_SIZE = 256
"""Side of the image that is measured on: small enough for float64 in a second."""


def _stream(name: str) -> np.random.Generator:
    """The random numbers that belong to a name."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def draw(name: str, shape: tuple[int, ...], damped: tuple[str, ...] = ()) -> np.ndarray:
    """Draw the tensor called ``name``.

    Args:
        name: in the state dict.
        shape: of the tensor.
        damped: endings of the names of weights that are drawn smaller, as in `ModelCard.damped`.

    Returns:
        A float32 array whose spread keeps activations near one.
    """
    rng = _stream(name)

    def normal(scale: float) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    if name.endswith("running_var"):
        return rng.uniform(0.75, 1.25, shape).astype(np.float32)
    if name.endswith("running_mean"):
        return normal(0.05)
    if name.endswith("gaussian_matrix"):
        return normal(1.0)
    if name.endswith(("bias", "attention_biases", "pos_embed")) or "rel_pos" in name:
        return normal(0.05)
    damping = np.float32(_DAMPING if name.endswith(damped) else 1.0)
    if len(shape) <= 1:  # the scales of norms
        return rng.uniform(0.8, 1.2, shape).astype(np.float32) * damping
    if "embed" in name and len(shape) == 2 and shape[0] <= 8:  # prompt tokens
        return normal(0.5)
    fan_in = int(np.prod(shape[1:]))
    return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32) * damping


def image(height: int, width: int) -> np.ndarray:
    """A coloured image with detail at every scale: (height, width, 3) uint8 RGB."""
    rng = np.random.Generator(np.random.PCG64(2023))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    values = np.stack([np.sin(9 * x + 4 * y), np.cos(5 * x - 7 * y), 2 * y - 1], -1) * 50
    values[..., 1] += 60 * (((x - 0.6) ** 2 + (y - 0.4) ** 2) < 0.05)
    for cell in (64, 32, 16, 8, 4, 2, 1):
        rows, columns = -(-height // cell), -(-width // cell)
        noise = rng.integers(-18, 19, (rows, columns, 3)).astype(np.float32)
        values += np.repeat(np.repeat(noise, cell, 0), cell, 1)[:height, :width]
    return (values + 120).round().clip(0, 255).astype(np.uint8)


def state_dict(model: nn.Module, damped: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Draw a tensor for every name of ``model``; counters are zero.

    Args:
        model: whose names and shapes are taken; its own values are not looked at.
        damped: as for `draw`.
    """
    return {
        name: torch.from_numpy(draw(name, tuple(value.shape), damped))
        if value.is_floating_point()
        else torch.zeros_like(value)
        for name, value in model.state_dict().items()
    }


def fill(model: Sam, card: ModelCard) -> None:
    """Give ``model`` seeded weights, in place.

    Statistics are measured in float64 and kept in float32, so that neither they nor the digest of the weights depend on
    the number of threads or on the order in which a machine adds.

    Args:
        model: as the card builds it, at any image size.
        card: says what is damped, and builds the small model that BatchNorm statistics are measured on.
    """
    model.load_state_dict(state_dict(model, card.damped), strict=True)
    if any(isinstance(module, nn.BatchNorm2d) for module in model.image_encoder.modules()):
        small = card.build(_MEASURING_SIZE)
        small.image_encoder.load_state_dict(model.image_encoder.state_dict(), strict=True)
        _measure_batchnorm(small.image_encoder.double(), small.preprocess)
        model.image_encoder.load_state_dict(small.image_encoder.float().state_dict(), strict=True)
    _centre_masks(model)


@torch.no_grad()
def _measure_batchnorm(encoder: ImageEncoder, preprocess: Preprocess) -> None:
    """Set every BatchNorm's statistics to those of one synthetic image."""
    size = preprocess.image_size
    pixels = torch.from_numpy(image(size, size)).permute(2, 0, 1)[None].double()
    mean, std = (
        torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (preprocess.mean, preprocess.std)
    )
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0  # take the batch's statistics as they are
    encoder.train()
    encoder((pixels - mean) / std)
    for norm in norms:
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.zero_()


@torch.no_grad()
def _centre_masks(model: Sam) -> None:
    """Shift each mask so that about four fifths of an image are foreground.

    The logits of random weights are noise around a mean. Left as drawn, some masks are a few specks, and half of all
    pixels lie near the threshold: the IoU of two masks then depends on rounding, and does not tell how exact a file is.
    A trained network leaves a few per cent of the pixels near the threshold. The embeddings that the shift is measured
    on are drawn as well, with the spread that the encoder's last norm gives them.
    """
    decoder, prompts = deepcopy(model.mask_decoder).double(), deepcopy(model.prompt_encoder).double()
    maps = model.image_encoder.feature_maps
    features = model.image_encoder.spread(
        [torch.from_numpy(_stream(one.name).standard_normal(one.shape(_MEASURING_SIZE))) for one in maps]
    )
    # The middle of the image at every size, so that the weights do not depend on the size: the prompt encoder adds half
    # a pixel.
    point_coords = torch.full((1, 1, 2), model.image_size / 2 - 0.5, dtype=torch.float64)
    point_labels = torch.full((1, 1), PointLabel.FOREGROUND, dtype=torch.float64)
    tokens, upscaled = decoder.embed(
        features[0],
        prompts.pe_layer.grid(maps[0].side(_MEASURING_SIZE)),
        prompts.embed_points(point_coords, point_labels),
        prompts.embed_no_mask(),
        None,
        *features[1:],
    )
    positions = upscaled[0].flatten(1)  # (C / 8, 16 * side * side)
    typical = positions.mean(1)  # (C / 8,)
    for filters, bias in zip(decoder.filters(tokens)[0], model.mask_decoder.filter_biases(), strict=True):
        logits = filters @ positions
        shift_by = _MASK_MEAN * logits.std() - logits.mean()
        bias.copy_(bias + shift_by / (typical @ typical) * typical)
