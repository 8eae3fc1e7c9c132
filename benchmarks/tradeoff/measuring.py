"""One point of a sweep: size and parity of an export, its masks, and its speed beside float32.

A stage is evaluated with PyTorch's other one, so that each row says what that stage alone costs. An image is encoded
once by each encoder, whatever is asked about it afterwards.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from lightsam.errors import BenchmarkError
from lightsam.predictor import Predictor
from lightsam.stages import STAGE_NAMES, Arrays, Runner, split
from lightsam_benchmarks import machine
from lightsam_benchmarks.latency.interleaved import versus
from lightsam_benchmarks.latency.plan import Selection, Task, export_tasks, photograph
from lightsam_benchmarks.latency.summary import Ratio
from lightsam_benchmarks.latency.timing import Method
from lightsam_benchmarks.quality.dataset import DataSet
from lightsam_benchmarks.quality.evaluation import Evaluation
from lightsam_benchmarks.quality.ground_truth import load as load_data
from lightsam_benchmarks.quality.predictions import Scores, prediction
from lightsam_benchmarks.quality.scores import DIGITS
from lightsam_exporters.loading import Export, load_pair
from lightsam_exporters.parity.judge import CHAIN
from lightsam_exporters.parity.measurement import Measurement, ParityReport
from lightsam_exporters.parity.reference import Reference

from .rows import BOTH, SCOPES, Masks, Measured, Row, Truth

_ENCODER, _DECODER = STAGE_NAMES


def measure_reference(model: str, reference: Reference, evaluation: Evaluation) -> Measured:
    """PyTorch's own masks: what every other row is compared with."""
    stages = split(reference.model)
    predictor = Predictor(stages.encoder.run, stages.decoder.run, stages.rules)
    data = load_data(evaluation)
    masks = _evaluated({BOTH: predictor}, data, evaluation)
    sizes = {stage.name: sum(weight.nbytes for weight in stage.module.parameters()) for stage in stages}
    return Measured(
        model=model,
        image_size=reference.model.image_size,
        format="torch",
        precision="float32",
        weights=reference.weights,
        options={},
        judge="",
        passed=True,
        failures=(),
        rows=(Row(BOTH, sum(sizes.values()), None, None, None, masks[BOTH], None, "it is what others stand beside"),),
        truth=_truth(data),
        runs_on=machine.versions(machine.ran_by()),
    )


def measure(
    entry: Export, float32: Export, reference: Reference, evaluation: Evaluation | None, method: Method
) -> Measured:
    """All rows of an export with both stages.

    Args:
        entry: the export.
        float32: of the same format, for the ratio of times.
        reference: the model that it was made from.
        evaluation: what is asked; None for untrained weights, whose masks mean nothing.
        method: of timing.

    Raises:
        BenchmarkError: for an export of one stage.
        ContractError: if a file is damaged.
    """
    files = entry.facts.files
    if set(files) != set(STAGE_NAMES):
        raise BenchmarkError(f"{entry.folder} has not both stages: export it without --stage")
    report = entry.facts.parity
    masks: Mapping[str, tuple[Masks, ...]] = {}
    truth = None
    if evaluation is not None:
        data = load_data(evaluation)
        masks, truth = _evaluated(_predictors(entry, reference), data, evaluation), _truth(data)
    sizes = {name: files[name].size_bytes for name in STAGE_NAMES}
    sizes[BOTH] = sum(sizes.values())
    speeds = {name: _speed(float32, entry, name, method) for name in STAGE_NAMES}
    rows = []
    for scope in SCOPES:
        speed, why_not = speeds.get(scope, (None, "an image and its prompts are timed by lightsam benchmark"))
        rows.append(
            Row(
                scope=scope,
                size_bytes=sizes[scope],
                coverage=files[scope].coverage if scope in files else None,
                psnr_db=_worst_psnr(report, CHAIN if scope == BOTH else scope),
                mask_iou=_worst_iou(report, CHAIN if scope == BOTH else scope),
                masks=masks.get(scope, ()),
                speed=speed,
                not_timed=why_not,
            )
        )
    return Measured(
        model=entry.provenance.model,
        image_size=entry.provenance.image_size,
        format=entry.format_name,
        precision=entry.precision,
        weights=entry.weights,
        options=dict(files[_ENCODER].options),
        judge=report.judge,
        passed=report.passed,
        failures=tuple(report.failures),
        rows=tuple(rows),
        truth=truth,
        runs_on=machine.versions(machine.ran_by()),
    )


def _of_scope(report: ParityReport, scope: str) -> list[Measurement]:
    return [one for one in report.measurements if one.scope == scope]


def _worst_psnr(report: ParityReport, scope: str) -> float | None:
    found = [one.psnr_db for one in _of_scope(report, scope) if one.psnr_db is not None]
    return min(found, default=None)


def _worst_iou(report: ParityReport, scope: str) -> float | None:
    return min((one.masks.shown.mask_iou for one in _of_scope(report, scope) if one.masks is not None), default=None)


class _Remembering:
    """An encoder that is not run again for the image that it has just encoded."""

    def __init__(self, run: Runner) -> None:
        self._run = run
        self._last: tuple[str, Arrays] | None = None

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        digest = hashlib.sha256(inputs["image"].tobytes()).hexdigest()
        if self._last is None or self._last[0] != digest:
            self._last = (digest, self._run(inputs))
        return self._last[1]


def _predictors(entry: Export, reference: Reference) -> dict[str, Predictor]:
    """Of each row: its own stage or stages, and PyTorch's for the rest."""
    stages = split(reference.model)
    encoder, decoder = load_pair(entry)
    slots = entry.options.point_slots
    mine, torchs = _Remembering(encoder), _Remembering(stages.encoder.run)
    return {
        _ENCODER: Predictor(mine, stages.decoder.run, stages.rules),
        _DECODER: Predictor(torchs, decoder, stages.rules, point_slots=slots),
        BOTH: Predictor(mine, decoder, stages.rules, point_slots=slots),
    }


def _evaluated(
    predictors: Mapping[str, Predictor], data: DataSet, evaluation: Evaluation
) -> dict[str, tuple[Masks, ...]]:
    scores = {scope: {kind: Scores() for kind in evaluation.settings} for scope in predictors}
    for sample in data.samples:
        for scope, predictor in predictors.items():
            for kind, one in prediction(predictor, sample, evaluation).items():
                scores[scope][kind].ious += one.ious
    return {
        scope: tuple(
            Masks(kind, round(float(np.mean(one.ious)), DIGITS), tuple(one.ious)) for kind, one in kinds.items()
        )
        for scope, kinds in scores.items()
    }


def _truth(data: DataSet) -> Truth:
    return Truth(data.name, data.sha256(), tuple(sample.name for sample in data.samples for _ in sample.objects))


def _speed(float32: Export, entry: Export, stage: str, method: Method) -> tuple[Ratio | None, str]:
    """How many times as fast as float32, or why nobody knows."""
    if entry.precision == float32.precision:
        return None, "it is what others stand beside"
    selection = Selection(formats=(entry.format_name,), scopes=(stage,))
    with photograph() as image:
        before, after = (_first(export_tasks(one, selection, method, image)) for one in (float32, entry))
        why_not = before.why_not or after.why_not
        if why_not:
            return None, why_not
        (found,) = versus(before, after, method)
    return Ratio(1 / found.ratio.value, 1 / found.ratio.high, 1 / found.ratio.low), ""


def _first(tasks: Sequence[Task]) -> Task:
    """The task on the default unit."""
    return tasks[0]
