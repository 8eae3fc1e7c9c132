"""What a sweep does at one point: an export, its judgement, its latency or its masks, as one result."""

import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from lightsam.errors import ArtifactExistsError, in_words
from lightsam.files import ensure_writable
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES
from lightsam.version import __version__
from lightsam.weights.sources import is_path
from lightsam_exporters import artifacts
from lightsam_exporters.facts import export_name
from lightsam_exporters.formats import options_of
from lightsam_exporters.formats.options import Options
from lightsam_exporters.loading import Export, find_exports, is_export
from lightsam_exporters.parity.exports import JudgeConfig, judge_exports
from lightsam_exporters.parity.reference import References
from lightsam_exporters.parity.suite import load_suite
from lightsam_exporters.pipeline import ExportRequest, RejectedError, export

from .latency import pytorch
from .latency.plan import Selection, export_tasks, photograph, torch_tasks
from .latency.record import FAILED, OK, Parity, as_json
from .latency.run import benchmark
from .quality import points as quality
from .quality.subjects import Loading, of_export, of_model
from .sweep_file import BENCHMARK, EVALUATE, EXPORT, PARITY, TRADEOFF, Point, Sweep
from .sweep_results import SweepResult
from .tradeoff.measuring import measure, measure_reference


def do(sweep: Sweep, point: Point) -> SweepResult:
    """Do a sweep's work at one point; what fails is a result, too."""
    began = time.monotonic()
    found: dict[str, Any] = {}
    try:
        works = {
            EXPORT: _export,
            PARITY: _judge,
            BENCHMARK: _benchmark,
            EVALUATE: _evaluate,
            TRADEOFF: _measure_tradeoff,
        }
        status, message, found = works[sweep.work](sweep, point)
    except Exception as error:  # also a library's own: at one point it must not end the others
        status, message = FAILED, in_words(error)
    return SweepResult(point.key, sweep.work, sweep.digest, status, message, round(time.monotonic() - began, 1), found)


_Found = tuple[str, str, dict[str, Any]]


def _export(sweep: Sweep, point: Point) -> _Found:
    entry = _there(sweep, point)
    sizes = {stage: file.size_bytes for stage, file in entry.facts.files.items()}
    return OK, "", {"size_bytes": sizes, "parity": asdict(Parity.of(entry.facts.parity))}


def _judge(sweep: Sweep, point: Point) -> _Found:
    config, references = JudgeConfig(load_suite(sweep.suite)), References(accept_license=sweep.accept_license)
    ((_, report),) = judge_exports([_there(sweep, point)], config, _own(sweep, point), references=references)
    found = {"parity": asdict(Parity.of(report)), "failures": report.failures}
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


def _measure_tradeoff(sweep: Sweep, point: Point) -> _Found:
    reference = References().load(point.model, sweep.weights, point.image_size, sweep.accept_license)
    evaluation = sweep.evaluation if reference.weights.trained else None
    if point.format == pytorch.NAME:
        if evaluation is None:
            return FAILED, "PyTorch is measured in masks alone: give an [evaluate] table and trained weights", {}
        found = measure_reference(point.model, reference, evaluation)
    else:
        float32 = _there(sweep, replace(point, precision=pytorch.EAGER))
        found = measure(_there(sweep, point), float32, reference, evaluation, sweep.method)
    # Files that fail their gates are measured, too: that is what one wants to know of them.
    return OK, "; ".join(found.failures[:1]), {TRADEOFF: asdict(found)}


def _options(sweep: Sweep, point: Point) -> Options:
    """What is asked of an export; a tradeoff compresses both stages."""
    options = options_of(point.format, precision=point.precision)
    if sweep.work == TRADEOFF and point.precision in options.compressed:
        options = options_of(point.format, precision=point.precision, decoder_precision=point.precision)
    return options


def _there(sweep: Sweep, point: Point) -> Export:
    """The export of a point, made if it is not there; of a tradeoff also one that its gates reject.

    Raises:
        ArtifactExistsError: if what is there is another: of other weights, options, stages, or another release.
    """
    ensure_writable(sweep.output)
    folder = _folder(sweep, point)
    # Other workers export the same model to other formats: an export refuses to share its folder, so wait.
    with FileLock(sweep.output / f".{folder.name}.lock"):
        final = folder / export_name(point.format, point.precision)
        artifacts.recover(folder)
        rejected = final.with_name(f"{final.name}.rejected")
        for there in (final, rejected) if sweep.work == TRADEOFF else (final,):
            if is_export(there):
                (entry,) = find_exports(there)
                _check_same(entry, sweep, point)
                return entry
        request = ExportRequest(
            model=point.model,
            format_name=point.format,
            options=_options(sweep, point),
            output=sweep.output,
            weights=sweep.weights,
            image_size=point.image_size,
            accept_license=sweep.accept_license,
            calibration=sweep.calibration if point.precision in _options(sweep, point).calibrated else None,
        )
        try:
            export(request)
        except RejectedError:
            if sweep.work != TRADEOFF:
                raise
            return find_exports(rejected)[0]
        return find_exports(final)[0]


def _check_same(entry: Export, sweep: Sweep, point: Point) -> None:
    """Refuse to pass off another export for the one that the sweep would make."""
    weights = References().load(point.model, sweep.weights, point.image_size, sweep.accept_license).weights.sha256
    options = _options(sweep, point)
    expected = dict.fromkeys(STAGE_NAMES, (weights, options, __version__))
    found = {
        stage: (
            file.provenance.weights_sha256,
            # What an export finds out by itself is no other option.
            options_of(point.format, {name: file.options[name] for name in options.asked() if name in file.options}),
            file.provenance.lightsam_version,
        )
        for stage, file in entry.facts.files.items()
    }
    if found != expected:
        facts_of = ("weights", "options", "lightsam")
        differing = [
            name
            for index, name in enumerate(facts_of)
            if any(found[stage][index] != expected[stage][index] for stage in found)
        ]
        differing += [f"missing {stage}" for stage in expected if stage not in found]
        raise ArtifactExistsError(
            f"{entry.folder} is there and is another export than this sweep makes (its {', '.join(differing)}): "
            "delete it, or give the sweep another output"
        )


def _folder(sweep: Sweep, point: Point) -> Path:
    return artifacts.model_folder(sweep.output, find_model(point.model), point.image_size)


def _own(sweep: Sweep, point: Point) -> str | None:
    """Weights that a manifest cannot find again: a file of the user's."""
    return sweep.weights if is_path(find_model(point.model), sweep.weights) else None
