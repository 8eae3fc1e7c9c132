"""Two files against one another, call by call in turns: for machines whose speed changes while they are measured.

Each side has a process of its own, loaded and warm; they are called by turns and in changing order, so that what slows
the machine slows both. What is compared is the ratio within a turn.
"""

import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from lightsam.errors import BenchmarkError, in_words

from .plan import Task
from .summary import Ratio, Summary, paired_ratio
from .timing import Clock, Method, time_block
from .worker import Job, ready

TURNS = 15
"""At least, unless the longest time is over: the interval of a median of so many ratios is a narrow one."""
FEWEST_TURNS = 6
"""With fewer, there is no 95 % interval of a median."""
_BLOCK_MS = 20.0
"""Calls that take less are made several times a turn."""
_PAUSE_S = 0.01
"""Between the sides: the threads of a runtime spin for a while after a call, and would slow the other's."""


@dataclass(frozen=True)
class Versus:
    """What one thing takes on both sides."""

    scope: str
    name: str
    """As in a record: ``call``, ``first_mask``, ..."""
    a: Summary
    b: Summary
    ratio: Ratio
    """B over A: below 1, B is the faster."""
    turns: int


class Side:
    """A worker that stays: it loads, warms up, and times so many calls whenever it is asked."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.title = task.title
        self._patience = task.job.method.timeout_s
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, task.job), daemon=True)
        self._process.start()
        other.close()

    def ask(self, question: Any) -> Any:
        """Send a question, and wait for the answer.

        Raises:
            BenchmarkError: if the process ended, or says what went wrong.
        """
        try:
            self._connection.send(question)
            if not self._connection.poll(self._patience):
                raise BenchmarkError(f"{self.title} did not answer in {self._patience:g} s")
            prediction = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(5)
            raise BenchmarkError(f"{self.title} ended with status {self._process.exitcode}") from error
        if isinstance(prediction, Exception):
            raise BenchmarkError(f"{self.title}: {prediction}") from prediction
        return prediction

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.kill()
        self._process.join()


@contextmanager
def _sides(a: Task, b: Task) -> Iterator[tuple[Side, Side]]:
    sides: list[Side] = []
    try:
        for task in (a, b):
            sides.append(Side(task))
        yield sides[0], sides[1]
    finally:
        for side in sides:
            side.close()


def versus(a: Task, b: Task, method: Method, on_step: Callable[[str], None] = lambda _: None) -> list[Versus]:
    """Time two tasks of one scope against one another.

    Raises:
        BenchmarkError: if one of them cannot be run.
    """
    on_step(f"{a.title} against {b.title}")
    with _sides(a, b) as sides:
        # What each can do, and what one call of it takes.
        typical = [side.ask(None) for side in sides]
        found = []
        for name in typical[0]:
            counts = [max(1, math.ceil(_BLOCK_MS / one[name])) for one in typical]
            turns = take_turns([_asking(side, name, count) for side, count in zip(sides, counts, strict=True)], method)
            blocks_a, blocks_b = ([turn[i] for turn in turns] for i in (0, 1))
            found.append(
                Versus(
                    scope=a.job.scope,
                    name=name,
                    a=Summary.of([[sample for block in blocks_a for sample in block]]),
                    b=Summary.of([[sample for block in blocks_b for sample in block]]),
                    ratio=paired_ratio(turns),
                    turns=len(turns),
                )
            )
    return found


Block = Callable[[], Sequence[float]]
"""Makes some calls; milliseconds of each."""


def _asking(side: Side, name: str, count: int) -> Block:
    return lambda: side.ask((name, count))


def take_turns(
    blocks: Sequence[Block], method: Method, clock: Clock = time.perf_counter_ns, pause: float = _PAUSE_S
) -> list[tuple[Sequence[float], Sequence[float]]]:
    """Call both sides by turns, A first in one turn and B in the next, until there are enough."""
    began = clock()
    turns: list[tuple[Sequence[float], Sequence[float]]] = []
    while True:
        passed = (clock() - began) / 1e9
        complete = len(turns) >= max(TURNS, method.min_count) and passed >= method.min_time_s
        if complete or (len(turns) >= FEWEST_TURNS and passed >= method.max_time_s):
            return turns
        measured: dict[int, Sequence[float]] = {}
        for index in (0, 1) if len(turns) % 2 == 0 else (1, 0):
            time.sleep(pause)
            measured[index] = blocks[index]()
        turns.append((measured[0], measured[1]))


def _serve(connection: Connection, job: Job) -> None:
    """What a side's process does: answer what it can do, then time calls whenever it is asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is interrupted ends this process
    calls: dict[str, Callable[[], Any]] = {}
    while True:
        try:
            question = connection.recv()
            calls = calls or ready(job)
            if question is None:
                connection.send({name: min(time_block(call, job.method.warmup + 1)) for name, call in calls.items()})
            else:
                name, count = question
                connection.send(time_block(calls[name], count))
        except EOFError:  # the other process is gone
            return
        except Exception as error:  # whatever it is, the other process must hear of it
            connection.send(RuntimeError(in_words(error)))
