"""A sweep: every point in a process of its own, one result a line, what is done already left out.

On one machine the points come one after the other. With several jobs, or a scheduler somewhere else, Dask
(https://distributed.dask.org) spreads them; a worker that dies is a result like any other.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lightsam.errors import ContractError, FormatUnavailableError, UsageError
from lightsam.files import WriteError, ensure_writable, reason, write_text

from .latency.record import FAILED, OK
from .points import do
from .sweep_file import BENCHMARK, Point, Sweep
from .sweep_results import SweepResult, parse_lines

PATIENCE = 20.0
"""Seconds for a scheduler and its workers to answer."""
_OTHER = "choose another --output"


@dataclass(frozen=True)
class Executor:
    """Over how many processes or machines."""

    jobs: int = 1
    scheduler: str | None = None
    """Address of a Dask scheduler that runs already, such as ``tcp://10.0.0.1:8786``; its workers need lightsam."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(f"there must be a job at least, not {self.jobs}")


def warning(sweep: Sweep, executor: Executor) -> str:
    """What whoever starts it should know; empty if nothing."""
    if sweep.work == BENCHMARK and executor.jobs > 1 and executor.scheduler is None:
        return "jobs on one machine disturb one another's timings: for numbers to keep, give every machine one worker"
    return ""


def run_sweep(
    sweep: Sweep, results: Path, executor: Executor, on_done: Callable[[SweepResult], None] = lambda _: None
) -> list[SweepResult]:
    """Do every point that is not done well already, and add a line to ``results`` for each.

    Returns:
        The last result of every point, in the sweep's order.

    Raises:
        ContractError: if ``results`` holds something else.
        UsageError: if another sweep is writing to it, or the scheduler cannot be reached.
        WriteError: if it cannot be written.
    """
    if results.suffix != ".jsonl":
        raise UsageError(f"{results} must end in .jsonl: a result a line")
    ensure_writable(results.parent)
    try:
        with FileLock(f"{results}.lock", timeout=0):
            known = _known(results, sweep)
            left = [point for point in sweep.points if point.key not in known or known[point.key].status != OK]
            if left:
                for done in _each(sweep, left, executor):
                    _append(results, done)
                    known[done.key] = done
                    on_done(done)
    except Timeout as error:
        raise UsageError(f"another sweep is writing to {results}: wait for it, or {_OTHER}") from error
    return [known[point.key] for point in sweep.points if point.key in known]


def _known(results: Path, sweep: Sweep) -> dict[str, SweepResult]:
    """The last line of every point; a line that a killed run left unfinished is dropped."""
    if not results.exists():
        return {}
    try:
        whole, _, unfinished = results.read_text(encoding="utf-8").rpartition("\n")
        there = parse_lines(whole, results)
    except (OSError, ValueError) as error:  # a ContractError is a ValueError
        raise ContractError(f"{results} cannot be gone on with ({error}): {_OTHER}") from error
    known = {}
    for done in there:
        if done.sweep != sweep.digest:
            raise ContractError(f"{results} is of a sweep with other settings: {_OTHER}")
        known[done.key] = done
    # A run that was killed in its first line left the beginning of one of ours.
    begins = unfinished.startswith(SweepResult.LINE_BEGINS) or SweepResult.LINE_BEGINS.startswith(unfinished)
    if unfinished and not known and not begins:
        raise ContractError(f"{results} is no result of a sweep: {_OTHER}")
    if unfinished:
        write_text(results, f"{whole}\n" if whole else "")
    return known


def _append(results: Path, done: SweepResult) -> None:
    try:
        with results.open("a", encoding="utf-8") as lines:
            lines.write(done.as_line())
    except OSError as error:
        raise WriteError(f"cannot write {results}: {reason(error)}") from error


def _each(sweep: Sweep, points: list[Point], executor: Executor) -> Iterator[SweepResult]:
    if executor.jobs == 1 and executor.scheduler is None:
        return _one_after_the_other(sweep, points)
    return _by_dask(sweep, points, executor)


def _died(sweep: Sweep, point: Point, how: str) -> SweepResult:
    return SweepResult(point.key, sweep.work, sweep.digest, FAILED, how, 0.0)


def _one_after_the_other(sweep: Sweep, points: list[Point]) -> Iterator[SweepResult]:
    for point in points:
        # A process a point: a converter that aborts ends its own, and memory is given back.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
            try:
                yield pool.submit(do, sweep, point).result()
            except BrokenProcessPool:
                yield _died(sweep, point, "its process was ended, by a converter or for its memory")


def end_with_parent() -> None:
    """Let this process end when the one that started it does: a sweep that is killed would leave its point running."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # what runs here is a converter's own code, which hears of nothing


def _by_dask(sweep: Sweep, points: list[Point], executor: Executor) -> Iterator[SweepResult]:
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise FormatUnavailableError.for_extra("cluster", error.name) from error

    with _cluster(LocalCluster, executor) as address:
        try:
            client = Client(address, timeout=PATIENCE)
        except (OSError, ValueError) as error:
            raise UsageError(f"no Dask scheduler answers at {address}: {error}") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=PATIENCE)
            except TimeoutError as error:
                raise UsageError(f"the Dask scheduler at {address} has no workers: start one") from error
            if any(threads > 1 for threads in client.nthreads().values()):
                raise UsageError("points at once in one process disturb one another: start workers with --nthreads 1")
            # A point that kills its worker is not given to the next one; the scheduler may be others' too.
            before = client.run_on_scheduler(_allow_failures, allowed=0)
            try:
                futures: dict[Any, Point] = {client.submit(do, sweep, point, pure=False): point for point in points}
                for future in as_completed(futures):
                    point = futures[future]
                    if future.status == "finished":
                        yield future.result()
                    else:
                        yield _died(sweep, point, f"its worker died, or the scheduler: {future.status}")
            finally:
                client.run_on_scheduler(_allow_failures, allowed=before)


def _allow_failures(dask_scheduler: Any, allowed: int) -> int:
    before: int = dask_scheduler.allowed_failures
    dask_scheduler.allowed_failures = allowed
    return before


@contextmanager
def _cluster(local: Any, executor: Executor) -> Iterator[str]:
    """Address of a scheduler: the one that was given, or one with workers on this machine until the block ends."""
    if executor.scheduler is not None:
        yield executor.scheduler
        return
    with local(n_workers=executor.jobs, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address
