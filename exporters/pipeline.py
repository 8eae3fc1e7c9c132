"""One export from beginning to end: weights, files, judgement, facts."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from lightsam.errors import (
    ArtifactExistsError,
    CheckpointError,
    ContractError,
    LicenseError,
    LightSamError,
    ParityError,
    UsageError,
)
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES, Arrays

from . import artifacts, facts, manifest
from .calibration import IMAGES, Calibration, load_calibration
from .facts import ExportFacts, FileFacts, export_name
from .formats import describe_format, find_format
from .formats.base import Format, OnStep, Seen
from .formats.options import Options
from .formats.running import RunOptions
from .loading import Export
from .parity.exports import JudgeConfig, judge_pair
from .parity.measurement import ParityReport
from .parity.reference import Reference, References
from .parity.suite import QUICK, load_suite
from .provenance import Provenance

_LOG = logging.getLogger("lightsam.export")
_WORKING_COPIES = 4
"""Times the weights of its stages that an export needs on disk: the converter's copy, ours, the old one, some room."""


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported, and where to."""

    model: str
    format_name: str
    options: Options
    """Of that format; see `formats.options_of`."""
    output: Path = Path("artifacts")
    stages: tuple[str, ...] = STAGE_NAMES
    weights: str = "auto"
    image_size: int | None = None
    overwrite: bool = False
    accept_license: bool = False
    calibration: Path | None = None
    """Folder of the images that a compressed export looks at; None for lightsam's own."""
    calibration_images: int = IMAGES
    """How many of a folder at most."""

    def __post_init__(self) -> None:
        unknown = [stage for stage in self.stages if stage not in STAGE_NAMES]
        if unknown or not self.stages:
            raise UsageError(
                f"there is no stage {unknown[0] if unknown else ''!r}; the stages are: {', '.join(STAGE_NAMES)}"
            )

    @property
    def name(self) -> str:
        """Of the export, and of its folder."""
        return export_name(self.format_name, self.options.precision)

    @property
    def steps(self) -> int:
        """How often `export` reports a step, or one step more."""
        return 5 + 2 * len(self.stages)


class RejectedError(ParityError):
    """Files that fail a gate; carries what the judge found."""

    def __init__(self, what: str, report: ParityReport) -> None:
        super().__init__(f"{what}: {'; '.join(report.failures)}")
        self.report = report


def export(
    request: ExportRequest, on_step: OnStep = lambda _: None, references: References | None = None
) -> tuple[Path, ParityReport]:
    """Export a model.

    1. Refuse what cannot be done, before any work; images that cannot be read, too.
    2. Load the weights, and check the stages against the contract.
    3. Convert each stage into a temporary folder.
    4. Read the files back and judge them.
    5. Put the facts beside the files, and move both into place by one rename.

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
        ImageError: if a calibration image cannot be read.
        ExportError: if the converter fails.
        WriteError: if the disk refuses.
        RejectedError: if the files do not answer as PyTorch does.
    """
    # 1
    card = find_model(request.model)
    size = card.resolve_image_size(request.image_size)
    backend = find_format(request.format_name)
    rules = card.skeleton(size).rules
    request = replace(request, options=request.options.for_model(rules.prompts.slots))
    _check_request(request, backend)
    calibration = _calibration(request)
    folder = artifacts.model_folder(request.output, card, size)
    final = folder / request.name
    with artifacts.exclusive(folder):
        kept = _kept(request, backend, final)
        # 2
        on_step(f"loading {card.title}, {request.weights} weights")
        references = references or References()
        reference = references.load(request.model, request.weights, size, request.accept_license)
        on_step("checking the stage contract")
        stages = reference.stages(request.options)
        needed = sum(weight.nbytes for name in request.stages for weight in stages[name].module.parameters())
        artifacts.require_space(folder, _WORKING_COPIES * needed)
        for stage in request.stages:
            stages[stage].check()
        provenance = Provenance.of(card, size, request.options.point_slots, reference.weights)
        with artifacts.staging(folder) as temporary:
            # 3
            staged = temporary / request.name
            staged.mkdir()
            for file in kept.values():
                artifacts.copy(final / file.path, staged)

            def inputs(name: str) -> Iterator[Arrays]:
                return calibration.stage_inputs(name, reference, request.options, on_step)

            options = backend.complete(
                request.stages,
                Seen(stages, calibration.images, inputs),
                replace(request.options, calibrated_on=calibration.about if _looks_at_images(request) else ""),
                provenance,
                temporary,
                on_step,
            )
            for file_name, group in groupby(request.stages, backend.file_name):
                names = list(group)
                own = options if backend.whole else options.of_stage(names[0])
                on_step(f"converting the {' and '.join(names)} to {request.format_name}, {own.precision}")
                backend.export([stages[n] for n in names], staged / file_name, own, provenance, inputs)
            # 4
            on_step(f"reading the {request.format_name} files back and comparing with PyTorch")
            made = {
                name: FileFacts.of(staged / backend.file_name(name), stages[name], backend, options, provenance)
                for name in request.stages
            }
            files = {name: {**kept, **made}[name] for name in STAGE_NAMES if name in kept or name in made}
            report = _judge(reference, backend, files, kept, staged)
            # 5
            facts.write(
                staged,
                ExportFacts(
                    format=request.format_name,
                    precision=options.precision,
                    rules=rules,
                    files=files,
                    parity=report,
                ),
            )
            if not report.passed:
                rejected = folder / f"{request.name}.rejected"
                artifacts.install(staged, rejected)
                raise RejectedError(f"{rejected} does not answer as PyTorch does", report)
            on_step("moving the files into place")
            artifacts.install(staged, final)
        there, broken = manifest.found_in(folder)
        for error in broken:
            _LOG.warning("%s; the manifest leaves it out", error)
        manifest.refresh(folder, there)
    return folder, report


def _kept(request: ExportRequest, backend: Format[Any], final: Path) -> dict[str, FileFacts]:
    """The stages that are there and are not exported anew.

    Raises:
        ArtifactExistsError: if one that is to be exported is there and may not be overwritten.
        ContractError: if nothing is known of one that is to be kept.
    """
    there = [name for name in STAGE_NAMES if (final / backend.file_name(name)).exists()]
    for name in there:
        if name in request.stages and not request.overwrite:
            raise ArtifactExistsError(
                f"{final / backend.file_name(name)} is there already: give --overwrite to replace it"
            )
    if set(there) <= set(request.stages):
        return {}
    known = facts.read(final).files
    kept = [name for name in there if name not in request.stages]
    for name in kept:
        if name not in known:
            raise ContractError(
                f"{final / facts.FILE_NAME} says nothing of the {name} beside it, so it cannot be kept: delete it, or "
                "export both stages"
            )
    return {name: known[name] for name in kept}


def _judge(
    reference: Reference, backend: Format[Any], files: Mapping[str, FileFacts], kept: Collection[str], folder: Path
) -> ParityReport:
    """All that is there now; of the stages that were kept, a file that was changed since its export fails, too."""
    nothing = ParityReport("", "", backend.gates[next(iter(backend.gates))])
    options = next(iter(files.values())).options
    known = ExportFacts(
        format=backend.name,
        precision=options["precision"],
        rules=reference.model.rules,
        files=dict(files),
        parity=nothing,
    )
    entry = Export(folder, known)
    loaded = {name: entry.load(name, RunOptions()) for name in files}
    return judge_pair(
        reference, loaded, backend, entry.options, JudgeConfig(load_suite(QUICK)), entry.changed_files(kept)
    )


def _looks_at_images(request: ExportRequest) -> bool:
    """Whether one of its files needs images to be made."""
    options = request.options
    return any(options.of_stage(stage).precision in options.calibrated for stage in request.stages)


def _calibration(request: ExportRequest) -> Calibration:
    """The images of a request, read once where they are needed.

    Raises:
        UsageError: if some are given and nothing looks at them, or there are none.
        ImageError: if one cannot be read.
    """
    if _looks_at_images(request):
        found = load_calibration(request.calibration, request.calibration_images)
        found.check()
        return found
    if request.calibration is not None:
        precisions = ", ".join(request.options.calibrated) or "none"
        raise UsageError(
            f"--calibration changes nothing at --precision {request.options.precision}; precisions of "
            f"{request.format_name} that look at images: {precisions}"
        )
    return Calibration("no images", ())


def _check_request(request: ExportRequest, backend: Format[Any]) -> None:
    request.options.check()
    if backend.whole and set(request.stages) != set(STAGE_NAMES):
        raise UsageError(f"{backend.name} keeps both stages in one file: leave out --stage {request.stages[0]}")


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
        UsageError: for a model, a format or a size that does not exist.
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
    for request in requests:
        find_model(request.model).resolve_image_size(request.image_size)
        describe_format(request.format_name)
    names = [request.format_name for request in requests]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"the format {min(twice)} is there more than once")
