"""The table of operations, filled by the modules beside this one."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

Operation = Callable[..., Tensor | tuple[Tensor, ...]]
"""Takes an op's inputs by the names of its specification: float tensors as float32 `Tensor`, and whatever configures
the op (ints, bools, strings, lists of them) as Python values. Optional inputs that the program leaves out are not
passed."""

OPERATIONS: dict[str, Operation] = {}


class UnsupportedConfigurationError(ValueError):
    """An op is known, but not with these parameters."""


def operation(*names: str) -> Callable[[Operation], Operation]:
    """Register a function under the names of the ops that it computes."""

    def register(function: Operation) -> Operation:
        for name in names:
            if name in OPERATIONS:
                raise ValueError(f"two functions compute {name!r}")
            OPERATIONS[name] = function
        return function

    return register


def scalar(value: Any) -> float:
    """A parameter that may come as a number or as a tensor of one element."""
    return float(value)
