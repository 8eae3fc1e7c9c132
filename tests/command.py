"""Runs the command in this process, as a shell would."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from rich.console import Console

from lightsam.cli import console as terminal
from lightsam.cli import main

OWN_PROCESSES = {
    "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent / "subprocesses", Path(__file__).parent))),
    "OMP_NUM_THREADS": "1",
}
"""Environment in which Python processes that the command starts know the small models, and use one thread."""


@contextlib.contextmanager
def printing_to(console: Console, file: io.StringIO) -> Iterator[None]:
    before = console.file
    console.file = file
    try:
        yield
    finally:
        console.file = before


@dataclass
class Completed:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


def run_command(*arguments: object) -> Completed:
    """Run it, and catch what it prints."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["lightsam", *map(str, arguments)]),
        printing_to(terminal.out, stdout),
        printing_to(terminal.err, stderr),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Completed(status, stdout.getvalue(), stderr.getvalue())
