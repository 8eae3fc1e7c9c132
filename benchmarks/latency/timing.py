"""The stopwatch: warm-up, then calls until there are enough and enough time has passed.

Clock: ``time.perf_counter_ns``. The garbage collector runs before and is off meanwhile. Every sample is kept.
"""

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from lightsam.errors import UsageError

_T = TypeVar("_T")
Clock = Callable[[], int]
"""Nanoseconds."""


@dataclass(frozen=True)
class Method:
    """How everything of one run is timed; a part of the record."""

    warmup: int = 2
    """Calls that are made after the first one and not counted."""
    min_count: int = 10
    """Calls that every round counts, at least."""
    min_time_s: float = 1.0
    """Seconds that the counted calls of a round take together, at least."""
    max_time_s: float = 60.0
    """Seconds after which a round stops warming up, and ends as soon as three calls are counted."""
    rounds: int = 3
    """How often everything is measured, each time in a fresh process. A round measures all before the next begins."""
    threads: int | None = None
    """Threads on the CPU; None for one on each core that this process may use."""
    timeout_s: float = 900.0
    """Seconds after which a process is stopped."""

    def __post_init__(self) -> None:
        for name, least in (("warmup", 0), ("min_count", 1), ("min_time_s", 0), ("max_time_s", 0), ("rounds", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is at least {least}, not {getattr(self, name)}")
        for name in ("min_time_s", "max_time_s", "timeout_s"):
            if not math.isfinite(getattr(self, name)):
                raise UsageError(f"{name} is at least 0 and finite, not {getattr(self, name)}")
        if self.timeout_s <= 0:
            raise UsageError(f"timeout_s is at least a moment, that is above 0, not {self.timeout_s:g}")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads is at least 1, not {self.threads}")


LEAST = 3
"""Calls that a round counts, however long they take."""


@dataclass(frozen=True)
class Samples:
    """The times of repeated calls, in milliseconds."""

    warmup_ms: tuple[float, ...]
    ms: tuple[float, ...]
    complete: bool
    """Whether the method's count and time were reached; False if its longest time was over before."""


@contextlib.contextmanager
def gc_disabled() -> Iterator[None]:
    """No garbage collection in the block."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def time_once(call: Callable[[], _T], clock: Clock = time.perf_counter_ns) -> tuple[float, _T]:
    """Time one call.

    Args:
        clock: gives nanoseconds.

    Returns:
        Milliseconds, and the call's result.
    """
    with gc_disabled():
        began = clock()
        result = call()
        return (clock() - began) / 1e6, result


def time_block(call: Callable[[], Any], count: int, clock: Clock = time.perf_counter_ns) -> list[float]:
    """Time ``count`` calls, one after the other.

    Returns:
        Milliseconds of each.
    """
    with gc_disabled():
        return [timed(call, clock) for _ in range(count)]


def timed(call: Callable[[], Any], clock: Clock) -> float:
    """Milliseconds of one call, and nothing done before or after it."""
    before = clock()
    call()
    return (clock() - before) / 1e6


def time_calls(call: Callable[[], Any], method: Method, clock: Clock = time.perf_counter_ns) -> Samples:
    """Warm up, and call until the method's count and time are reached.

    Returns:
        Milliseconds of every call, those of the warm-up apart.
    """
    with gc_disabled():
        began = clock()
        warmup: list[float] = []
        while len(warmup) < method.warmup and clock() - began < method.max_time_s * 1e9:
            warmup.append(timed(call, clock))
        samples: list[float] = []
        counted_from = clock()
        while True:
            now = clock()
            complete = len(samples) >= method.min_count and now - counted_from >= method.min_time_s * 1e9
            late = len(samples) >= min(LEAST, method.min_count) and now - began >= method.max_time_s * 1e9
            if complete or late:
                return Samples(tuple(warmup), tuple(samples), complete)
            samples.append(timed(call, clock))
