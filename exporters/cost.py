"""Parameters of a model, and multiply-accumulates of the graphs that are exported.

``python -m lightsam_exporters.cost`` counts every model and writes `lightsam.catalogue`'s file.
"""

import json
from dataclasses import asdict, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from lightsam.catalogue import PATH, Cost, Entry, Figure, WeightEntry
from lightsam.files import write_text
from lightsam.models import MODELS, ModelCard
from lightsam.stages import Stage, split
from lightsam.weights.cache import checkpoint_path
from lightsam.weights.folder import cache_root

from .formats import onnx
from .graphs import rewritten


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
        stages = split(card.build(card.resolve_image_size(image_size)))
        return {stage.name: _cost(stage) for stage in stages}


@torch.inference_mode()
def _cost(stage: Stage) -> Cost:
    inputs = [torch.empty(spec.shape) for spec in stage.inputs]
    exported = rewritten(stage, onnx.FORMAT.name)
    with FlopCounterMode(display=False) as counter:
        exported.module(*inputs)
    parameters = sum(parameter.numel() for parameter in stage.folded().module.parameters())
    return Cost(parameters, counter.get_total_flops() / 2 / 1e9)  # a multiply and an add count as two there


def describe(card: ModelCard) -> Entry:
    """A model as the catalogue has it: its costs counted, and the facts of its card."""
    published = card.published
    return Entry(
        name=card.name,
        image_sizes=card.image_sizes,
        cost={stage: replace(cost, gmacs=round(cost.gmacs, 3)) for stage, cost in count(card).items()},
        coco_ap=None if published.coco_ap is None else Figure(published.coco_ap, published.source),
        encoder_ms={one.device: Figure(one.ms, one.source) for one in published.latencies if one.stage == "encoder"},
        paper=card.paper,
        weights=tuple(
            WeightEntry(one.name, one.license_line, checkpoint_path(card, one).relative_to(cache_root()).as_posix())
            for one in card.weights
        ),
    )


if __name__ == "__main__":
    write_text(PATH, json.dumps([asdict(describe(card)) for card in MODELS.values()], indent=1) + "\n")
    print(PATH)
