"""The record of a run: one JSON, every field documented here and in `docs/schemas.md` (a test holds the two together).

Times are in milliseconds, sizes in bytes. Files are named without the folders that they lie in.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from lightsam.documents import convert, read_json
from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam.models import MODELS
from lightsam.stages import STAGE_NAMES
from lightsam.weights.checkpoints import Weights
from lightsam_benchmarks.sweep_results import records_in
from lightsam_exporters.formats.base import Share
from lightsam_exporters.parity.measurement import ParityReport

from .summary import Summary
from .timing import Method

_WHAT = "a benchmark record"
SCHEMA = 1
"""Raised when a field changes its name or meaning."""

PAIR, EVERYTHING = "pair", "everything"
"""Scopes of both stages together: a few prompts, and everything in an image; the others are the stages' names."""
DEFAULT_SCOPES = (*STAGE_NAMES, PAIR)
"""What is timed unless something else is asked for: everything in an image takes a thousand prompts."""
CALL = "call"
"""Name of what a stage is timed at."""
FIRST_MASK = "first_mask"
PROMPTS = {"prompts_1": 1, "prompts_4": 4, "prompts_16": 16}
"""Names of what a pair is timed at, and how many prompts each is."""
IMAGE, IN_RUNTIMES = "image", "in_runtimes"
"""Names of what everything in an image is timed at, and of the runtimes' part of it."""
TIMED_AT = {**dict.fromkeys(STAGE_NAMES, (CALL,)), PAIR: (FIRST_MASK, *PROMPTS), EVERYTHING: (IMAGE, IN_RUNTIMES)}
"""Names of what each scope is timed at."""
SCOPES = tuple(TIMED_AT)

OK, CRASHED, FAILED, TIMED_OUT, UNAVAILABLE = "ok", "crashed", "failed", "timed out", "unavailable"


class GitState(TypedDict):
    """The clone that lightsam ran from."""

    commit: str
    """Its hash."""
    dirty: bool
    """Whether tracked files were changed since."""


@dataclass(frozen=True)
class Machine:
    """The machine that ran it."""

    chip: str
    architecture: str
    os: str
    physical_cores: int | None
    usable_cores: int
    """Cores that the process may use: in a container fewer than there are."""
    memory_bytes: int
    gpus: tuple[str, ...]
    """Names, as torch gives them."""
    power_source: str
    """"battery", "mains", or "unknown"."""
    load_before: tuple[float, ...]
    """The system's load average over 1, 5 and 15 minutes when the run began; empty where there is none."""
    load_after: tuple[float, ...]
    """When it ended."""


@dataclass(frozen=True)
class Parity:
    """How exact it is: a fast wrong model must not look good."""

    passed: bool
    judge: str
    suite: str
    worst_psnr_db: float | None
    """Of all measurements; None where all are exact."""
    worst_mask_iou: float | None
    """Of the masks that a user is shown; None where there are none."""

    @classmethod
    def of(cls, report: ParityReport) -> "Parity":
        """From what the judge found."""
        decibels = [one.psnr_db for one in report.measurements if one.psnr_db is not None]
        ious = [one.masks.shown.mask_iou for one in report.measurements if one.masks is not None]
        return cls(report.passed, report.judge, report.suite, min(decibels, default=None), min(ious, default=None))


@dataclass(frozen=True)
class Subject:
    """What is timed: an export, or the PyTorch model that it comes from."""

    model: str
    image_size: int
    export: str
    """Name of the export, such as ``onnx-float16``; ``torch-`` and the mode for PyTorch."""
    format: str
    precision: str
    point_slots: int | None
    """Prompt slots of a decoder with static shapes, which takes one prompt a call; None for a dynamic one."""
    weights: Weights
    """Untrained ones are as fast as trained ones, and useless for masks."""
    tools: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that made the files."""

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies it in another record."""
        return (self.model, str(self.image_size), self.export)

    @property
    def name(self) -> str:
        """The model, with its size where that is not its own."""
        card = MODELS.get(self.model)
        native = card is None or self.image_size == card.native_size
        return self.model if native else f"{self.model} {self.image_size}"

    @property
    def title(self) -> str:
        """Model and export, in one line."""
        return f"{self.name} {self.export}"


@dataclass(frozen=True)
class Unit:
    """Where it ran."""

    requested: str
    actual: str
    """What the runtime says, and the browser's version; what was requested of Core ML, which does not say; empty if it
    did not come so far."""
    runtime: str
    """Name and version."""
    threads: int | None
    """On the CPU, or of WebAssembly; None for a runtime that cannot be told."""


@dataclass(frozen=True)
class Round:
    """What one fresh process measured."""

    load_cold_ms: float
    """The file's first load in this process, the runtime's library being there already."""
    evicted: bool
    """Whether the file was thrown out of the system's page cache before, so that it came from the disk."""
    load_warm_ms: float
    """A second load in the same process, at its end, when the first was let go."""
    first_call_ms: float
    """The first call after the cold load; the image to its first mask, for a pair."""
    memory_before_bytes: int | None
    """Resident memory before the cold load: Python, torch and the runtime's library; of a browser, the page
    and the runtime. None on a phone, and of a browser off Linux."""
    peak_memory_bytes: int | None
    """Largest resident memory of the process until the last counted call; of a browser, of the process that runs the
    page. None as above."""
    device_memory_bytes: int | None
    """Largest memory of a CUDA device, of PyTorch alone, which tells; None elsewhere."""
    warmup_ms: dict[str, tuple[float, ...]]
    """Calls that were not counted."""
    ms: dict[str, tuple[float, ...]]
    """Every counted call."""
    complete: bool
    """Whether the method's count and time were reached; False if calls take so long that fewer were counted."""
    counts: dict[str, int] = field(default_factory=dict)
    """Of everything in an image: ``points`` that were asked, ``decoder_calls``, and ``masks`` that were found."""


@dataclass(frozen=True)
class Result:
    """One stage of one subject, or both, on one unit."""

    subject: Subject
    scope: str
    """``encoder``, ``decoder``, ``pair`` or ``everything``."""
    unit: Unit
    status: str
    """``ok``, ``failed`` (the runtime refused), ``crashed``, ``timed out``, or ``unavailable`` on this machine."""
    message: str
    """What went wrong, in one line, also where it was measured all the same; empty if nothing did."""
    sha256: str | None = None
    """Of the stage's file; of PyTorch and of a pair, None."""
    size_bytes: int | None = None
    """Of the stage's file, of both for a pair; of the tensors for PyTorch."""
    parity: Parity | None = None
    """None for PyTorch in float32 on the CPU, which is what the others are compared with."""
    residency: tuple[Share, ...] = ()
    """Share of each device, where the runtime tells: Core ML on macOS, ONNX Runtime on other units than the CPU."""
    rounds: tuple[Round, ...] = ()
    summaries: dict[str, Summary] = field(default_factory=dict)
    """Of what was timed: ``call`` for a stage; for a pair ``first_mask``, from an image's file to masks of its size,
    and ``prompts_1``, ``prompts_4`` and ``prompts_16``, so many prompts after one encoding; for everything in an image
    ``image``, from its file to all masks, and ``in_runtimes``, the part of that which both stages took."""

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies it in another record."""
        return (*self.subject.key, self.scope, self.unit.requested)


@dataclass(frozen=True)
class Record:
    """One run."""

    created: str
    """UTC, ISO 8601."""
    lightsam: str
    """Its version."""
    git: GitState | None
    """Of the clone that lightsam ran from; None if it was installed."""
    python: str
    versions: dict[str, str]
    """Of the packages that ran it."""
    machine: Machine
    method: Method
    results: tuple[Result, ...]
    schema: int = SCHEMA

    def by_key(self) -> dict[tuple[str, ...], Result]:
        """Results by what identifies them."""
        return {result.key: result for result in self.results}


def write(record: Record, path: Path) -> None:
    """Write a record as JSON; a run that is interrupted leaves what was there.

    Raises:
        WriteError: if the system refuses.
    """
    write_text(path, json.dumps(as_json(record), indent=1, allow_nan=False) + "\n")


def as_json(record: Record) -> dict[str, Any]:
    """As `from_json` reads it."""
    return asdict(record)


def read(path: Path) -> Record:
    """Read what `write` wrote, or a sweep's results (``.jsonl``) that are of one machine and release.

    Raises:
        ContractError: if it is missing, damaged, of another schema, or of several machines.
    """
    records = read_all(path)
    if len(records) > 1:
        chips = ", ".join(dict.fromkeys(record.machine.chip for record in records))
        raise ContractError(f"{path} holds {len(records)} runs, of other machines, releases or methods ({chips})")
    return records[0]


def read_all(path: Path) -> list[Record]:
    """Read what `write` wrote, or a sweep's results (``.jsonl``): a record for each machine, release and method.

    Raises:
        ContractError: if it is missing, damaged or of another schema.
    """
    if path.suffix != ".jsonl":
        return [from_json(read_json(path, _WHAT), path)]
    return _together([from_json(one, path) for one in records_in(path, "record", "benchmark")])


def _together(records: list[Record]) -> list[Record]:
    """One record for all that were measured under the same circumstances."""
    groups: dict[str, list[Record]] = {}
    for one in records:
        machine = replace(one.machine, load_before=(), load_after=())
        groups.setdefault(repr((machine, one.method, one.versions, one.git, one.python)), []).append(one)
    return [
        replace(
            group[0],
            machine=replace(group[0].machine, load_after=group[-1].machine.load_after),
            results=tuple(result for one in group for result in one.results),
        )
        for group in groups.values()
    ]


def from_json(content: Any, path: Path) -> Record:
    """A record from what `as_json` gave; ``path`` is for the message.

    Raises:
        ContractError: if it is damaged or of another schema.
    """
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ContractError(f"{path} is not a benchmark record of schema {SCHEMA}: measure again with this release")
    record = convert(content, Record, path, _WHAT)
    for result in record.results:
        if result.scope not in SCOPES:
            raise ContractError(f"{path} is damaged: there is no scope {result.scope!r}")
        names = TIMED_AT[result.scope]
        measured = set(names) <= set(result.summaries) and bool(result.rounds)
        if result.status == OK and not measured:
            raise ContractError(f"{path} is damaged: a result is {OK!r} and lacks {', '.join(names)} or its rounds")
    return record
