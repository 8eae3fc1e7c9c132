"""Well-conditioned random weights, for exports and tests without a checkpoint.

Default initialisation is no stand-in for a trained network: some BatchNorms start at zero, a converter folds their
branches away and what is left is a tenth of the model. Here every tensor is drawn from a stream of its own, seeded by
its name, so that the same model always gets the same weights. What a trained network has from its data is then measured
on a synthetic picture: BatchNorm statistics, so that activations neither vanish nor grow block by block, and the shift
that makes half of a mask foreground.
"""

import re
import zlib
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from lightsam.modeling.common import MLP
from lightsam.modeling.sam import PIXEL_MEAN, PIXEL_STD, Sam

# The last weights of a residual branch. Damped, because dozens of random blocks in a row amplify rounding errors a
# hundredfold, which no trained network does.
_BRANCH_ENDS = re.compile(
    r"token_mixer\.\d\.(conv\.bn|conv1)\.weight$|channel_mixer\.m\.2\.bn\.weight$"
    r"|conv3\.bn\.weight$|(proj|fc2|lin2|out_proj)\.weight$"
)
_DAMPING = 0.25
_MEASURING_SIZE = 256
"""Side of the picture that is measured on: small enough for float64 in a second."""


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the tensor called ``name``: float32, of a spread that keeps activations near one."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))

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
    damping = np.float32(_DAMPING if _BRANCH_ENDS.search(name) else 1.0)
    if len(shape) <= 1:  # the scales of norms
        return rng.uniform(0.8, 1.2, shape).astype(np.float32) * damping
    if "embed" in name and len(shape) == 2 and shape[0] <= 8:  # prompt tokens
        return normal(0.5)
    fan_in = int(np.prod(shape[1:]))
    return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32) * damping


def picture(height: int, width: int) -> np.ndarray:
    """A coloured picture with detail at every scale: (height, width, 3) uint8 RGB."""
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


def state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """A drawn tensor for every name of ``model``; counters are zero."""
    return {
        name: torch.from_numpy(draw(name, tuple(value.shape))) if value.is_floating_point() else torch.zeros_like(value)
        for name, value in model.state_dict().items()
    }


def fill(model: Sam, build: Callable[[int], Sam]) -> None:
    """Give ``model`` seeded weights, in place.

    Args:
        build: makes the same model at another image size, for what is measured.
    """
    small = build(_MEASURING_SIZE)
    small.load_state_dict(state_dict(small), strict=True)
    # In float64, so that the float32 values that are kept, and with them the digest of the weights, do not depend on
    # the number of threads or on the order in which a machine adds.
    small.double()
    _measure(small)
    measured = small.float().state_dict()
    # What depends on the image size (the tables of a vision transformer) is drawn, not measured.
    state = {
        name: measured[name] if measured[name].shape == value.shape else value
        for name, value in state_dict(model).items()
    }
    model.load_state_dict(state, strict=True)


@torch.no_grad()
def _measure(model: Sam) -> None:
    """Set what a trained network would have learnt from its data: BatchNorm statistics, and where masks begin."""
    size = model.image_size
    pixels = torch.from_numpy(picture(size, size)).permute(2, 0, 1)[None].double()  # (1, 3, S, S)
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
    image = (pixels - mean) / std

    norms = [module for module in model.image_encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # take the batch's statistics as they are
    model.image_encoder.train()
    model.image_encoder(image)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.zero_()
    model.eval()
    _centre_masks(model, model.image_encoder(image))


def _centre_masks(model: Sam, image_embeddings: torch.Tensor) -> None:
    """Shift each mask so that half of the picture is foreground.

    Left as drawn, some masks are a few specks: their IoU then says how many specks there are, not how exact a file is.
    """
    decoder, prompts = model.mask_decoder, model.prompt_encoder
    seen: dict[nn.Module, torch.Tensor] = {}
    watched = [decoder.output_upscaling, *decoder.output_hypernetworks_mlps]
    hooks = [m.register_forward_hook(lambda module, _, output: seen.update({module: output})) for m in watched]
    point_coords = torch.full((1, 1, 2), model.image_size / 2, dtype=torch.float64)
    point_labels = torch.ones(1, 1, dtype=torch.float64)
    side = image_embeddings.shape[-1]
    decoder(
        image_embeddings,
        prompts.pe_layer.grid(side),
        prompts.embed_points(point_coords, point_labels),
        prompts.no_mask_embed.weight[:, :, None, None],
        prompts.slot_logits(point_labels),
    )
    for hook in hooks:
        hook.remove()
    typical = seen[decoder.output_upscaling].mean((0, 2, 3))  # (C / 8,)
    for mlp in decoder.output_hypernetworks_mlps:
        assert isinstance(mlp, MLP)
        last = mlp.layers[-1]
        assert isinstance(last, nn.Linear)
        last.bias.sub_((seen[mlp][0] @ typical) / (typical @ typical) * typical)
