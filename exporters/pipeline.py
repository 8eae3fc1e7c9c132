"""One export from beginning to end: weights, files, judgement, manifest."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightsam.checkpoints import load_model
from lightsam.downloads import ProgressBar
from lightsam.errors import ArtifactExistsError, CheckpointError, ParityError, UsageError
from lightsam.modeling.sam import Sam
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES, Stages, split

from . import artifacts, find_format, manifest
from .base import ExportOptions, LoadedStage, Provenance, check_pair
from .loading import Export
from .parity import GATES, ParityReport, Trial, judge

OnStep = Callable[[str], None]
"""Told what begins, in a few words."""
_WORKING_COPIES = 4
"""Times its weights that an export needs on disk: the converter's copy, ours, the old one and some room."""


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
        return 4 + len(self.stages)


class RejectedError(ParityError):
    """Files that fail a gate; carries what the judge found."""

    def __init__(self, what: str, report: ParityReport) -> None:
        super().__init__(f"{what}: {'; '.join(report.failures)}")
        self.report = report


def export(
    request: ExportRequest, on_step: OnStep = lambda _: None, progress: ProgressBar | None = None
) -> tuple[Path, ParityReport]:
    """Export a model.

    1. Refuse what cannot be done, before any work.
    2. Load the weights, and check the stages against the contract.
    3. Convert each stage into a temporary folder.
    4. Read the files back and judge them.
    5. Move them into place and write the manifest.

    An export that fails the judge is put beside, as ``<name>.rejected``, to be looked at; what was good before stays.

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
    backend.check_options(request.options)
    folder = artifacts.model_folder(request.output, card, size)
    final = folder / request.name
    with artifacts.exclusive(folder):
        for stage in request.stages:
            target = final / f"{stage}{backend.SUFFIX}"
            if target.exists() and not request.overwrite:
                raise ArtifactExistsError(f"{target} is there already: give --overwrite to replace it")
        # 2
        on_step(f"loading {card.title}, {request.weights} weights")
        model = load_model(
            request.model,
            weights=request.weights,
            image_size=size,
            accept_license=request.accept_license,
            progress=progress,
        )
        assert model.weights is not None  # load_model sets it
        stages = split(model, point_slots=request.options.point_slots)
        artifacts.require_space(folder, _WORKING_COPIES * sum(p.nbytes for p in model.parameters()))
        on_step("checking the stage contract")
        for stage in request.stages:
            stages[stage].check()
        provenance = Provenance.of(card, size, request.options.point_slots, model.weights)
        with artifacts.staging(folder) as temporary:
            # 3
            staged = temporary / request.name
            staged.mkdir()
            for other in set(STAGE_NAMES) - set(request.stages):
                kept = final / f"{other}{backend.SUFFIX}"
                if kept.exists():
                    _copy(kept, staged / kept.name)
            for stage in request.stages:
                on_step(f"converting the {stage} to {request.format_name}, {request.options.precision}")
                backend.export(stages[stage], staged / f"{stage}{backend.SUFFIX}", request.options, provenance)
            # 4
            on_step("reading the files back and comparing with PyTorch")
            paths = {name: path for name in STAGE_NAMES if (path := staged / f"{name}{backend.SUFFIX}").exists()}
            loaded = {name: backend.load(path) for name, path in paths.items()}
            report = _judge_pair(stages, loaded, request.format_name, request.options)
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
                format_name=request.format_name,
                requires=backend.REQUIRES,
                options=request.options,
                provenance=provenance,
                stages=stages,
                paths={name: final / path.name for name, path in paths.items()},
                report=report,
            )
    return folder, report


def _judge_pair(
    stages: Stages,
    loaded: dict[str, LoadedStage | None],
    format_name: str,
    options: ExportOptions,
    other_failures: Sequence[str] = (),
) -> ParityReport:
    """Judge what there is of two stages, after making sure that they belong together."""
    encoder, decoder = (loaded.get(name) for name in STAGE_NAMES)
    if encoder is not None and decoder is not None:
        check_pair(encoder, decoder)
    return judge(Trial.default(stages), encoder, decoder, GATES[format_name, options.precision], other_failures)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def rejudge(
    found: Sequence[Export],
    weights: str | None = None,
    on_step: OnStep = lambda _: None,
    on_report: Callable[[Export, ParityReport], None] = lambda *_: None,
    **how: str,
) -> list[tuple[Export, ParityReport]]:
    """Judge exports that lie in a folder: that the files are those of the manifest, and that they answer as PyTorch.

    Args:
        found: exports of one folder.
        weights: as for an export; None takes those that the manifest names.
        how: ``compute_units`` and ``numerics``, as the formats' ``load`` takes them.

    Raises:
        CheckpointError: if the weights that the files were made from cannot be had.
        ContractError: if a file is too damaged to be read at all.
    """
    reports = []
    models: dict[tuple[str, int, str], Sam] = {}
    for entry in found:
        on_step(f"comparing {entry.name} with PyTorch")
        facts = manifest.read(entry.folder)["model"]
        options = ExportOptions(**entry.entry["options"])
        key = (facts["model"], facts["image_size"], weights or _source_of(entry))
        if key not in models:
            # Whoever has the files accepted the licence of their weights.
            models[key] = load_model(key[0], image_size=key[1], weights=key[2], accept_license=True)
        model = models[key]
        assert model.weights is not None  # load_model sets it
        if model.weights.sha256 != entry.entry["weights"]["sha256"]:
            raise CheckpointError(
                f"{entry.name} was made from weights {entry.entry['weights']['sha256'][:12]}..., and these "
                f"({model.weights.name}) are {model.weights.sha256[:12]}...: give --weights the right checkpoint"
            )
        stages = split(model, point_slots=options.point_slots)
        report = _rejudge_one(entry, stages, options, **how)
        reports.append((entry, report))
        on_report(entry, report)
    return reports


def _source_of(entry: Export) -> str:
    name = str(entry.entry["weights"]["name"])
    if name in ("seeded", "official"):
        return name
    raise UsageError(f"{entry.name} was made from the checkpoint {name}: say where it is with --weights PATH")


def _rejudge_one(entry: Export, stages: Stages, options: ExportOptions, **how: str) -> ParityReport:
    changed = entry.changed_files()
    if any("is missing" in line for line in changed):
        return replace(_judge_pair(stages, {}, entry.format_name, options, changed), judge="nobody")
    loaded = {name: entry.load(name, **how) for name in STAGE_NAMES}
    return _judge_pair(stages, loaded, entry.format_name, options, changed)
