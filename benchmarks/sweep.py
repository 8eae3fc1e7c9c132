"""A sweep: every point in a process of its own, one result a line, what is done already left out.

On one machine the points come one after the other; with several jobs, or a scheduler somewhere else, `executor` spreads
them over processes and machines. A worker that dies is a result like any other.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from lightsam.errors import ContractError, UsageError
from lightsam.files import WriteError, ensure_writable, reason, write_text

from .executor import Executor, spread
from .latency.record import FAILED, OK
from .points import do
from .sweep_file import BENCHMARK, Point, Sweep
from .sweep_results import SweepResult, parse_lines

_OTHER = "choose another --output"


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
                for done in spread(partial(do, sweep), left, executor, partial(_died, sweep)):
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


def _died(sweep: Sweep, point: Point, how: str) -> SweepResult:
    return SweepResult(point.key, sweep.work, sweep.digest, FAILED, how, 0.0)
