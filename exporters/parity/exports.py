"""Judging exports that lie in a folder: do they still answer as PyTorch, and if not, from where on?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lightsam.errors import CheckpointError, ContractError, FormatUnavailableError, UsageError
from lightsam.models import ModelCard, find_model
from lightsam.stages import STAGE_NAMES
from lightsam.weights.cache import is_cached
from lightsam.weights.sources import is_path
from lightsam_exporters.formats import describe_format
from lightsam_exporters.formats.base import Format, OnStep
from lightsam_exporters.formats.options import Options
from lightsam_exporters.formats.running import LoadedStage, RunOptions, check_pair
from lightsam_exporters.loading import Export

from .bisect import Bisection, bisect
from .judge import OnPrediction, judge
from .measurement import ParityReport
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
    backend: Format[Any],
    options: Options,
    config: JudgeConfig,
    other_failures: Sequence[str] = (),
    on_prediction: OnPrediction = lambda *_: None,
) -> ParityReport:
    """Judge what there is of two stages, after making sure that they belong together."""
    encoder, decoder = (loaded.get(name) for name in STAGE_NAMES)
    if encoder is not None and decoder is not None:
        check_pair(encoder, decoder)
    gate, of_decoder = (
        backend.gates[options.of_stage(name).precision].with_overrides(config.gates) for name in STAGE_NAMES
    )
    reference_images = reference.reference_images(config.suite, options)
    return judge(
        reference_images,
        config.suite.title,
        encoder,
        decoder,
        gate,
        other_failures,
        on_prediction,
        decoder_gate=None if of_decoder == gate else of_decoder,
    )


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
        reference = reference_for(entry, references, weights)
        report = _judge_one(entry, reference, config, how, on_prediction)
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
    reference = reference_for(entry, references, weights)
    gate = describe_format(entry.format_name).gates[entry.precision].with_overrides(config.gates)
    reference_image = reference.reference_images(config.suite, entry.options)[0]
    return bisect(entry, reference, reference_image, gate.psnr_db if threshold_db is None else threshold_db, against)


def reference_for(entry: Export, references: References, weights: str | None) -> Reference:
    """The model that an export was made from.

    Raises:
        CheckpointError: if these weights are others, or cannot be had.
        LicenseError: if they would have to be fetched, and nobody has accepted that they are not for commercial use.
    """
    about = entry.provenance
    source = weights or _source_of(entry)
    accepted = references.accept_license or _is_here(find_model(about.model), source)
    reference = references.load(about.model, source, about.image_size, accepted)
    if reference.weights.sha256 != about.weights_sha256:
        raise CheckpointError(
            f"{entry.name} was made from weights {about.weights_sha256[:12]}..., and these ({reference.weights.name}) "
            f"are {reference.weights.sha256[:12]}...: give --weights the right checkpoint"
        )
    return reference


def _is_here(card: ModelCard, source: str) -> bool:
    """Whether weights need not be fetched, so that nobody has to accept their license now."""
    if is_path(card, source):
        return True
    one = card.find_weights(source)
    return one is not None and is_cached(card, one)


def _source_of(entry: Export) -> str:
    name = entry.weights.name
    if not is_path(find_model(entry.provenance.model), name):
        return name
    raise UsageError(f"{entry.name} was made from the checkpoint {name}: say where it is with --weights PATH")


def _judge_one(
    entry: Export,
    reference: Reference,
    config: JudgeConfig,
    how: RunOptions,
    on_prediction: OnPrediction,
) -> ParityReport:
    backend = describe_format(entry.format_name)
    failures = entry.changed_files()
    loaded: dict[str, LoadedStage | None] = {}
    try:
        if not entry.missing_files():
            loaded = {name: entry.load(name, how) for name in STAGE_NAMES}
    except (ContractError, FormatUnavailableError) as error:  # it does not keep the others from being judged
        failures.append(str(error))
    report = judge_pair(reference, loaded, backend, entry.options, config, failures, on_prediction)
    return report if loaded else replace(report, judge="nobody")
