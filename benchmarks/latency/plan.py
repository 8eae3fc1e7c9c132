"""What is to be timed: from folders of artifacts and what was asked for to a list of tasks."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import torch

from lightsam.errors import UsageError
from lightsam.modeling.sam import Sam
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES, Stage, split
from lightsam_benchmarks.machine import usable_cores
from lightsam_benchmarks.subject import of_export, of_model
from lightsam_exporters import artifacts
from lightsam_exporters.loading import Export, exports, find_exports
from lightsam_exporters.parity.compare import pairs_of
from lightsam_exporters.parity.exports import reference_for
from lightsam_exporters.parity.reference import Reference, References

from . import pytorch, units
from .record import DEFAULT_SCOPES, SCOPES, UNAVAILABLE, Parity, Result, Subject, Unit
from .timing import Method
from .worker import Job, stages_of


@dataclass(frozen=True)
class Task:
    """A job, and what the record says of it."""

    subject: Subject
    job: Job
    why_not: str
    """Why it cannot be done on this machine; empty if it can."""
    sha256: str | None
    size_bytes: int
    parity: Parity | None = None

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"{self.subject.title} {self.job.scope} on {self.job.unit}"

    def result(self) -> Result:
        """What the record says where it cannot be done."""
        unit = Unit(self.job.unit, "", "", None)
        return Result(
            self.subject, self.job.scope, unit, UNAVAILABLE, self.why_not, self.sha256, self.size_bytes, self.parity
        )


@dataclass(frozen=True)
class Selection:
    """What is to be timed; None is everything that there is."""

    formats: tuple[str, ...] | None = None
    precision: str | None = None
    units: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    weights: str | None = None
    """Of PyTorch: as for an export; None takes those that the manifest names."""

    def __post_init__(self) -> None:
        known = tuple(dict.fromkeys(unit for name in units.TIMED for unit in units.units_of(name)))
        for what, selection, there in (
            ("format", self.formats, units.TIMED),
            ("unit", self.units, known),
            ("stage", self.scopes, SCOPES),
        ):
            for name in selection or ():
                if name not in there:
                    raise UsageError(f"there is no {what} {name!r} to be timed; choose from: {', '.join(there)}")
            if selection is not None and len(set(selection)) < len(selection):
                raise UsageError(f"a {what} is asked for twice: {', '.join(selection)}")

    def wants(self, format_name: str) -> bool:
        """Whether this format is to be timed."""
        return self.formats is None or format_name in self.formats

    def units_of(self, format_name: str) -> list[tuple[str, str]]:
        """The units to time a format on, each with the reason why it cannot be done here."""
        if self.units is not None:
            there = [unit for unit in self.units if unit in units.units_of(format_name)]
            return [(unit, units.why_not(format_name, unit)) for unit in there]
        here = units.default_units(format_name)
        if here:
            return [(unit, "") for unit in here]
        first = units.units_of(format_name)[0]
        named = self.formats is not None  # asked for by name, even what is slow is timed
        return [(first, units.why_not(format_name, first) if named else units.why_not_by_default(format_name, first))]


@contextmanager
def photograph() -> Iterator[Path]:
    """The image that everything is timed on; there until the block ends."""
    with as_file(files("lightsam_exporters.parity") / "data") as data:
        yield data / "coffee.jpg"


@contextmanager
def planned(
    folders: Sequence[Path], selection: Selection, method: Method, references: References
) -> Iterator[tuple[list[Task], list[Task]]]:
    """The tasks that can be done here, and those that cannot; what they need is there until the block ends.

    Raises:
        CheckpointError: if the weights of PyTorch cannot be had.
        ContractError: if a folder has no manifest.
        UsageError: if nothing of what was asked for can be done here; the message says why.
    """
    with tempfile.TemporaryDirectory() as temporary, photograph() as image:
        tasks: list[Task] = []
        for number, folder in enumerate(folders):
            there = exports(folder)
            if selection.wants(pytorch.NAME) and selection.units_of(pytorch.NAME) and there:
                _check_one_set_of_weights(folder, there, selection)
                reference = reference_for(there[0], references, selection.weights)
                model = there[0].provenance.model
                tasks += torch_tasks(reference, model, Path(temporary) / f"{number}.pt", selection, method, image)
            for name in set(selection.formats or ()) - {pytorch.NAME}:
                find_exports(folder, name, selection.precision)  # an error says what there is
            for entry in there:
                if selection.wants(entry.format_name) and selection.precision in (None, entry.precision):
                    tasks += export_tasks(entry, selection, method, image)
        _refuse_twins(tasks)
        doable = [task for task in tasks if not task.why_not]
        if not doable:
            reasons = "; ".join(dict.fromkeys(task.why_not for task in tasks)) or "no export is what was asked for"
            raise UsageError(f"there is nothing to be timed here: {reasons}")
        yield doable, [task for task in tasks if task.why_not]


def _check_one_set_of_weights(folder: Path, there: Sequence[Export], selection: Selection) -> None:
    """PyTorch is timed once a folder, with the weights of its exports: they must have the same."""
    names = {entry.weights.sha256: entry.weights.name for entry in there}
    if len(names) > 1:
        raise UsageError(
            f"{folder} holds exports of different weights ({', '.join(names.values())}), and PyTorch is timed with one "
            f"set a folder: keep them in folders of their own, or leave {pytorch.NAME} out of --format"
        )


def _refuse_twins(tasks: Sequence[Task]) -> None:
    """Refuse what a record could not tell apart."""
    known = set()
    for task in tasks:
        key = task.result().key
        if key in known:
            raise UsageError(f"{task.title} is there more than once: compare two with --vs, or two records")
        known.add(key)


@contextmanager
def paired(folder: Path, other: Path, selection: Selection, method: Method) -> Iterator[list[tuple[Task, Task]]]:
    """Tasks of two folders, or of two exports, that are to be timed against one another: stage by stage.

    Raises:
        ContractError: if there is no manifest.
        UsageError: if they have nothing in common, or one of them cannot be run here.
    """
    alone = [unit for unit in selection.units or () if unit in units.STAGES_ALONE]
    if alone:
        raise UsageError(
            f"--vs calls two files by turns, which {alone[0]} cannot do: time each by itself, and compare the records"
        )
    with photograph() as image:
        pairs = []
        for mine, theirs in pairs_of(folder, other, None, selection.precision):
            if not (selection.wants(mine.format_name) and selection.wants(theirs.format_name)):
                continue
            sides = [
                {(task.job.scope, task.job.unit): task for task in export_tasks(entry, selection, method, image)}
                for entry in (mine, theirs)
            ]
            pairs += [(task, sides[1][key]) for key, task in sides[0].items() if key in sides[1]]
        doable = [(a, b) for a, b in pairs if not (a.why_not or b.why_not)]
        if not doable:
            reasons = dict.fromkeys(task.why_not for pair in pairs for task in pair if task.why_not)
            nothing = f"{folder} and {other} have no stage and unit in common that could be timed"
            raise UsageError(": ".join(filter(None, (nothing, "; ".join(reasons)))))
        yield doable


def export_tasks(entry: Export, selection: Selection, method: Method, image: Path) -> list[Task]:
    """Every stage of an export, and both together, on every unit."""
    stages = entry.facts.files
    subject = of_export(entry)
    parity = Parity.of(entry.facts.parity)
    changed = entry.changed_files()
    if changed:  # the manifest says nothing of these
        parity = replace(parity, passed=False, worst_psnr_db=None, worst_mask_iou=None)
    tasks = []
    for unit, why_not in selection.units_of(entry.format_name):
        for scope in selection.scopes:
            needed = stages_of(scope)
            if not set(needed) <= set(stages) or (len(needed) > 1 and unit in units.STAGES_ALONE):
                continue
            paths = {name: entry.folder / stages[name].path for name in needed}
            job = _job(subject, scope, unit, "", paths, method, image)
            sizes = {path: artifacts.size_bytes(path) for path in paths.values()}  # both stages may be in one file
            digest = None
            if len(needed) == 1:  # of what is timed, whatever the manifest says
                digest = artifacts.sha256(paths[scope]) if changed else stages[scope].sha256
            tasks.append(Task(subject, job, why_not, digest, sum(sizes.values()), parity))
    return tasks


def torch_tasks(
    reference: Reference, model: str, checkpoint: Path, selection: Selection, method: Method, image: Path
) -> list[Task]:
    """The model that exports come from, in every mode; its weights are written to ``checkpoint``."""
    torch.save(reference.model.state_dict(), checkpoint)
    stages = split(reference.model)
    tasks = []
    for unit, why_not in selection.units_of(pytorch.NAME):
        for mode in pytorch.modes_on(unit) if selection.precision is None else pytorch.MODES:
            if selection.precision not in (None, mode):
                continue
            subject = of_model(model, reference.model, reference.weights, mode)
            sizes = {stage.name: _tensor_bytes(stage, mode) for stage in stages}
            for scope in selection.scopes:
                paths = dict.fromkeys(STAGE_NAMES, checkpoint)
                job = _job(subject, scope, unit, mode, paths, method, image)
                size = sum(sizes[name] for name in stages_of(scope))
                tasks.append(Task(subject, job, why_not or pytorch.why_not(mode, unit), None, size))
    return tasks


def _tensor_bytes(stage: Stage, mode: str) -> int:
    timed = stage if mode == pytorch.EAGER else pytorch.in_half(stage)
    return sum(tensor.nbytes for tensor in timed.module.state_dict().values())


@cache
def _skeleton(model: str, image_size: int) -> Sam:
    """What a model takes, without its weights; every task of a run asks for it."""
    return find_model(model).skeleton(image_size)


def _job(
    subject: Subject,
    scope: str,
    unit: str,
    mode: str,
    paths: dict[str, Path],
    method: Method,
    image: Path,
) -> Job:
    model = _skeleton(subject.model, subject.image_size)
    return Job(
        format=subject.format,
        mode=mode,
        model=subject.model,
        rules=model.rules,
        point_slots=subject.point_slots,
        scope=scope,
        unit=unit,
        threads=method.threads or usable_cores(),
        files=paths,
        features={one.name: one.shape(model.image_size) for one in model.image_encoder.feature_maps},
        image=image,
        method=method,
    )
