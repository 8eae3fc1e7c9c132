"""What a measurement is about: an export, or the PyTorch model that exports come from, in the words of a record."""

from lightsam.modeling.sam import Sam
from lightsam.weights.checkpoints import Weights
from lightsam_exporters.loading import Export

from .latency import pytorch
from .latency.record import Subject


def of_export(entry: Export) -> Subject:
    """One export, as its own facts describe it."""
    return Subject(
        model=entry.provenance.model,
        image_size=entry.provenance.image_size,
        export=entry.name,
        format=entry.format_name,
        precision=entry.precision,
        point_slots=entry.options.point_slots,
        weights=entry.weights,
        tools=entry.tools,
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
