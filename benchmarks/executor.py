"""Work spread over processes: one after the other on one machine, or by Dask (https://distributed.dask.org) on many.

A process that dies is a result like any other. `sweep` spreads its points, `shards` an evaluation's images.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from lightsam.errors import FormatUnavailableError, UsageError

PATIENCE = 20.0
"""Seconds for a scheduler and its workers to answer."""

Item = TypeVar("Item")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Executor:
    """Over how many processes or machines."""

    jobs: int = 1
    scheduler: str | None = None
    """Address of a Dask scheduler that runs already, such as ``tcp://10.0.0.1:8786``; its workers need lightsam."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(f"there must be a job at least, not {self.jobs}")


def spread(
    do: Callable[[Item], Done], items: Sequence[Item], executor: Executor, died: Callable[[Item, str], Done]
) -> Iterator[Done]:
    """Do something with every item, each in a process that may die without the others.

    Args:
        do: a function that can be pickled; what it raises ends everything.
        items: each of which can be pickled.
        died: the result of an item whose process died, from the item and the reason.

    Yields:
        Results, as they are done.

    Raises:
        FormatUnavailableError: if Dask is needed and not installed.
        UsageError: if the scheduler cannot be reached, or its workers run several things at once.
    """
    if executor.jobs == 1 and executor.scheduler is None:
        return _one_after_the_other(do, items, died)
    return _by_dask(do, items, executor, died)


def _one_after_the_other(
    do: Callable[[Item], Done], items: Sequence[Item], died: Callable[[Item, str], Done]
) -> Iterator[Done]:
    for item in items:
        # A process an item: a converter that aborts ends its own, and memory is given back.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
            try:
                yield pool.submit(do, item).result()
            except BrokenProcessPool:
                yield died(item, "its process was ended, by native code or for its memory")


def end_with_parent() -> None:
    """Let this process end when the one that started it does: a sweep that is killed would leave its point running."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # what runs here is a converter's own code, which hears of nothing


def _by_dask(
    do: Callable[[Item], Done], items: Sequence[Item], executor: Executor, died: Callable[[Item, str], Done]
) -> Iterator[Done]:
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
            # An item that kills its worker is not given to the next one; the scheduler may be others' too.
            before = client.run_on_scheduler(_allow_failures, allowed=0)
            try:
                futures: dict[Any, Item] = {client.submit(do, item, pure=False): item for item in items}
                for future in as_completed(futures):
                    item = futures[future]
                    if future.status == "finished":
                        yield future.result()
                    else:
                        yield died(item, f"its worker died, or the scheduler: {future.status}")
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
