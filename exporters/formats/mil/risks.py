"""What float16 cannot hold: real images are run through a float32 program, and every operation is looked at.

An operation is unsafe if a value that it takes or gives overflows float16 or comes close to it, or if all that it gives
lies below float16's normal numbers. `pipeline.export` leaves exactly those in float32 at precision ``float16-safe``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lightsam.stages import Arrays

LARGEST = 65_504.0
"""The largest float16."""
MARGIN = 4.0
"""How far below the largest a value must stay: other images have other values."""
SMALLEST = 2.0**-14
"""The smallest normal float16; below it precision goes, and soon all of the value."""


@dataclass(frozen=True)
class Risk:
    """An operation that should not be computed in float16."""

    name: str
    """Of its result, in the program."""
    op_type: str
    largest: float
    """Largest magnitude of what it takes and gives; infinite or NaN if that is in it."""
    reason: str


@dataclass(frozen=True)
class Scan:
    """What a program does to real images."""

    operations: int
    """How many operations compute floats."""
    risks: tuple[Risk, ...]


def scan(package: Path, inputs: Iterable[Arrays]) -> Scan:
    """Run a float32 package and find what float16 could not hold.

    Args:
        inputs: of real images and prompts, by name.

    Raises:
        ContractError: if the package is damaged.
    """
    from . import Evaluator

    largest: dict[str, float] = {}
    evaluator = Evaluator(package, "float32")
    names = {output.name for op in evaluator.program.function.operations for output in op.outputs}

    def observe(_: str, name: str, result: torch.Tensor) -> None:
        if result.is_floating_point() and result.numel():
            largest[name] = max(largest.get(name, 0.0), float(result.abs().max().nan_to_num(float("inf"))))

    for given in inputs:
        evaluator({name: np.asarray(array, np.float32) for name, array in given.items()}, observe)
    risks = []
    computing = [op for op in evaluator.program.function.operations if any(o.name in largest for o in op.outputs)]
    for op in computing:
        touched = [var.name for var in op.get_flattened_inputs() if var.name in names] + [o.name for o in op.outputs]
        magnitude = max(largest[name] for name in touched if name in largest)
        reason = _reason(magnitude, largest, op.outputs[0].name)
        if reason:
            risks.append(Risk(op.outputs[0].name, op.op_type, magnitude, reason))
    return Scan(len(computing), tuple(risks))


def _reason(magnitude: float, largest: Mapping[str, float], own: str) -> str:
    if not magnitude <= LARGEST:
        return "overflows"
    if magnitude > LARGEST / MARGIN:
        return f"within a factor of {MARGIN:g} of the largest float16"
    if 0 < largest[own] < SMALLEST:
        return "flushes to zero"
    return ""
