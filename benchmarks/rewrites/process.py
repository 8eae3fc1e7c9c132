"""A function in a fresh process: what one measurement leaves behind is not there for the next."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

from lightsam.errors import BenchmarkError, in_words
from lightsam_exporters.formats.quiet import own_the_process

P = ParamSpec("P")
T = TypeVar("T")


def in_a_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function``, which must be a module's own, in a process that begins and ends with the call.

    Raises:
        BenchmarkError: if the process ends by itself, or with what the function raised.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=own_the_process) as pool:
        try:
            result: Any = pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool as error:
            raise BenchmarkError(f"the process of {function.__name__} ended before it had a result") from error
        except Exception as error:  # a runtime raises what it likes
            raise BenchmarkError(in_words(error)) from error
    return result
