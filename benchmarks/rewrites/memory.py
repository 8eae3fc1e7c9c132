"""Peak memory of one file: what its process holds while it runs, above what it held before."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

import psutil

from lightsam.errors import BenchmarkError
from lightsam_benchmarks.latency.units import import_runtime
from lightsam_benchmarks.latency.worker import peak_memory

from .rounds import Subject, started

_CALLS = 3
_RESET = Path("/proc/self/clear_refs")
_PEAK = "5"
"""What to write there to begin the peak anew: https://docs.kernel.org/filesystems/proc.html"""


@dataclass(frozen=True)
class Peak:
    """In bytes."""

    running: int
    """The largest resident memory during the calls, above that when the file was loaded."""
    taken: int
    """Likewise, above that before the file was loaded."""
    total: int
    """The largest resident memory of the process during the calls."""


def peak_of(subject: Subject, threads: int) -> Peak:
    """Load a file and call it; to be called in a process of its own.

    Raises:
        BenchmarkError: where the system cannot be told to begin the peak anew: anywhere but on Linux.
    """
    import_runtime(subject.format)
    process = psutil.Process()
    before = process.memory_info().rss
    call = started(subject, threads)
    _give_back()
    loaded = process.memory_info().rss
    try:
        _RESET.write_text(_PEAK, encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(f"the peak of a process is measured on Linux alone: {error}") from error
    for _ in range(_CALLS):
        call()
    total = peak_memory()
    return Peak(total - loaded, total - before, total)


def _give_back() -> None:
    """What loading has freed goes back to the system, where the C library can do that: else it would serve the run."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
