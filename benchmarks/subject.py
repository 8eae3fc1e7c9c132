"""What a measurement is about: an export, or the PyTorch model that exports come from, in the words of a record."""

from typing import Any

from lightsam.modeling.sam import Sam
from lightsam.stages import STAGE_NAMES
from lightsam.weights.checkpoints import Weights
from lightsam_exporters import manifest
from lightsam_exporters.loading import Export

from .latency import pytorch
from .latency.record import Subject


def decoder_shapes(entry: Export) -> dict[str, Any]:
    """Shapes of the decoder's inputs by name, as the manifest has them; empty if it was not exported."""
    decoder: dict[str, Any] = entry.entry["files"].get(STAGE_NAMES[1], {"inputs": ()})
    return {spec["name"]: spec["shape"] for spec in decoder["inputs"]}


def of_export(entry: Export) -> Subject:
    """One export, as its manifest describes it."""
    facts = manifest.read(entry.folder)["model"]
    slots = decoder_shapes(entry).get("point_labels", (None, None))[1]
    return Subject(
        model=facts["model"],
        image_size=facts["image_size"],
        export=entry.name,
        format=entry.format_name,
        precision=entry.precision,
        point_slots=slots if isinstance(slots, int) else None,
        weights=entry.weights,
        tools=entry.entry["tools"],
    )


def of_model(name: str, model: Sam, weights: Weights, mode: str) -> Subject:
    """A PyTorch model in a mode of `pytorch.MODES`."""
    return Subject(
        model=name,
        image_size=model.image_size,
        export=f"{pytorch.NAME}-{mode}",
        format=pytorch.NAME,
        precision=mode,
        point_slots=None,
        weights=weights,
    )
