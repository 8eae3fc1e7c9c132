"""One export from beginning to end: weights, files, judgement, manifest."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from lightsam.errors import (
    ArtifactExistsError,
    CheckpointError,
    FormatUnavailableError,
    LicenceError,
    LightSamError,
    ParityError,
    UsageError,
)
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES

from . import artifacts, find_format, manifest
from .base import ExportOptions, Format, LoadedStage, Provenance, RunOptions, check_pair
from .bisect import Bisection, bisect
from .float16 import scan
from .gates import GATES
from .loading import Export
from .parity import OnAnswer, ParityReport, judge
from .reference import Reference, References
from .suite import NAMES, Suite, load_suite

_LOG = logging.getLogger("lightsam.export")
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
        artifacts.require_space(folder, _WORKING_COPIES * reference.size_bytes)
        on_step("checking the stage contract")
        stages = reference.stages(options)
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
            report = _judge_pair(reference, loaded, request.format_name, options, Questions(load_suite(NAMES[0])))
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
    """Convert to float32 first, run real pictures through it, and name what float16 could not hold."""
    stages = reference.stages(options)
    trials = reference.trials(load_suite(NAMES[1]), options)
    unsafe: list[str] = []
    for name in request.stages:
        on_step(f"looking for what float16 cannot hold in the {name}")
        path = temporary / f"float32-{backend.file_name(name)}"
        backend.export([stages[name]], path, replace(options, precision="float32"), provenance)
        found = scan(path, (inputs for trial in trials for inputs in trial.stage_inputs(name, options.point_slots)))
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
        except (CheckpointError, LicenceError):  # no other format would fare better
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


def _judge_pair(
    reference: Reference,
    loaded: Mapping[str, LoadedStage | None],
    format_name: str,
    options: ExportOptions,
    questions: "Questions",
    other_failures: Sequence[str] = (),
    on_answer: OnAnswer = lambda *_: None,
) -> ParityReport:
    """Judge what there is of two stages, after making sure that they belong together."""
    encoder, decoder = (loaded.get(name) for name in STAGE_NAMES)
    if encoder is not None and decoder is not None:
        check_pair(encoder, decoder)
    gate = GATES[format_name, options.precision].with_overrides(questions.gates)
    trials = reference.trials(questions.suite, options)
    return judge(trials, questions.suite.title, encoder, decoder, gate, other_failures, on_answer)


@dataclass(frozen=True)
class Questions:
    """What a judgement asks, and what answers must reach."""

    suite: Suite
    gates: tuple[str, ...] = ()
    """Numbers that replace those of the table, as ``name=number``."""


def rejudge(
    found: Sequence[Export],
    questions: Questions,
    weights: str | None = None,
    on_step: OnStep = lambda _: None,
    how: RunOptions = RunOptions(),  # noqa: B008  # it is frozen
    references: References | None = None,
    on_answer: OnAnswer = lambda *_: None,
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
        reference, options = _made_from(entry, references, weights)
        report = _rejudge_one(entry, reference, options, questions, how, on_answer)
        reports.append((entry, report))
    return reports


def locate(
    entry: Export,
    questions: Questions,
    references: References,
    weights: str | None = None,
    threshold_db: float | None = None,
    against: str = "torch",
) -> list[Bisection]:
    """Find the first operation of an export's files that leaves PyTorch, on the suite's first picture.

    Args:
        threshold_db: PSNR below which an operation is off; None for the gate's.
        against: as for `bisect`.

    Raises:
        UsageError: for a format that cannot be looked into.
    """
    reference, options = _made_from(entry, references, weights)
    gate = GATES[entry.format_name, options.precision].with_overrides(questions.gates)
    trial = reference.trials(questions.suite, options)[0]
    return bisect(entry, reference, trial, gate.psnr_db if threshold_db is None else threshold_db, against)


def _made_from(entry: Export, references: References, weights: str | None) -> tuple[Reference, ExportOptions]:
    """The model that an export was made from, and its options.

    Raises:
        CheckpointError: if these weights are others.
    """
    facts = manifest.read(entry.folder)["model"]
    # Whoever has the files accepted the licence of their weights.
    reference = references.load(facts["model"], weights or _source_of(entry), facts["image_size"], True)
    made_from = entry.entry["weights"]["sha256"]
    if reference.weights.sha256 != made_from:
        raise CheckpointError(
            f"{entry.name} was made from weights {made_from[:12]}..., and these ({reference.weights.name}) are "
            f"{reference.weights.sha256[:12]}...: give --weights the right checkpoint"
        )
    return reference, ExportOptions(**entry.entry["options"])


def _source_of(entry: Export) -> str:
    name = str(entry.entry["weights"]["name"])
    if name in ("seeded", "official"):
        return name
    raise UsageError(f"{entry.name} was made from the checkpoint {name}: say where it is with --weights PATH")


def _rejudge_one(
    entry: Export,
    reference: Reference,
    options: ExportOptions,
    questions: Questions,
    how: RunOptions,
    on_answer: OnAnswer,
) -> ParityReport:
    changed = entry.changed_files()
    if any("is missing" in line for line in changed):
        return replace(_judge_pair(reference, {}, entry.format_name, options, questions, changed), judge="nobody")
    loaded = {name: entry.load(name, how) for name in STAGE_NAMES}
    return _judge_pair(reference, loaded, entry.format_name, options, questions, changed, on_answer)
