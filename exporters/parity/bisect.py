"""Where a file leaves PyTorch: the first operation, by name, that is further off than it may be.

The values inside a file carry the names of the traced graph that it was converted from, where a converter keeps them:
Core ML and ONNX do. So both are run with the same inputs and compared one value after the other. If a
value is off and those computed from it match again, the converter has reused its name for another value: ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import fx

from lightsam.errors import UsageError
from lightsam.metrics import psnr_db
from lightsam.stages import STAGE_NAMES
from lightsam_exporters.formats import FORMATS, describe_format, find_format
from lightsam_exporters.formats.base import Value
from lightsam_exporters.formats.quiet import redirect_output_to_log
from lightsam_exporters.loading import Export

from .reference import Reference
from .reference_image import ReferenceImage

_FOLLOWING = 3
"""Compared values that must be off too, for the first to be at fault and not only named differently."""


@dataclass(frozen=True)
class Step:
    """One value inside a file, compared with the value of the same name in PyTorch."""

    name: str
    op_type: str
    """As the format calls it."""
    module: str
    """Path of the PyTorch module that it comes from; empty for the stage itself."""
    psnr_db: float
    """Infinite when equal, NaN when the file's value holds NaN."""
    largest: float
    """Largest magnitude of the file's value."""


@dataclass(frozen=True)
class Bisection:
    """What a stage of a file was found to do."""

    export: str
    stage: str
    against: str
    threshold_db: float
    steps: tuple[Step, ...]
    """Every value that could be compared, in the order of the file."""

    def _off(self, step: Step) -> bool:
        return not step.psnr_db >= self.threshold_db  # NaN is off

    @property
    def culprit(self) -> int | None:
        """Index of the first step that is off and stays off; None if there is none."""
        for index, step in enumerate(self.steps):
            following = self.steps[index + 1 : index + 1 + _FOLLOWING]
            if self._off(step) and all(map(self._off, following)):
                return index
        return None

    @property
    def before(self) -> Step | None:
        """The last step before the culprit that was right."""
        index = self.culprit
        right = [step for step in self.steps[: index or 0] if not self._off(step)]
        return right[-1] if right else None


TORCH, FLOAT32 = "torch", "float32"
"""What a file can be compared with: PyTorch, or itself without rounding."""


def supports_inspection(entry: Export) -> bool:
    """Whether the values inside the files of an export can be had."""
    return describe_format(entry.format_name).inspector is not None


def bisect(
    entry: Export, reference: Reference, reference_image: ReferenceImage, threshold_db: float, against: str = TORCH
) -> list[Bisection]:
    """Compare the insides of every stage of an export, on the first case of an image.

    Args:
        threshold_db: PSNR below which a value is off.
        against: "torch", or "float32": the same file without the rounding to its declared dtypes.

    Raises:
        UsageError: for a format that cannot be looked into, or cannot be run without rounding.
    """
    inspector = find_format(entry.format_name).inspector
    if inspector is None:
        able = [name for name in FORMATS if describe_format(name).inspector is not None]
        raise UsageError(f"{entry.name} cannot be looked into: --bisect reads {', '.join(able)}")
    if against not in (TORCH, FLOAT32) or (against == FLOAT32 and not inspector.unrounded):
        allowed = f"{TORCH} or {FLOAT32}" if inspector.unrounded else TORCH
        raise UsageError(f"{entry.name} cannot be compared with {against!r}: give {allowed}")
    stages, slots = reference.stages(entry.options), entry.options.point_slots
    found = []
    for name in STAGE_NAMES:
        path = entry.path(name)
        if path is None:
            continue
        inputs = next(reference_image.stage_inputs(name, slots))
        expected: dict[str, np.ndarray] = {}
        modules: dict[str, str] = {}
        if against == TORCH:
            with redirect_output_to_log(entry.format_name):
                program = inspector.trace(stages[name], entry.options)
            expected, modules = _torch_values(program, inputs)
        else:
            inspector.observe(path, inputs, partial(_keep, expected), unrounded=True)
        steps: list[Step] = []
        inspector.observe(path, inputs, partial(_compare, expected, modules, steps))
        found.append(Bisection(entry.name, name, against, threshold_db, tuple(steps)))
    return found


def _keep(values: dict[str, np.ndarray], value: Value) -> None:
    values[value.name] = value.array


def _compare(expected: Mapping[str, np.ndarray], modules: Mapping[str, str], steps: list[Step], value: Value) -> None:
    reference = expected.get(value.name)
    if reference is None or reference.shape != value.array.shape or not reference.size:
        return
    largest = float(np.abs(value.array).max())
    decibels = psnr_db(reference, value.array)
    steps.append(Step(value.name, value.op_type, modules.get(value.name, ""), decibels, largest))


def _torch_values(
    program: torch.export.ExportedProgram, inputs: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every float of a traced graph by the name of its node, and the module that each comes from."""
    values: dict[str, np.ndarray] = {}
    modules: dict[str, str] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if isinstance(result, torch.Tensor) and result.is_floating_point() and n.op == "call_function":
                values[n.name] = result.numpy()
                stack = list(n.meta.get("nn_module_stack", {}).values())
                modules[n.name] = stack[-1][0] if stack else ""
            return result

    tensors = [torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in inputs.values()]
    with torch.inference_mode():
        Recorder(program.module()).run(*tensors)
    return values, modules
