"""All points of a sweep in one JSON, with the machine that they were measured on."""

import datetime
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lightsam.documents import convert, read_json
from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam.version import __version__
from lightsam_benchmarks import machine
from lightsam_benchmarks.latency.record import GitState
from lightsam_benchmarks.quality.compare import difference
from lightsam_benchmarks.quality.record import Difference
from lightsam_benchmarks.sweep_results import SweepResult

from .rows import BOTH, Measured

SCHEMA = 1
"""Raised when a field changes its name or meaning."""
WHAT = "a record of a tradeoff"
_SEED = 0
"""Of the bootstrap."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sweep."""

    schema: int = SCHEMA
    created: str
    """UTC, ISO 8601."""
    lightsam: str
    git: GitState | None
    python: str
    chip: str
    usable_cores: int
    calibrated_on: tuple[str, ...]
    """The images that exports looked at, in words."""
    measured: tuple[Measured, ...]
    """In the order of the sweep."""

    @property
    def untrained(self) -> tuple[str, ...]:
        """Models whose weights say nothing of masks."""
        return tuple(dict.fromkeys(one.model for one in self.measured if not one.weights.trained))

    def reference(self, one: Measured) -> Measured | None:
        """PyTorch's masks of the same model, size and objects; None where they were not measured."""

        def about(measured: Measured) -> tuple[object, ...]:
            return (measured.model, measured.image_size, measured.weights.sha256, measured.truth)

        return next((other for other in self.measured if other.format == "torch" and about(other) == about(one)), None)

    def lost(self, one: Measured, scope: str, prompts: str) -> Difference | None:
        """What a row has of mIoU less what PyTorch has, on the same objects; below zero for a loss."""
        whole, row = self.reference(one), one.row(scope)
        if whole is None or row is None or one.truth is None:
            return None
        reference = whole.row(BOTH)
        pairs = [
            (before.ious, after.ious)
            for before in (reference.masks if reference is not None else ())
            for after in row.masks
            if before.prompts == after.prompts == prompts
        ]
        if not pairs:
            return None
        return difference((whole.name, one.name), prompts, *pairs[0], one.truth.images, _SEED)


def from_results(results: Sequence[SweepResult]) -> Record:
    """A record of the points of a sweep that were measured.

    Raises:
        ContractError: if a result is not one of a tradeoff.
    """
    return record_of([convert(one.found["tradeoff"], Measured, one.key, WHAT) for one in results if one.found])


def record_of(measured: Sequence[Measured]) -> Record:
    """A record of what was measured on this machine."""
    looked_at = (str(one.options.get("calibrated_on", "")) for one in measured)
    return Record(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        lightsam=__version__,
        git=machine.git_state(),
        python=platform.python_version(),
        chip=machine.chip(),
        usable_cores=machine.usable_cores(),
        calibrated_on=tuple(dict.fromkeys(filter(None, looked_at))),
        measured=tuple(measured),
    )


def as_text(record: Record) -> str:
    """As JSON, a line a point."""
    content = asdict(record)
    rows = ",\n  ".join(json.dumps(one, allow_nan=False) for one in content.pop("measured"))
    head = ",\n ".join(f'"{key}": {json.dumps(value, allow_nan=False)}' for key, value in content.items())
    return f'{{\n {head},\n "measured": [\n  {rows}\n ]\n}}\n'


def write(record: Record, path: Path) -> None:
    """Write a record as JSON; a run that is interrupted leaves what was there.

    Raises:
        WriteError: if the system refuses.
    """
    write_text(path, as_text(record))


def read(path: Path) -> Record:
    """Read what `write` wrote.

    Raises:
        ContractError: if it is missing, damaged or of another schema.
    """
    content = read_json(path, WHAT)
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise ContractError(f"{path} is of schema {schema!r} and this lightsam reads {SCHEMA}: measure it again")
    return convert(content, Record, path, WHAT)
