"""What the command shows: results on stdout, progress and errors on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

_PIPED_WIDTH = 180
"""Columns where there is no terminal: a table in a log should not be folded to 80."""

# No markup: a path or a message may hold brackets. What has a colour is a `Text`.
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
out = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, **_PLAIN)

PASS, FAIL = Text("pass", "green"), Text("FAIL", "red")


def _own_stderr() -> TextIO:
    """A duplicate of the stream: the noise of converters is kept away by redirecting the original."""
    try:
        return os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    except OSError:  # closed, as in a daemon
        return sys.stderr


err = Console(file=_own_stderr(), width=None if sys.stderr.isatty() else _PIPED_WIDTH, **_PLAIN)


@contextmanager
def progress(steps: int | None) -> Iterator[Callable[[str], None]]:
    """Show a bar on stderr, or a line a step where that is no terminal; yields what begins the next step.

    Args:
        steps: how many there will be; None where nobody knows beforehand.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=steps)
        begun = False

        def begin(description: str) -> None:
            nonlocal begun
            if not err.is_terminal:
                err.print(description)
            bar.update(task, description=description, advance=int(begun))
            begun = True

        yield begin
        bar.advance(task)


@contextmanager
def counting(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with the time left on stderr, or now and then a line where that is no terminal.

    Args:
        description: of what is counted.

    Yields:
        What is told how many are done, and of how many.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(description, total=None)
        tenth = 0

        def told(done: int, total: int) -> None:
            nonlocal tenth
            bar.update(task, completed=done, total=total)
            if not err.is_terminal and 10 * done // total > tenth:
                tenth = 10 * done // total
                err.print(f"{description}: {done} of {total}")

        yield told


class DownloadBar:
    """A bar with speed and time left on stderr, in the form that pooch drives."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self.bar = Progress(*columns, TimeRemainingColumn(), console=err, disable=not err.is_terminal)
        self._task = self.bar.add_task("downloading", total=None)

    @property
    def total(self) -> int:
        """Size in bytes; 0 if the server does not say."""
        return int(self.bar.tasks[0].total or 0)

    @total.setter
    def total(self, size: int) -> None:
        # Set when a response begins: so also when a broken download begins again.
        self.bar.reset(self._task, total=size or None)
        self.bar.start()

    def update(self, size: int) -> None:
        """``size`` more bytes are there."""
        self.bar.update(self._task, advance=size)

    def reset(self) -> None:
        """All that came so far did not count; pooch counts the whole file anew at its end."""
        self.bar.update(self._task, completed=0)

    def close(self) -> None:
        """The download is over, well or not."""
        self.bar.stop()


def fail(message: str, status: int) -> NoReturn:
    """Say what went wrong in one line, and exit."""
    # One line: a message may quote a library's, which may have several. Not wrapped: a log is searched by line.
    err.print(Text("error:", "bold red"), " ".join(message.split()), soft_wrap=True)
    sys.exit(status)
