"""One measurement in a fresh process: ``python -m lightsam_benchmarks.latency JOB FINDING``, both pickled files.

A runtime that aborts takes this process with it and nothing else; `run` sees that and records it.
"""

import gc
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from lightsam.errors import in_words
from lightsam.predictor import Encoding, Predictor
from lightsam.prompts import Prompt, encode_prompts
from lightsam.rules import Rules
from lightsam.stages import STAGE_NAMES
from lightsam.transforms import open_image, to_model_input
from lightsam_exporters.formats import find_format
from lightsam_exporters.formats.base import Share
from lightsam_exporters.formats.running import RunOptions, Session

from . import browser, iphone, pytorch, units
from .disk import evict
from .everything import WholeImage
from .record import (
    CALL,
    EVERYTHING,
    FAILED,
    FIRST_MASK,
    IMAGE,
    IN_RUNTIMES,
    OK,
    PAIR,
    PROMPTS,
    Parity,
    Round,
    Unit,
)
from .timing import Method, time_calls, time_once

_STATUS = Path("/proc/self/status")
"""Of this process, on Linux."""


@dataclass(frozen=True)
class Job:
    """What one process is to measure."""

    format: str
    mode: str
    """Of PyTorch; empty for files."""
    model: str
    rules: Rules
    """How the model takes images and prompts."""
    point_slots: int | None
    scope: str
    unit: str
    threads: int
    files: Mapping[str, Path]
    """Of the stages; for PyTorch, the checkpoint of both."""
    features: Mapping[str, tuple[int, ...]]
    """Shapes of what passes between the stages, by name."""
    image: Path
    method: Method
    first: bool = True
    """Whether this is the first round: what need not be measured again is found out there."""


@dataclass(frozen=True)
class Finding:
    """What one process found."""

    status: str
    unit: Unit
    message: str = ""
    """What went wrong; with a round, what could not be found out beside it."""
    round: Round | None = None
    parity: Parity | None = None
    """Of PyTorch in another way than the reference's; None for files, whose manifest has it."""
    residency: tuple[Share, ...] = ()


def work(job: Job) -> Finding:
    """Measure; what the runtime refuses in words is a finding, too."""
    unit = Unit(job.unit, "", "", job.threads)
    try:
        _prepare(job)
        if job.unit in iphone.UNITS:
            measured, runtime, shares = iphone.measure(job.files[job.scope], job.unit, inputs_of(job), job.method)
            return Finding(OK, Unit(job.unit, job.unit, runtime, None), "", measured, None, tuple(shares))
        if job.unit in browser.UNITS:
            measured, actual, runtime = browser.measure(job.files[job.scope], inputs_of(job), job.threads, job.method)
            return Finding(OK, Unit(job.unit, actual, runtime, job.threads), "", measured)
        return _measure(job)
    # A runtime raises what it likes: CUDA out of memory, a status of ONNX Runtime's own.
    except Exception as error:
        return Finding(FAILED, unit, _in_words(error, job))


def _in_words(error: Exception, job: Job) -> str:
    """What went wrong in one line, with files named without the folders that they lie in."""
    words = in_words(error)
    for path in job.files.values():
        words = words.replace(str(path), path.name)
    return words


def stages_of(scope: str) -> tuple[str, ...]:
    """Names of the stages that are needed to time a scope."""
    return (scope,) if scope in STAGE_NAMES else STAGE_NAMES


def _prepare(job: Job) -> None:
    torch.set_num_threads(job.threads)
    units.import_runtime(job.format)
    gc.freeze()  # collections between measurements need not go through all that was imported


def ready(job: Job) -> dict[str, Callable[[], Any]]:
    """Load, make the first call, and give what can be timed, by its name in the record.

    Raises:
        LightSamError: if the runtime refuses.
    """
    _prepare(job)
    calls = _calls(job, _load_all(job))
    next(iter(calls.values()))()
    return calls


def inputs_of(job: Job) -> Mapping[str, np.ndarray]:
    """What a stage is given: a photograph, or one tap in its middle over drawn feature maps."""
    image, frame = to_model_input(open_image(job.image), job.rules.preprocess)
    if job.scope == STAGE_NAMES[0]:
        return {"image": image}
    rng = np.random.Generator(np.random.PCG64(0))
    features = {name: rng.uniform(-2, 2, shape).astype(np.float32) for name, shape in job.features.items()}
    return {**features, **encode_prompts(taps(job.image, 1), frame, job.point_slots, job.rules.prompts)}


def taps(image: Path, count: int) -> list[Prompt]:
    """Points on a 4 x 4 grid over the image, from its middle on."""
    width, height = open_image(image).size
    grid = [((x + 0.5) * width / 4, (y + 0.5) * height / 4) for y in (2, 1, 3, 0) for x in (2, 1, 3, 0)]
    return [Prompt(points=[point]) for point in grid[:count]]


def _measure(job: Job) -> Finding:
    evicted = evict({job.files[name] for name in stages_of(job.scope)})
    before = psutil.Process().memory_info().rss
    load_cold_ms, loaded = time_once(partial(_load_all, job))
    calls = _calls(job, loaded)
    first_call_ms, _ = time_once(next(iter(calls.values())))
    samples = {name: time_calls(call, job.method) for name, call in calls.items()}
    counts = {}
    if isinstance(whole := calls.get(IMAGE), WholeImage):
        samples[IN_RUNTIMES], counts = whole.inside(samples[IMAGE]), whole.counts
    peak, device_memory = peak_memory(), _device_memory(job)
    one = next(iter(loaded.values()))
    threads = job.threads if units.is_threaded(job.format) else None
    actual = Unit(job.unit, one.unit, one.runtime, threads)
    del calls, loaded, one, whole
    load_warm_ms, _ = time_once(partial(_load_all, job))
    measured = Round(
        load_cold_ms=load_cold_ms,
        evicted=evicted,
        load_warm_ms=load_warm_ms,
        first_call_ms=first_call_ms,
        memory_before_bytes=before,
        peak_memory_bytes=peak,
        device_memory_bytes=device_memory,
        warmup_ms={name: one.warmup_ms for name, one in samples.items()},
        ms={name: one.ms for name, one in samples.items()},
        complete=all(one.complete for one in samples.values()),
        counts=counts,
    )
    found = Finding(OK, actual, "", measured)
    if not job.first:
        return found
    try:
        return replace(found, residency=tuple(_residency(job)), parity=_parity(job))
    except Exception as error:  # what was measured is none the worse
        return replace(found, message=_in_words(error, job))


def _parity(job: Job) -> Parity | None:
    """Of PyTorch in another way than the reference's."""
    if job.format != pytorch.NAME or job.scope != PAIR or (job.mode, job.unit) == pytorch.REFERENCE:
        return None
    report = pytorch.judged(job.files[STAGE_NAMES[0]], job.model, job.rules.preprocess.image_size, job.unit, job.mode)
    return Parity.of(report)


def _load_all(job: Job) -> dict[str, Session]:
    return {stage: load(job, stage) for stage in stages_of(job.scope)}


def load(job: Job, stage: str) -> Session:
    """Bring one stage into its runtime.

    Raises:
        LightSamError: if the runtime refuses it.
    """
    path = job.files[stage]
    if job.format == pytorch.NAME:
        ours = pytorch.TorchStage(path, job.model, job.rules.preprocess.image_size, stage, job.unit, job.mode)
        return ours.on_device if job.scope in STAGE_NAMES else ours.session
    return find_format(job.format).start(path, stage, RunOptions(job.unit, threads=job.threads))


def _calls(job: Job, loaded: Mapping[str, Session]) -> dict[str, Callable[[], Any]]:
    """What is timed, by its name in the record; the first is also timed as the first call."""
    if job.scope in STAGE_NAMES:
        return {CALL: loaded[job.scope].prepare(inputs_of(job))}
    runners = {name: session.run for name, session in loaded.items()}
    if job.scope == EVERYTHING:
        return {IMAGE: WholeImage(runners, job.rules, job.point_slots, job.image)}
    encoder, decoder = (runners[name] for name in STAGE_NAMES)
    predictor = Predictor(encoder, decoder, job.rules, point_slots=job.point_slots)
    (tap,) = taps(job.image, 1)

    encodings: list[Encoding] = []

    def first_mask() -> Any:
        encodings[:] = [predictor.encode(job.image)]
        return predictor.predict(encodings[0], tap)

    def prediction(prompts: list[Prompt]) -> Any:
        return predictor.predict_batch(encodings[0], prompts)

    return {FIRST_MASK: first_mask, **{name: partial(prediction, taps(job.image, k)) for name, k in PROMPTS.items()}}


def _residency(job: Job) -> list[Share]:
    if job.scope not in STAGE_NAMES or job.format == pytorch.NAME:
        return []
    return find_format(job.format).residency(job.files[job.scope], job.unit, inputs_of(job))


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes."""
    if _STATUS.exists():
        # ru_maxrss would also count that of the process that started this one: it outlives exec on Linux.
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # on Windows alone
        return int(memory.peak_wset)
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _device_memory(job: Job) -> int | None:
    """Largest memory of a CUDA device, which torch tells of itself alone."""
    return torch.cuda.max_memory_allocated() if (job.format, job.unit) == (pytorch.NAME, "CUDA") else None


def main() -> None:
    """Read the job, and write the finding."""
    job_path, finding_path = map(Path, sys.argv[1:])
    finding_path.write_bytes(pickle.dumps(work(pickle.loads(job_path.read_bytes()))))
