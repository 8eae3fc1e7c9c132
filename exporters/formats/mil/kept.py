"""What of a package stays in float32: chosen for the converter, and checked in the saved file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightsam.errors import ExportError

from .evaluator import dtype_name
from .program import read_program


def float16_selector(kept: set[str]) -> Callable[[Any], bool]:
    """Select everything but ``kept`` and the point encoding: sines of large angles lose their phase in float16.

    A coordinate of 1000.5 is 1000 or 1001 in float16, and the angle that it becomes is multiplied by 2 pi and a
    frequency before its sine is taken. So sin, cos and all that leads to them stay in float32.
    """
    angles: set[str] | None = None

    def may_be_float16(op: Any) -> bool:
        nonlocal angles
        if angles is None:  # the converter asks about one operation after the other: find them once
            angles = _leading_to_angles(op.enclosing_block)
        return op.name not in angles and not any(output.name in kept for output in op.outputs)

    return may_be_float16


def check_kept(path: Path, kept: set[str]) -> None:
    """Make sure that what must stay in float32 does, in the saved file: the converter ignores a name that it lacks.

    Raises:
        ExportError: naming what is not computed in float32.
    """
    if not kept:
        return
    outputs = [output for op in read_program(path).function.operations for output in op.outputs]
    there = {output.name for output in outputs if dtype_name(output) == "fp32"}
    lost = sorted(kept - there)
    if lost:
        raise ExportError(
            f"{path.name} does not compute {', '.join(lost)} in float32, which float16 cannot hold: "
            "export it in float32"
        )


def _leading_to_angles(block: Any) -> set[str]:
    """Names of the sines, the cosines and every operation that they depend on."""
    pending = [op for op in block.operations if op.op_type in ("sin", "cos")]
    names: set[str] = set()
    while pending:
        op = pending.pop()
        if op.name not in names:
            names.add(op.name)
            pending += [var.op for var in op.get_flattened_inputs() if var.op is not None]
    return names
