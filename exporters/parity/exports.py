"""Judging exports that lie in a folder: do they still answer as PyTorch, and if not, from where on?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lightsam.errors import CheckpointError, UsageError
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES
from lightsam.weights.sources import is_path
from lightsam_exporters import manifest
from lightsam_exporters.formats.base import ExportOptions, LoadedStage, OnStep, RunOptions, check_pair
from lightsam_exporters.loading import Export

from .bisect import Bisection, bisect
from .gates import GATES
from .judge import OnPrediction, ParityReport, judge
from .reference import Reference, References
from .suite import Suite


@dataclass(frozen=True)
class JudgeConfig:
    """What a judgement asks, and what answers must reach."""

    suite: Suite
    gates: tuple[str, ...] = ()
    """Numbers that replace those of the table, as ``name=number``."""


def judge_pair(
    reference: Reference,
    loaded: Mapping[str, LoadedStage | None],
    format_name: str,
    options: ExportOptions,
    config: JudgeConfig,
    other_failures: Sequence[str] = (),
    on_prediction: OnPrediction = lambda *_: None,
) -> ParityReport:
    """Judge what there is of two stages, after making sure that they belong together."""
    encoder, decoder = (loaded.get(name) for name in STAGE_NAMES)
    if encoder is not None and decoder is not None:
        check_pair(encoder, decoder)
    gate = GATES[format_name, options.precision].with_overrides(config.gates)
    reference_images = reference.reference_images(config.suite, options)
    return judge(reference_images, config.suite.title, encoder, decoder, gate, other_failures, on_prediction)


def judge_exports(
    found: Sequence[Export],
    config: JudgeConfig,
    weights: str | None = None,
    on_step: OnStep = lambda _: None,
    how: RunOptions = RunOptions(),  # noqa: B008  # it is frozen
    references: References | None = None,
    on_prediction: OnPrediction = lambda *_: None,
) -> list[tuple[Export, ParityReport]]:
    """Judge exports that lie in a folder: that the files are those of the manifest, and that they answer as PyTorch.

    Args:
        found: exports of one folder.
        questions: the suite, and other gates than those of the table.
        weights: as for an export; None takes those that the manifest names.
        how: compute units, numerics.

    Raises:
        CheckpointError: if the weights that the files were made from cannot be had.
        ContractError: if a file is too damaged to be read at all.
    """
    reports = []
    references = references or References()
    for entry in found:
        on_step(f"comparing {entry.name} with PyTorch")
        reference, options = made_from(entry, references, weights)
        report = _judge_one(entry, reference, options, config, how, on_prediction)
        reports.append((entry, report))
    return reports


def locate(
    entry: Export,
    config: JudgeConfig,
    references: References,
    weights: str | None = None,
    threshold_db: float | None = None,
    against: str = "torch",
) -> list[Bisection]:
    """Find the first operation of an export's files that leaves PyTorch, on the suite's first image.

    Args:
        threshold_db: PSNR below which an operation is off; None for the gate's.
        against: as for `bisect`.

    Raises:
        UsageError: for a format that cannot be looked into.
    """
    reference, options = made_from(entry, references, weights)
    gate = GATES[entry.format_name, options.precision].with_overrides(config.gates)
    reference_image = reference.reference_images(config.suite, options)[0]
    return bisect(entry, reference, reference_image, gate.psnr_db if threshold_db is None else threshold_db, against)


def made_from(entry: Export, references: References, weights: str | None) -> tuple[Reference, ExportOptions]:
    """The model that an export was made from, and its options.

    Raises:
        CheckpointError: if these weights are others.
    """
    facts = manifest.read(entry.folder)["model"]
    # Whoever has the files accepted the license of their weights.
    reference = references.load(facts["model"], weights or _source_of(entry), facts["image_size"], True)
    made_from = entry.weights.sha256
    if reference.weights.sha256 != made_from:
        raise CheckpointError(
            f"{entry.name} was made from weights {made_from[:12]}..., and these ({reference.weights.name}) are "
            f"{reference.weights.sha256[:12]}...: give --weights the right checkpoint"
        )
    return reference, ExportOptions(**entry.entry["options"])


def _source_of(entry: Export) -> str:
    name = entry.weights.name
    if not is_path(find_model(manifest.read(entry.folder)["model"]["model"]), name):
        return name
    raise UsageError(f"{entry.name} was made from the checkpoint {name}: say where it is with --weights PATH")


def _judge_one(
    entry: Export,
    reference: Reference,
    options: ExportOptions,
    config: JudgeConfig,
    how: RunOptions,
    on_prediction: OnPrediction,
) -> ParityReport:
    changed = entry.changed_files()
    if entry.missing_files():
        return replace(judge_pair(reference, {}, entry.format_name, options, config, changed), judge="nobody")
    loaded = {name: entry.load(name, how) for name in STAGE_NAMES}
    return judge_pair(reference, loaded, entry.format_name, options, config, changed, on_prediction)
