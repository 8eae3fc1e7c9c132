"""What a sweep is to do: its TOML file, and the points of models x formats x precisions x sizes that it names.

`SweepFile` says what the file holds; docs/schemas/sweep.json is its JSON Schema, which editors of TOML understand.
"""

import hashlib
import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from lightsam.documents import convert
from lightsam.errors import UsageError
from lightsam.models import find_model
from lightsam.version import __version__
from lightsam_exporters.formats import FORMATS, describe_format
from lightsam_exporters.parity.suite import QUICK, load_suite

from .latency import pytorch
from .latency.plan import Selection
from .latency.timing import Method
from .quality.evaluation import Evaluation
from .quality.table import EvaluateTable

EXPORT, PARITY, BENCHMARK, EVALUATE, TRADEOFF = "export", "parity", "benchmark", "evaluate", "tradeoff"
WORKS = (EXPORT, PARITY, BENCHMARK, EVALUATE, TRADEOFF)


@dataclass(frozen=True)
class Point:
    """One model in one format, precision and size."""

    model: str
    format: str
    precision: str
    image_size: int

    @property
    def key(self) -> str:
        """What identifies it."""
        return f"{self.model} {self.image_size} {self.format}-{self.precision}"


@dataclass(frozen=True)
class Sweep:
    """What the TOML file says."""

    work: str
    """``export``; ``parity`` (exports what is not there, and judges it), ``benchmark`` (likewise, and times it),
    ``evaluate`` (likewise, and measures its masks), or ``tradeoff`` (all of these, stage by stage, the decoder
    compressed as the encoder is, and timed against float32)."""
    points: tuple[Point, ...]
    weights: str = "auto"
    output: Path = Path("artifacts")
    """Where exports are, or are put: on every machine that works, unless they share it."""
    suite: str = QUICK
    """Of ``parity``."""
    accept_license: bool = False
    method: Method = field(default_factory=Method)
    """Of ``benchmark``."""
    units: tuple[str, ...] | None = None
    """Of ``benchmark``; None for all that a machine has."""
    evaluation: Evaluation | None = None
    """Of ``evaluate`` and ``tradeoff``; the latter may go without, for untrained weights."""
    calibration: Path | None = None
    """Folder of images that exports look at; None for lightsam's own."""

    @cached_property
    def digest(self) -> str:
        """Of everything but the points: results of other settings, of another release or suite must not be mixed."""
        suite = load_suite(self.suite).digest if self.work == PARITY else ""
        facts = (__version__, suite, replace(self, points=()))
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


_Names = Annotated[tuple[str, ...], Meta(min_length=1)]


class SweepFile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a sweep's TOML file holds."""

    work: Annotated[str, Meta(extra_json_schema={"enum": list(WORKS)})]
    """What is done at every point; each but ``export`` also exports what is not there."""
    models: _Names
    formats: _Names
    """Those of an export; ``torch`` as well, to be timed or evaluated."""
    precisions: _Names
    image_sizes: tuple[int, ...] = ()
    """Sides of the square input in pixels; each model's own if there are none."""
    weights: str = "auto"
    """As ``--weights`` of ``lightsam export``."""
    output: str = "artifacts"
    """Folder where exports are, or are put."""
    suite: str = QUICK
    """Of ``parity``: name, JSON file or folder of images."""
    accept_license: bool = False
    """Whether weights that are not for commercial use may be taken."""
    units: tuple[str, ...] | None = None
    """Of ``benchmark``; all that a machine has if they are left out."""
    method: Method = msgspec.field(default_factory=Method)
    """Of ``benchmark``."""
    evaluate: EvaluateTable | None = None
    """Of ``evaluate`` and ``tradeoff``."""
    calibration: str | None = None
    """Folder of images that exports look at; lightsam's own photographs if it is left out."""


def load_sweep(path: Path) -> Sweep:
    """Read a sweep's TOML file.

    Raises:
        UsageError: if it cannot be read, or something in it does not exist; the message has the key.
    """
    content = _read(path)
    if content.work not in WORKS:
        raise UsageError(f"the sweep {path} must say what to do: work = one of {', '.join(WORKS)}")
    formats = (pytorch.NAME, *FORMATS) if content.work in (BENCHMARK, EVALUATE, TRADEOFF) else FORMATS
    of_formats = [one for name in FORMATS for one in describe_format(name).options.precisions()]
    precisions = dict.fromkeys((*of_formats, *(pytorch.MODES if content.work == BENCHMARK else ())))
    for axis, given, there in (
        ("formats", content.formats, formats),
        ("precisions", content.precisions, precisions),
    ):
        for name in given:
            if name not in there:
                raise UsageError(f"the sweep {path} names {name!r} among {axis}; there are: {', '.join(there)}")
    points = [
        Point(model, format_name, precision, find_model(model).resolve_image_size(size))
        for model, format_name, precision in itertools.product(content.models, content.formats, content.precisions)
        if _is_there(content.work, format_name, precision)
        for size in content.image_sizes or (None,)
    ]
    if not points:
        raise UsageError(f"the sweep {path} names no precision that one of its formats has")
    if len(set(points)) < len(points):
        raise UsageError(f"the sweep {path} names something twice")
    Selection(units=content.units)  # refuses what does not exist
    load_suite(content.suite)
    evaluation = None
    if content.work in (EVALUATE, TRADEOFF):
        if content.evaluate is None and content.work == EVALUATE:
            raise UsageError(f"the sweep {path} must say what to evaluate on: a table [{EVALUATE}]")
        evaluation = None if content.evaluate is None else content.evaluate.evaluation(path)
    return Sweep(
        work=content.work,
        points=tuple(points),
        weights=content.weights,
        output=Path(content.output),
        suite=content.suite,
        accept_license=content.accept_license,
        method=content.method,
        units=content.units,
        evaluation=evaluation,
        calibration=None if content.calibration is None else Path(content.calibration),
    )


def _is_there(work: str, format_name: str, precision: str) -> bool:
    """Whether there is such a point: a tradeoff passes over what a format lacks, and elsewhere it is a failure."""
    if work != TRADEOFF:
        return True
    if format_name == pytorch.NAME:
        return precision == pytorch.EAGER
    return precision in describe_format(format_name).options.precisions()


def _read(path: Path) -> SweepFile:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the sweep {path} cannot be read: {error}") from error
    _refuse_unknown(path, content, SweepFile.__struct_fields__)
    _refuse_unknown(path, content.get("method"), tuple(one.name for one in fields(Method)))
    _refuse_unknown(path, content.get(EVALUATE), EvaluateTable.__struct_fields__)
    return convert(content, SweepFile, f"the sweep {path}", "a sweep", UsageError)


def _refuse_unknown(path: Path, table: object, names: tuple[str, ...]) -> None:
    """Refuse keys that do not exist, with those that do: a mistyped one must not be passed over."""
    for key in table if isinstance(table, Mapping) else ():
        if key not in names:
            raise UsageError(f"the sweep {path} has no key {key!r}; there are: {', '.join(sorted(names))}")
