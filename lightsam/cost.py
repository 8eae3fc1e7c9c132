"""Parameters and multiply-accumulates of a model, counted on the graphs that are exported."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from lightsam.models import ModelCard
from lightsam.stages import Stage, split


@dataclass(frozen=True)
class Cost:
    """What one stage costs, as it is exported (folded)."""

    parameters: int
    gmacs: float
    """Billions of multiply-accumulates of convolutions and matrix products, for one image or one prompt."""


def count(card: ModelCard, image_size: int | None = None) -> dict[str, Cost]:
    """Count each stage of a model, without memory or weights.

    Args:
        card: of the model.
        image_size: side of the square input, in pixels; None for the model's own.

    Returns:
        The cost of each stage by its name.

    Raises:
        UsageError: for an image size that the model does not allow.
    """
    with torch.device("meta"):
        return {stage.name: _cost(stage.folded()) for stage in split(card.build(card.resolve_image_size(image_size)))}


@torch.inference_mode()
def _cost(stage: Stage) -> Cost:
    inputs = [torch.empty(spec.shape) for spec in stage.inputs]
    with FlopCounterMode(display=False) as counter:
        stage.module(*inputs)
    parameters = sum(parameter.numel() for parameter in stage.module.parameters())
    return Cost(parameters, counter.get_total_flops() / 2 / 1e9)  # a multiply and an add count as two there
