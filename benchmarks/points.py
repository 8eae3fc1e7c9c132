"""The points of a sweep: models x formats x precisions x sizes, from one TOML file, and what is done at each."""

import hashlib
import itertools
import json
import tempfile
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock

from lightsam import __version__
from lightsam.errors import ArtifactExistsError, UsageError, in_words
from lightsam.files import ensure_writable
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES
from lightsam.weights.sources import is_path
from lightsam_exporters import artifacts, manifest
from lightsam_exporters.formats import FORMATS, find_format
from lightsam_exporters.formats.base import PRECISIONS, ExportOptions
from lightsam_exporters.loading import Export, find_export
from lightsam_exporters.parity.exports import JudgeConfig, judge_exports
from lightsam_exporters.parity.reference import References
from lightsam_exporters.parity.suite import QUICK, load_suite
from lightsam_exporters.pipeline import ExportRequest, export

from .latency import pytorch
from .latency.plan import Selection, export_tasks, photograph, torch_tasks
from .latency.record import FAILED, OK, Parity, as_json
from .latency.run import benchmark
from .latency.timing import Method
from .quality import points as quality
from .quality.evaluation import Evaluation
from .quality.subjects import Loading, of_export, of_model

EXPORT, PARITY, BENCHMARK, EVALUATE = "export", "parity", "benchmark", "evaluate"
WORKS = (EXPORT, PARITY, BENCHMARK, EVALUATE)


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
    """``export``; ``parity`` (exports what is not there, and judges it), ``benchmark`` (likewise, and times it), or
    ``evaluate`` (likewise, and measures its masks)."""
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
    """Of ``evaluate``."""

    @cached_property
    def digest(self) -> str:
        """Of everything but the points: results of other settings, of another release or suite must not be mixed."""
        suite = load_suite(self.suite).digest if self.work == PARITY else ""
        facts = (__version__, suite, replace(self, points=()))
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class SweepResult:
    """One line of a sweep's results."""

    LINE_BEGINS: ClassVar[str] = '{"key": "'
    key: str
    work: str
    sweep: str
    """Digest of the sweep's settings."""
    status: str
    """``ok`` or ``failed``."""
    message: str
    seconds: float
    found: Mapping[str, Any] = field(default_factory=dict)
    """Sizes of an export, the judgement, or the whole record of a benchmark or an evaluation."""

    def as_line(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"


_KEYS: dict[str, type] = {
    "work": str,
    "models": list,
    "formats": list,
    "precisions": list,
    "image_sizes": list,
    "weights": str,
    "output": str,
    "suite": str,
    "accept_license": bool,
    "units": list,
    "method": dict,
    quality.TABLE: dict,
}
_AXES = ("models", "formats", "precisions")


def load_sweep(path: Path) -> Sweep:
    """Read a sweep's TOML file.

    Raises:
        UsageError: if it cannot be read, or something in it does not exist; the message has the key.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"the sweep {path} cannot be read: {error}") from error
    _check_types(path, content)
    if content.get("work") not in WORKS:
        raise UsageError(f"the sweep {path} must say what to do: work = one of {', '.join(WORKS)}")
    for name in _AXES:
        if not content.get(name):
            raise UsageError(f"the sweep {path} must say {name}, as a list")
    work = content["work"]
    formats = (pytorch.NAME, *FORMATS) if work in (BENCHMARK, EVALUATE) else FORMATS
    precisions = dict.fromkeys((*PRECISIONS, *(pytorch.MODES if work == BENCHMARK else ())))
    for axis, there in (("formats", formats), ("precisions", precisions)):
        for name in content[axis]:
            if name not in there:
                raise UsageError(f"the sweep {path} names {name!r} among {axis}; there are: {', '.join(there)}")
    points = [
        Point(model, format_name, precision, find_model(model).resolve_image_size(size))
        for model, format_name, precision in itertools.product(*(content[name] for name in _AXES))
        for size in content.get("image_sizes") or [None]
    ]
    if len(set(points)) < len(points):
        raise UsageError(f"the sweep {path} names something twice")
    units = content.get("units")
    Selection(units=None if units is None else tuple(units))  # refuses what does not exist
    settings = {key: value for key, value in content.items() if key in ("work", "weights", "suite", "accept_license")}
    load_suite(settings.get("suite", QUICK))
    return Sweep(
        points=tuple(points),
        output=Path(content.get("output", Sweep.output)),
        method=Method(**content.get("method", {})),
        units=None if units is None else tuple(units),
        evaluation=quality.load(path, content.get(quality.TABLE)) if work == EVALUATE else None,
        **settings,
    )


def _check_types(path: Path, content: Mapping[str, Any]) -> None:
    """Refuse keys that do not exist, and values of another kind."""
    method = {one.name: type(one.default) if one.default is not None else int for one in fields(Method)}
    for keys, given in ((_KEYS, content), (method, content.get("method", {}))):
        for name, value in given.items() if isinstance(given, dict) else ():
            if name not in keys:
                raise UsageError(f"the sweep {path} has no key {name!r}; there are: {', '.join(sorted(keys))}")
            kinds = (int, float) if keys[name] is float else (keys[name],)
            if type(value) not in kinds:
                raise UsageError(f"the sweep {path} says {name} = {value!r}, which is no {keys[name].__name__}")
    for name in (*_AXES, "units"):
        for value in content.get(name, ()):
            if not isinstance(value, str):
                raise UsageError(f"the sweep {path} lists {value!r} among {name}, which is no name")
    for value in content.get("image_sizes", ()):
        if type(value) is not int:
            raise UsageError(f"the sweep {path} lists {value!r} among image_sizes, which is no number of pixels")


def do(sweep: Sweep, point: Point) -> SweepResult:
    """Do a sweep's work at one point; what fails is a result, too."""
    began = time.monotonic()
    found: dict[str, Any] = {}
    try:
        works = {EXPORT: _export, PARITY: _judge, BENCHMARK: _benchmark, EVALUATE: _evaluate}
        status, message, found = works[sweep.work](sweep, point)
    except Exception as error:  # also a library's own: at one point it must not end the others
        status, message = FAILED, in_words(error)
    return SweepResult(point.key, sweep.work, sweep.digest, status, message, round(time.monotonic() - began, 1), found)


_Found = tuple[str, str, dict[str, Any]]


def _export(sweep: Sweep, point: Point) -> _Found:
    entry = _there(sweep, point)
    sizes = {stage: file["size_bytes"] for stage, file in entry.entry["files"].items()}
    return OK, "", {"size_bytes": sizes, "parity": asdict(Parity.of(entry.entry["parity"]))}


def _judge(sweep: Sweep, point: Point) -> _Found:
    ((_, report),) = judge_exports([_there(sweep, point)], JudgeConfig(load_suite(sweep.suite)), _own(sweep, point))
    found = {"parity": asdict(Parity.of(report.as_dict())), "failures": report.failures}
    return (OK if report.passed else FAILED), "; ".join(report.failures[:3]), found


def _benchmark(sweep: Sweep, point: Point) -> _Found:
    selection = Selection(precision=point.precision, units=sweep.units, formats=(point.format,))
    with tempfile.TemporaryDirectory() as folder, photograph() as image:
        if point.format == pytorch.NAME:
            reference = References().load(point.model, sweep.weights, point.image_size, sweep.accept_license)
            tasks = torch_tasks(reference, point.model, Path(folder) / "weights.pt", selection, sweep.method, image)
        else:
            tasks = export_tasks(_there(sweep, point), selection, sweep.method, image)
        refused = [task for task in tasks if task.why_not]
        record = benchmark([task for task in tasks if not task.why_not], sweep.method, refused)
    failed = [one for one in record.results if one.status != OK]
    message = "; ".join(f"{one.scope} on {one.unit.requested}: {one.status}, {one.message}" for one in failed)
    if not record.results:
        return FAILED, f"{point.format} in {point.precision} cannot be timed on what was asked for", {}
    return (FAILED if failed else OK), message, {"record": as_json(record)}


def _evaluate(sweep: Sweep, point: Point) -> _Found:
    assert sweep.evaluation is not None  # of this work
    loading = Loading(image_size=point.image_size, accept_license=sweep.accept_license)
    if point.format != pytorch.NAME:
        candidate = of_export(_there(sweep, point), loading)
    elif point.precision == pytorch.EAGER:
        candidate = of_model(point.model, sweep.weights, loading)
    else:
        return FAILED, f"PyTorch is evaluated in {pytorch.EAGER} alone", {}
    return OK, "", {"evaluation": quality.evaluate_one(candidate, sweep.evaluation)}


def _there(sweep: Sweep, point: Point) -> Export:
    """The export of a point, made if it is not there.

    Raises:
        ArtifactExistsError: if what is there is another: of other weights, options, stages, or another release.
    """
    ensure_writable(sweep.output)
    folder = _folder(sweep, point)
    # Other workers export the same model to other formats: an export refuses to share its folder, so wait.
    with FileLock(sweep.output / f".{folder.name}.lock"):
        name = artifacts.export_name(point.format, point.precision)
        options = ExportOptions(precision=point.precision)  # type: ignore[arg-type]  # checked there
        if (folder / manifest.FILE_NAME).exists() and name in manifest.read(folder)["exports"]:
            entry = find_export(folder, point.format, point.precision)
            _check_same(entry, options, sweep, point)
            return entry
        request = ExportRequest(
            model=point.model,
            format_name=point.format,
            options=options,
            output=sweep.output,
            weights=sweep.weights,
            image_size=point.image_size,
            accept_license=sweep.accept_license,
        )
        export(request)
        return find_export(folder, point.format, point.precision)


def _check_same(entry: Export, options: ExportOptions, sweep: Sweep, point: Point) -> None:
    """Refuse to pass off another export for the one that the sweep would make."""
    taken = [name for name in find_format(point.format).OPTIONS if name != "float32_operations"]  # that it finds itself
    expected: dict[str, Any] = {
        "weights": References().load(point.model, sweep.weights, point.image_size, sweep.accept_license).weights.sha256,
        "options": options.recorded(taken),
        "stages": sorted(STAGE_NAMES),
        "lightsam": __version__,
    }
    found: dict[str, Any] = {
        "weights": entry.entry["weights"]["sha256"],
        "options": {name: value for name, value in entry.entry["options"].items() if name in expected["options"]},
        "stages": sorted(entry.entry["files"]),
        "lightsam": entry.entry["tools"]["lightsam"],
    }
    if found != expected:
        differing = ", ".join(name for name in expected if found[name] != expected[name])
        raise ArtifactExistsError(
            f"{entry.folder}/{entry.name} is there and is another export than this sweep makes (its {differing}): "
            "delete it, or give the sweep another output"
        )


def _folder(sweep: Sweep, point: Point) -> Path:
    return artifacts.model_folder(sweep.output, find_model(point.model), point.image_size)


def _own(sweep: Sweep, point: Point) -> str | None:
    """Weights that a manifest cannot find again: a file of the user's."""
    return sweep.weights if is_path(find_model(point.model), sweep.weights) else None
