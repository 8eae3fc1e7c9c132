"""Where the time goes: by type of operation, as ONNX Runtime runs a graph after its own fusions."""

import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from lightsam_exporters.formats.onnx_sessions import node_times
from lightsam_exporters.formats.running import RunOptions

from .rounds import Subject

_TURNS = 3
_TIME_S = 10.0
"""A process and its first sessions are slow at first: short graphs get more turns."""
_CALLS = 3
"""In each."""


def times_by_operation(subjects: Sequence[Subject], threads: int) -> list[dict[str, float]]:
    """Milliseconds of every type of operation in one call of each ONNX file, the longest first.

    The files take turns, and every number is the median of its own.
    """
    found: list[dict[str, list[float]]] = [defaultdict(list) for _ in subjects]
    began = time.monotonic()
    turns = 0
    while turns < _TURNS or time.monotonic() - began < _TIME_S:
        turns += 1
        for subject, times in zip(subjects, found, strict=True):
            run: dict[str, float] = defaultdict(float)
            for one in node_times(subject.path, subject.inputs, RunOptions(threads=threads), _CALLS):
                run[one.op_type] += one.microseconds / 1e3
            for name, ms in run.items():
                times[name].append(ms)
    return [_longest_first({name: float(np.median(ms)) for name, ms in times.items()}) for times in found]


def _longest_first(times: dict[str, float]) -> dict[str, float]:
    return dict(sorted(times.items(), key=lambda one: -one[1]))
