"""One export from beginning to end: weights, files, judgement, manifest."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from lightsam.errors import (
    ArtifactExistsError,
    CheckpointError,
    FormatUnavailableError,
    LicenseError,
    LightSamError,
    ParityError,
    UsageError,
)
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES

from . import artifacts, manifest
from .formats import find_format
from .formats.base import ExportOptions, Format, OnStep, Provenance, RunOptions
from .formats.mil.risks import scan
from .parity.exports import JudgeConfig, judge_pair
from .parity.judge import ParityReport
from .parity.reference import Reference, References
from .parity.suite import DEFAULT, QUICK, load_suite

_LOG = logging.getLogger("lightsam.export")
_WORKING_COPIES = 4
"""Times the weights of its stages that an export needs on disk: the converter's copy, ours, the old one, some room."""


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported, and where to."""

    model: str
    format_name: str
    options: ExportOptions
    output: Path = Path("artifacts")
    stages: tuple[str, ...] = STAGE_NAMES
    weights: str = "auto"
    image_size: int | None = None
    overwrite: bool = False
    accept_license: bool = False

    def __post_init__(self) -> None:
        unknown = [stage for stage in self.stages if stage not in STAGE_NAMES]
        if unknown or not self.stages:
            raise UsageError(
                f"there is no stage {unknown[0] if unknown else ''!r}; the stages are: {', '.join(STAGE_NAMES)}"
            )

    @property
    def name(self) -> str:
        """Of the export's folder and manifest entry."""
        return artifacts.export_name(self.format_name, self.options.precision)

    @property
    def steps(self) -> int:
        """How often `export` reports a step."""
        looked_at = len(self.stages) if self.options.precision == "float16-safe" else 0
        return 4 + len(self.stages) + looked_at  # a format with one file for both stages has one less


class RejectedError(ParityError):
    """Files that fail a gate; carries what the judge found."""

    def __init__(self, what: str, report: ParityReport) -> None:
        super().__init__(f"{what}: {'; '.join(report.failures)}")
        self.report = report


def export(
    request: ExportRequest, on_step: OnStep = lambda _: None, references: References | None = None
) -> tuple[Path, ParityReport]:
    """Export a model.

    1. Refuse what cannot be done, before any work.
    2. Load the weights, and check the stages against the contract.
    3. Convert each stage into a temporary folder.
    4. Read the files back and judge them.
    5. Move them into place and write the manifest.

    An export that fails the judge is put beside, as ``<name>.rejected``, to be looked at; what was good before stays.

    Args:
        on_step: told what begins.
        references: models that were loaded already, for several exports of one model.

    Returns:
        The model's folder and what the judge found.

    Raises:
        UsageError: for a request that makes no sense.
        ArtifactExistsError: if there is such an export and it may not be overwritten.
        CheckpointError: for weights that cannot be had or do not fit.
        ExportError: if the converter fails.
        WriteError: if the disk refuses.
        RejectedError: if the files do not answer as PyTorch does.
    """
    # 1
    card = find_model(request.model)
    size = card.resolve_image_size(request.image_size)
    backend = find_format(request.format_name)
    _check_request(request, backend)
    options = ExportOptions(**request.options.recorded(backend.OPTIONS))  # what concerns other formats is not ours
    folder = artifacts.model_folder(request.output, card, size)
    final = folder / request.name
    with artifacts.exclusive(folder):
        for stage in request.stages:
            target = final / backend.file_name(stage)
            if target.exists() and not request.overwrite:
                raise ArtifactExistsError(f"{target} is there already: give --overwrite to replace it")
        # 2
        on_step(f"loading {card.title}, {request.weights} weights")
        references = references or References()
        reference = references.load(request.model, request.weights, size, request.accept_license)
        on_step("checking the stage contract")
        stages = reference.stages(options)
        needed = sum(weight.nbytes for name in request.stages for weight in stages[name].module.parameters())
        artifacts.require_space(folder, _WORKING_COPIES * needed)
        for stage in request.stages:
            stages[stage].check()
        slots = None if backend.DYNAMIC_PROMPTS else options.point_slots
        provenance = Provenance.of(card, size, slots, reference.weights)
        with artifacts.staging(folder) as temporary:
            # 3
            staged = temporary / request.name
            staged.mkdir()
            for other in set(STAGE_NAMES) - set(request.stages):
                kept = final / backend.file_name(other)
                if kept.exists():
                    artifacts.copy(kept, staged)
            if options.precision == "float16-safe":
                options = _with_float32_operations(request, backend, options, reference, provenance, temporary, on_step)
            for file_name, group in groupby(request.stages, backend.file_name):
                names = list(group)
                on_step(f"converting the {' and '.join(names)} to {request.format_name}, {options.precision}")
                backend.export([stages[n] for n in names], staged / file_name, options, provenance)
            # 4
            on_step(f"reading the {request.format_name} files back and comparing with PyTorch")
            paths = {name: path for name in STAGE_NAMES if (path := staged / backend.file_name(name)).exists()}
            loaded = {name: backend.load(path, name, RunOptions()) for name, path in paths.items()}
            report = judge_pair(reference, loaded, request.format_name, options, JudgeConfig(load_suite(QUICK)))
            # 5
            if not report.passed:
                rejected = folder / f"{request.name}.rejected"
                artifacts.install(staged, rejected)
                raise RejectedError(f"{rejected} does not answer as PyTorch does", report)
            on_step("writing the manifest")
            artifacts.install(staged, final)
            manifest.add(
                folder,
                request.name,
                backend=backend,
                options=options,
                provenance=provenance,
                stages=stages,
                paths={name: final / path.name for name, path in paths.items()},
                report=report,
            )
    return folder, report


def _with_float32_operations(
    request: ExportRequest,
    backend: Format,
    options: ExportOptions,
    reference: Reference,
    provenance: Provenance,
    temporary: Path,
    on_step: OnStep,
) -> ExportOptions:
    """Convert to float32 first, run real images through it, and name what float16 could not hold."""
    stages = reference.stages(options)
    reference_images = reference.reference_images(load_suite(DEFAULT), options)
    unsafe: list[str] = []
    for name in request.stages:
        on_step(f"looking for what float16 cannot hold in the {name}")
        path = temporary / f"float32-{backend.file_name(name)}"
        backend.export([stages[name]], path, replace(options, precision="float32"), provenance)
        found = scan(
            path,
            (
                inputs
                for reference_image in reference_images
                for inputs in reference_image.stage_inputs(name, options.point_slots)
            ),
        )
        _LOG.info("%s: %d of %d operations stay in float32", name, len(found.risks), found.operations)
        for risk in found.risks:
            _LOG.info("%s: %s %s %s (%.4g)", name, risk.op_type, risk.name, risk.reason, risk.largest)
            unsafe.append(f"{name}/{risk.name}")
    return replace(options, float32_operations=tuple(unsafe))


def _check_request(request: ExportRequest, backend: Format) -> None:
    backend.check_options(request.options)
    if request.options.precision not in backend.PRECISIONS:
        raise UsageError(
            f"{backend.NAME} cannot be had in {request.options.precision}; choose from: {', '.join(backend.PRECISIONS)}"
        )
    whole = len({backend.file_name(stage) for stage in STAGE_NAMES}) == 1
    if whole and set(request.stages) != set(STAGE_NAMES):
        raise UsageError(f"{backend.NAME} keeps both stages in one file: leave out --stage {request.stages[0]}")


@dataclass(frozen=True)
class Outcome:
    """What became of one export of several."""

    request: ExportRequest
    folder: Path | None = None
    report: ParityReport | None = None
    error: LightSamError | None = None

    @property
    def size_bytes(self) -> int:
        """Of all its files; 0 if there are none."""
        return 0 if self.folder is None else artifacts.size_bytes(self.folder / self.request.name)


def export_each(
    requests: Sequence[ExportRequest],
    on_step: OnStep = lambda _: None,
    references: References | None = None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Export one model to several formats; one that fails does not keep the others from running.

    The weights are loaded and the reference's answers computed once.

    Raises:
        UsageError: for a model, a format or a size that does not exist, or an option that no format of these has.
        CheckpointError: for weights that cannot be had or do not fit.
    """
    references = references or References()
    _check_together(requests)
    outcomes = []
    for request in requests:
        try:
            folder, report = export(request, on_step, references)
            outcome = Outcome(request, folder, report)
        except RejectedError as error:
            outcome = Outcome(request, report=error.report, error=error)
        except (CheckpointError, LicenseError):  # no other format would fare better
            raise
        except LightSamError as error:
            outcome = Outcome(request, error=error)
        outcomes.append(outcome)
        on_outcome(outcome)
    return outcomes


def _check_together(requests: Sequence[ExportRequest]) -> None:
    """Refuse what is wrong for every format before any work."""
    known: set[str] = set()
    for request in requests:
        find_model(request.model).resolve_image_size(request.image_size)
        try:
            known |= set(find_format(request.format_name).OPTIONS)
        except FormatUnavailableError:  # reported when its turn comes
            known |= set(request.options.changed())
    names = [request.format_name for request in requests]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"the format {min(twice)} is there more than once")
    for option in requests[0].options.changed() if requests else []:
        if option not in known:
            raise UsageError(f"--{option.replace('_', '-')} changes nothing in {', '.join(names)}: leave it out")
