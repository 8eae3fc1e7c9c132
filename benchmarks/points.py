"""The points of a sweep: models x formats x precisions x sizes, from one TOML file, and what is done at each."""

import itertools
import json
import tempfile
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lightsam.errors import LightSamError, UsageError
from lightsam.models import find_model
from lightsam_exporters import FORMATS, artifacts
from lightsam_exporters.base import ExportOptions
from lightsam_exporters.judging import Questions, rejudge
from lightsam_exporters.loading import Export, find_export
from lightsam_exporters.pipeline import ExportRequest, export
from lightsam_exporters.reference import References
from lightsam_exporters.suite import QUICK, load_suite

from . import pytorch
from .plan import Asked, export_tasks, photograph, torch_tasks
from .record import FAILED, OK, Parity, as_json
from .run import benchmark
from .timing import Method

EXPORT, PARITY, BENCHMARK = "export", "parity", "benchmark"
WORKS = (EXPORT, PARITY, BENCHMARK)


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
    """``export``, ``parity`` (exports what is not there, and judges it), or ``benchmark`` (likewise, and times it)."""
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


@dataclass(frozen=True)
class Done:
    """One line of a sweep's results."""

    key: str
    work: str
    status: str
    """``ok`` or ``failed``."""
    message: str
    seconds: float
    found: Mapping[str, Any] = field(default_factory=dict)
    """Sizes of an export, the judgement, or the whole record of a benchmark."""

    def as_line(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"


def load_sweep(path: Path) -> Sweep:
    """Read a sweep's TOML file.

    Raises:
        UsageError: if it cannot be read, or something in it does not exist; the message has the key.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"the sweep {path} cannot be read: {error}") from error
    axes = {name: content.pop(name, None) for name in ("models", "formats", "precisions", "image_sizes")}
    for name, values in axes.items():
        if name != "image_sizes" and not (isinstance(values, list) and values):
            raise UsageError(f"the sweep {path} must say {name}: a list, such as {name} = {_EXAMPLES[name]}")
    settings, method = dict(content), content.pop("method", {})
    settings.pop("method", None)
    _refuse_unknown(path, settings, {one.name for one in fields(Sweep)} - {"points", "method"})
    _refuse_unknown(path, method, {one.name for one in fields(Method)})
    if settings.get("work") not in WORKS:
        raise UsageError(f"the sweep {path} must say what to do: work = one of {', '.join(WORKS)}")
    settings["output"] = Path(settings.get("output", Sweep.output))
    settings["units"] = tuple(settings["units"]) if settings.get("units") else None
    known = (pytorch.NAME, *FORMATS) if settings["work"] == BENCHMARK else FORMATS
    for name in axes["formats"] or ():
        if name not in known:
            raise UsageError(f"the sweep {path} cannot {settings['work']} {name!r}, but: {', '.join(known)}")
    points = [
        Point(model, format_name, precision, size)
        for model, format_name, precision in itertools.product(axes["models"], axes["formats"], axes["precisions"])
        for size in axes["image_sizes"] or [find_model(model).image_sizes[0]]
    ]
    return Sweep(points=tuple(points), method=Method(**method), **settings)


_EXAMPLES = {
    "models": '["mobile_sam", "repvit_sam"]',
    "formats": '["onnx", "tflite"]',
    "precisions": '["float32", "float16"]',
}


def _refuse_unknown(path: Path, given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(f"the sweep {path} has no key {name!r}; there are: {', '.join(sorted(known))}")


def do(sweep: Sweep, point: Point) -> Done:
    """Do a sweep's work at one point; what fails is a result, too."""
    began = time.monotonic()
    found: dict[str, Any] = {}
    try:
        status, message, found = {EXPORT: _export, PARITY: _judge, BENCHMARK: _benchmark}[sweep.work](sweep, point)
    except LightSamError as error:
        status, message = FAILED, " ".join(str(error).split())
    # A library's own error at one point must not end the others.
    except Exception as error:
        status, message = FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Done(point.key, sweep.work, status, message, round(time.monotonic() - began, 1), found)


_Found = tuple[str, str, dict[str, Any]]


def _export(sweep: Sweep, point: Point) -> _Found:
    entry = _exported(sweep, point)
    sizes = {stage: file["size_bytes"] for stage, file in entry.entry["files"].items()}
    return OK, "", {"size_bytes": sizes, "parity": asdict(Parity.of(entry.entry["parity"]))}


def _judge(sweep: Sweep, point: Point) -> _Found:
    ((_, report),) = rejudge([_there(sweep, point)], Questions(load_suite(sweep.suite)), _own(sweep))
    found = {"parity": asdict(Parity.of(report.as_dict())), "failures": report.failures}
    return (OK if report.passed else FAILED), "; ".join(report.failures[:3]), found


def _benchmark(sweep: Sweep, point: Point) -> _Found:
    asked = Asked(precision=point.precision, units=sweep.units, formats=(point.format,))
    with tempfile.TemporaryDirectory() as folder, photograph() as picture:
        if point.format == pytorch.NAME:
            reference = References().load(point.model, sweep.weights, point.image_size, sweep.accept_license)
            tasks = torch_tasks(reference, point.model, Path(folder) / "weights.pt", asked, sweep.method, picture)
        else:
            tasks = export_tasks(_there(sweep, point), asked, sweep.method, picture)
        refused = [task for task in tasks if task.why_not]
        record = benchmark([task for task in tasks if not task.why_not], sweep.method, refused)
    failed = [one for one in record.results if one.status != OK]
    message = "; ".join(f"{one.scope} on {one.unit.requested}: {one.status}, {one.message}" for one in failed)
    if not record.results:
        return FAILED, f"{point.format} has no {point.precision} to be timed", {}
    return (FAILED if failed else OK), message, {"record": as_json(record)}


def _there(sweep: Sweep, point: Point) -> Export:
    """The export of a point, made if it is not there."""
    folder = _folder(sweep, point)
    if (folder / artifacts.export_name(point.format, point.precision)).is_dir():
        return find_export(folder, point.format, point.precision)
    return _exported(sweep, point)


def _exported(sweep: Sweep, point: Point) -> Export:
    request = ExportRequest(
        model=point.model,
        format_name=point.format,
        options=ExportOptions(precision=point.precision),  # checked there
        output=sweep.output,
        weights=sweep.weights,
        image_size=point.image_size,
        accept_license=sweep.accept_license,
    )
    folder, _ = export(request)
    return find_export(folder, point.format, point.precision)


def _folder(sweep: Sweep, point: Point) -> Path:
    return artifacts.model_folder(sweep.output, find_model(point.model), point.image_size)


def _own(sweep: Sweep) -> str | None:
    """Weights that a manifest cannot find again: a file of the user's."""
    return None if sweep.weights in ("auto", "official", "seeded") else sweep.weights
