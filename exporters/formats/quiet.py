"""Converters talk: their progress, warnings and C++ logs go to lightsam's debug log, not to the terminal."""

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


@contextlib.contextmanager
def redirect_output_to_log(format_name: str) -> Iterator[None]:
    """Whatever Python or C++ code writes to stdout and stderr in the block goes to the debug log instead.

    The command's own console writes to a duplicate of stderr, so that its progress bar goes on meanwhile.
    """
    log = logging.getLogger(f"lightsam.{format_name}")
    loggers = _level_of_others(logging.ERROR)
    python = io.StringIO()
    with tempfile.TemporaryFile() as native:
        saved = {number: os.dup(number) for number in (1, 2)}
        try:
            for number in saved:
                os.dup2(native.fileno(), number)
            with warnings.catch_warnings(), contextlib.redirect_stderr(python), contextlib.redirect_stdout(python):
                warnings.simplefilter("ignore")
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
