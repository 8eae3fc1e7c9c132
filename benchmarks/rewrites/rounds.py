"""Several files in turns in one process: round by round, in an order that is drawn anew for each.

A runtime's threads spin for a while after a call and slow whatever comes next; so every timed call follows a pause, in
which they go to sleep, and a call of the same file that is not counted, which wakes its own.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lightsam.errors import BenchmarkError, UsageError
from lightsam.metrics import psnr_db
from lightsam.stages import Arrays
from lightsam_benchmarks.latency.summary import Ratio, paired_ratio
from lightsam_benchmarks.latency.timing import Clock, gc_disabled, timed
from lightsam_exporters.formats import find_format
from lightsam_exporters.formats.running import RunOptions

from .process import in_a_process

LEAST_DB = 60.0
"""Files whose outputs are further apart do not compute the same, and their times say nothing."""


@dataclass(frozen=True)
class Method:
    """How times are measured; a part of the record."""

    rounds: int = 12
    """At least, of all processes together; in each every file is called twice, and the second call counts."""
    min_time_s: float = 15.0
    """Seconds that the rounds take together, at least: short graphs get more of them."""
    pause_s: float = 0.05
    """Before the two calls of a file."""
    threads: int = 2
    """Of every runtime."""
    processes: int = 3
    """That share the rounds, one after the other. Each loads the files anew and in another order: where a file comes to
    lie in memory makes it faster or slower by some percent."""
    seed: int = 0
    """Of the order of loading, and of that within the rounds."""

    def __post_init__(self) -> None:
        for name, least in (("rounds", 1), ("min_time_s", 0), ("pause_s", 0), ("threads", 1), ("processes", 1)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise UsageError(f"{name} is at least {least}, not {value}")


@dataclass(frozen=True)
class Subject:
    """One file, and what it is given."""

    name: str
    """As in `table`."""
    format: str
    stage: str
    path: Path
    inputs: Arrays


@dataclass(frozen=True)
class Measured:
    """What one file took."""

    ms: tuple[float, ...]
    """A number a round."""
    psnr_db: float | None
    """The lowest of its outputs against those of the first file; None where all are equal."""


def measure(subjects: Sequence[Subject], method: Method) -> list[Measured]:
    """Time files by turns, in one fresh process after the other.

    Raises:
        BenchmarkError: if they do not compute the same.
        LightSamError: if a runtime refuses a file.
    """
    processes = min(method.processes, method.rounds)
    share = replace(method, rounds=math.ceil(method.rounds / processes), min_time_s=method.min_time_s / processes)
    found = [in_a_process(measure_here, subjects, replace(share, seed=method.seed + i)) for i in range(processes)]
    return [Measured(tuple(ms for one in each for ms in one.ms), each[0].psnr_db) for each in zip(*found, strict=True)]


def measure_here(subjects: Sequence[Subject], method: Method) -> list[Measured]:
    """Load every file, compare their outputs, and time them, in this process.

    Raises:
        BenchmarkError: if they do not compute the same.
        LightSamError: if a runtime refuses a file.
    """
    order = np.random.default_rng(method.seed).permutation(len(subjects))
    loaded = {index: started(subjects[index], method.threads) for index in order}
    calls = [loaded[index] for index in range(len(subjects))]
    outputs = [call() for call in calls]
    agreements = [_agreement(one, outputs[0], found) for one, found in zip(subjects, outputs, strict=True)]
    rounds = take_rounds(calls, method)
    return [Measured(tuple(ms), agreement) for ms, agreement in zip(zip(*rounds, strict=True), agreements, strict=True)]


def started(subject: Subject, threads: int) -> Callable[[], Arrays]:
    """A file in its runtime, with its inputs in the runtime's own form."""
    session = find_format(subject.format).start(subject.path, subject.stage, RunOptions(threads=threads))
    return session.prepare(subject.inputs)


def take_rounds(
    calls: Sequence[Callable[[], Any]],
    method: Method,
    clock: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> list[list[float]]:
    """Milliseconds of every call, in the order of ``calls``, for each round.

    Args:
        clock: gives nanoseconds.
        sleep: takes seconds.
    """
    rng = np.random.default_rng(method.seed)
    began = clock()
    rounds: list[list[float]] = []
    with gc_disabled():
        while len(rounds) < method.rounds or (clock() - began) / 1e9 < method.min_time_s:
            times = [0.0] * len(calls)
            for index in rng.permutation(len(calls)):
                sleep(method.pause_s)
                calls[index]()
                times[index] = timed(calls[index], clock)
            rounds.append(times)
    return rounds


def ratio_of(ours: Sequence[float], baseline: Sequence[float]) -> Ratio:
    """How many times as long the baseline takes, from pairs of the same round: above 1, ours is the faster."""
    return paired_ratio([((a,), (b,)) for a, b in zip(ours, baseline, strict=True)])


def _agreement(subject: Subject, expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> float | None:
    common = [name for name in expected if name in found]
    lowest = min((psnr_db(expected[name], found[name]) for name in common), default=math.nan)
    if not lowest >= LEAST_DB:
        raise BenchmarkError(
            f"{subject.path.name} does not compute what the first file does: {lowest:.0f} dB, and {LEAST_DB:g} are "
            "needed"
        )
    return None if math.isinf(lowest) else lowest
