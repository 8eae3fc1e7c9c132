"""Any two artifacts: the files of one export judged against those of another, of another release or format."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightsam.errors import UsageError
from lightsam.models import find_model
from lightsam.stages import Arrays, Stage, Stages, split
from lightsam_exporters.formats import describe_format
from lightsam_exporters.formats.gate import Gate
from lightsam_exporters.formats.running import LoadedStage, RunOptions
from lightsam_exporters.loading import Export, find_exports, load_pair

from .judge import OnPrediction, judge
from .measurement import ParityReport
from .reference_image import ReferenceImage
from .suite import Suite


@dataclass(frozen=True)
class _FileStage(Stage):
    """A stage whose answers are a file's."""

    loaded: LoadedStage | None = None

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        assert self.loaded is not None  # given below
        return self.loaded(inputs)


def pairs_of(
    reference: Path, candidate: Path, format_name: str | None = None, precision: str | None = None
) -> list[tuple[Export, Export]]:
    """What is to be compared with what.

    Args:
        reference: a model's folder, or the folder of one of its exports.
        candidate: likewise; of two models' folders every export that both have is compared.

    Raises:
        ContractError: if there is no manifest.
        UsageError: if there is nothing to compare.
    """
    ours, theirs = (find_exports(path, format_name, precision) for path in (reference, candidate))
    if len(ours) == len(theirs) == 1:
        return [(ours[0], theirs[0])]
    pairs = [(mine, other) for mine in ours for other in theirs if mine.name == other.name]
    if not pairs:
        lists = [", ".join(export.name for export in found) for found in (ours, theirs)]
        raise UsageError(
            f"{reference} ({lists[0]}) and {candidate} ({lists[1]}) have no export in common: name one of each, as "
            f"{reference}/{ours[0].name}"
        )
    return pairs


def compare(
    reference: Export,
    candidate: Export,
    suite: Suite,
    gates: tuple[str, ...] = (),
    how: RunOptions = RunOptions(),  # noqa: B008  # it is frozen
    on_prediction: OnPrediction = lambda *_: None,
) -> ParityReport:
    """Judge the files of ``candidate`` by the answers of ``reference``; their weights may differ.

    Raises:
        ContractError: if a file is missing, damaged, or not the other stage's pair.
        UsageError: if they are not of one model and size.
    """
    ours, theirs = load_pair(reference, how), load_pair(candidate, how)
    facts = [(loaded[0].provenance.model, loaded[0].provenance.image_size) for loaded in (ours, theirs)]
    if facts[0] != facts[1]:
        (model, size), (other, other_size) = facts
        raise UsageError(f"{model} at {size} and {other} at {other_size} are two models: nothing to compare")
    specs = split(find_model(facts[0][0]).skeleton(facts[0][1]))
    encoder, decoder = (
        _FileStage(s.name, s.module, s.inputs, s.outputs, loaded) for s, loaded in zip(specs, ours, strict=True)
    )
    stages = Stages(encoder, decoder, specs.rules)
    slots = ours[1].provenance.point_slots
    reference_images = [ReferenceImage(stages, image, slots) for image in suite.images]
    gate = _looser(reference, candidate).with_overrides(gates)
    return judge(reference_images, suite.title, *theirs, gate, on_prediction=on_prediction)


def _looser(*exports: Export) -> Gate:
    """The gate of the coarser of two exports: the reference has its own errors."""
    return min(
        (describe_format(export.format_name).gates[export.precision] for export in exports),
        key=lambda gate: gate.psnr_db,
    )
