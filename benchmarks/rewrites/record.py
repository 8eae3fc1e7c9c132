"""The record of a run: one JSON, every field documented here and in `docs/schemas.md`.

Times are in milliseconds, sizes in bytes, unless a field says otherwise.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lightsam.documents import convert, read_json
from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam.weights.checkpoints import Weights
from lightsam_benchmarks.latency.record import GitState, Machine
from lightsam_benchmarks.latency.summary import Summary

from .rounds import Method
from .table import ACTIVATIONS, CONVERSION, MEMORY, TIME

SCHEMA = 1
"""Raised when a field changes its name or meaning."""
_WHAT = "a record of rewrites"

OK, LEFT_OUT, FAILED = "ok", "left out", "failed"


@dataclass(frozen=True)
class Result:
    """One row: a number, and what it should be."""

    name: str
    model: str
    what: str
    """What is compared: a stage and what it is given."""
    format: str
    against: str
    """``authors``, ``faithful``, or ``without`` and the name of a rewrite; empty for a conversion."""
    kind: str
    """``time``, ``memory``, ``activations`` or ``conversion``."""
    status: str
    """``ok``, ``left out`` or ``failed``."""
    message: str
    """Why there is no number; empty where there is one."""
    target: float | None = None
    """At least this many times as fast, at most this share of the memory, at most so many seconds; null for none."""
    ours: float | None = None
    """Milliseconds a prompt (of an encoder, an image); ``running_bytes`` of ONNX and ``taken_bytes`` of LiteRT;
    bytes of activations that are alive at once, as lint counts them; or seconds."""
    baseline: float | None = None
    """Likewise, of what it is compared with; null for a conversion."""
    value: float | None = None
    """Baseline over ours for times; ours over baseline for memory; seconds for a conversion."""
    interval: tuple[float, float] | None = None
    """Of a ratio of times, at 95 %, by the order statistics of the rounds' ratios."""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a target or a number."""
        if self.target is None or self.value is None:
            return None
        return self.value >= self.target if self.kind == TIME else self.value <= self.target


@dataclass(frozen=True)
class Timed:
    """One file of a group."""

    subject: str
    """``ours``, ``faithful``, ``authors``, or ``without`` and the name of a rewrite."""
    format: str
    size_bytes: int
    ms: tuple[float, ...]
    """Of every round, for the whole call."""
    summary: Summary
    psnr_db: float | None
    """The lowest of its outputs against those of the group's first file; null where they are equal."""


@dataclass(frozen=True)
class Group:
    """Files that were timed by turns in one process."""

    model: str
    case: str
    prompts: int
    """In one call."""
    subjects: tuple[Timed, ...]


@dataclass(frozen=True)
class Memory:
    """Peak memory of one file in a process of its own."""

    model: str
    case: str
    subject: str
    format: str
    running_bytes: int
    """The largest resident memory during the calls, above that when the file was loaded."""
    taken_bytes: int
    """Likewise, above that before the file was loaded: for a runtime that allocates when it loads, such as LiteRT."""
    total_bytes: int
    """The largest resident memory of the process during the calls."""


@dataclass(frozen=True)
class Profile:
    """Where the time of one ONNX file goes."""

    model: str
    case: str
    subject: str
    ms: dict[str, float]
    """By type of operation, as ONNX Runtime runs it, the longest first."""


@dataclass(frozen=True)
class About:
    """A model that was measured."""

    model: str
    image_size: int
    weights: Weights
    authors: str
    """The commit of the authors' repository; empty if their code was not compared with."""
    rewrites: dict[str, tuple[str, ...]]
    """Names of the rewrites in its files, by stage and format, such as ``encoder onnx``."""
    conversion_s: dict[str, float]
    """Seconds of every step of an export without its judgement; empty if that was not measured."""


@dataclass(frozen=True)
class Record:
    """One run."""

    created: str
    """UTC, ISO 8601."""
    lightsam: str
    """Its version."""
    git: GitState | None
    """Of the clone that lightsam ran from; null if it was installed."""
    python: str
    versions: dict[str, str]
    """Of the packages that made the files and ran them."""
    machine: Machine
    method: Method
    models: tuple[About, ...]
    results: tuple[Result, ...]
    groups: tuple[Group, ...]
    memory: tuple[Memory, ...]
    profiles: tuple[Profile, ...]
    schema: int = SCHEMA

    @property
    def broken(self) -> list[Result]:
        """What should have been measured and was not."""
        return [one for one in self.results if one.status == FAILED]


def write(record: Record, path: Path) -> None:
    """Write a record as JSON; a run that is interrupted leaves what was there.

    Raises:
        WriteError: if the system refuses.
    """
    write_text(path, json.dumps(asdict(record), indent=1, allow_nan=False) + "\n")


def read(path: Path) -> Record:
    """Read what `write` wrote.

    Raises:
        ContractError: if it is missing, damaged or of another schema.
    """
    content = read_json(path, _WHAT)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ContractError(f"{path} is not {_WHAT} of schema {SCHEMA}: measure again with this release")
    record = convert(content, Record, path, _WHAT)
    for one in record.results:
        if one.kind not in (TIME, MEMORY, ACTIVATIONS, CONVERSION) or (one.status == OK) != (one.value is not None):
            raise ContractError(f"{path} is damaged: {one.name} is {one.status!r}, and its number is {one.value}")
    return record
