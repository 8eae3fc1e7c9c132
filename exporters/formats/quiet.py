"""Converters talk: progress, warnings, C++ logs. In the command all of it goes to the debug log.

Catching it means to redirect the streams of the whole process, with what other threads write meanwhile. The command can
afford that, since nothing else runs in its process; a program that uses lightsam as a library keeps its streams.
"""

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

_redirecting = False


def own_the_process() -> None:
    """Said by the command, once: from now on converters' output is redirected."""
    global _redirecting
    _redirecting = True


@contextlib.contextmanager
def redirect_output_to_log(format_name: str) -> Iterator[None]:
    """Ignore Python warnings in the block; in the command, also send its stdout and stderr to the debug log.

    The command's own console writes to a duplicate of stderr, so that its progress bar goes on meanwhile.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _redirected(format_name) if _redirecting else contextlib.nullcontext():
            yield


@contextlib.contextmanager
def _redirected(format_name: str) -> Iterator[None]:
    log = logging.getLogger(f"lightsam.{format_name}")
    loggers = _level_of_others(logging.ERROR)
    python = io.StringIO()
    with tempfile.TemporaryFile() as native:
        saved = {number: os.dup(number) for number in (1, 2)}
        try:
            for number in saved:
                os.dup2(native.fileno(), number)
            with contextlib.redirect_stderr(python), contextlib.redirect_stdout(python):
                yield
        finally:
            for number, original in saved.items():
                os.dup2(original, number)
                os.close(original)
            loggers.close()
            native.seek(0)
            for text in (python.getvalue(), native.read().decode(errors="replace")):
                if text.strip():
                    log.debug("%s", text.strip())


def import_quietly(module: str) -> Any:
    """Import a converter that talks while it is imported (coremltools does where torchao is installed)."""
    if module not in sys.modules:
        with redirect_output_to_log(module):
            import_module(module)
    return sys.modules[module]


def _level_of_others(level: int) -> contextlib.ExitStack:
    """Raise the level of the root logger, which converters log to, until the stack is closed."""
    root = logging.getLogger()
    stack = contextlib.ExitStack()
    stack.callback(root.setLevel, root.level)
    root.setLevel(level)
    return stack
