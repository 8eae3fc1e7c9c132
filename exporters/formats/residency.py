"""Where a file's operations run: the share of operations and of cost on each device.

Core ML says it beforehand, by its compute plan: written against coremltools 9.0's MLComputePlan and tested with a
stand-in, not yet run on a Mac. ONNX Runtime says it afterwards, by its profiler.
"""

import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightsam.errors import UsageError

from .base import RunOptions
from .coreml import UNITS
from .onnx import node_times
from .quiet import import_quietly

_DEVICES = {
    "MLCPUComputeDevice": "CPU",
    "MLGPUComputeDevice": "GPU",
    "MLNeuralEngineComputeDevice": "Neural Engine",
}


@dataclass(frozen=True)
class Share:
    """What one device would do of a package."""

    device: str
    operations: int
    cost: float
    """Of the whole, from 0 to 1: as Core ML estimates it, or of the time that ONNX Runtime measured."""


def residency(package: Path, compute_units: str) -> list[Share]:
    """Ask Core ML's compute plan, the largest cost first.

    Raises:
        UsageError: anywhere but on macOS, and for compute units that do not exist.
    """
    if compute_units not in UNITS:
        raise UsageError(f"there are no compute units {compute_units!r}; choose from: {', '.join(UNITS)}")
    if platform.system() != "Darwin":
        raise UsageError("Core ML's compute plan can be had on macOS alone: the evaluator judges numbers, not devices")
    coremltools = import_quietly("coremltools")
    from coremltools.models.compute_plan import MLComputePlan

    compiled = coremltools.models.utils.compile_model(str(package))
    return shares_of(MLComputePlan.load_from_path(path=compiled, compute_units=coremltools.ComputeUnit[compute_units]))


def shares_of(plan: Any) -> list[Share]:
    """What a compute plan says, the largest cost first."""
    costs: list[tuple[str, float]] = []
    for operation in plan.model_structure.program.functions["main"].block.operations:
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is None:  # a constant
            continue
        name = type(usage.preferred_compute_device).__name__
        estimate = plan.get_estimated_cost_for_mlprogram_operation(operation)
        costs.append((_DEVICES.get(name, name), 0.0 if estimate is None else estimate.weight))
    return _shares(costs)


def onnx_residency(file: Path, inputs: Mapping[str, np.ndarray], how: RunOptions) -> list[Share]:
    """Run a file once under ONNX Runtime's profiler, the longest time first.

    Raises:
        ContractError: if the file is damaged.
        UsageError: for a unit that is not there.
    """
    times = node_times(file, inputs, how)
    whole = sum(duration for _, duration in times) or 1.0
    return _shares([(unit, duration / whole) for unit, duration in times])


def _shares(costs: Iterable[tuple[str, float]]) -> list[Share]:
    """Of the device and the cost of every operation."""
    operations: dict[str, int] = defaultdict(int)
    cost: dict[str, float] = defaultdict(float)
    for device, share in costs:
        operations[device] += 1
        cost[device] += share
    shares = [Share(device, count, cost[device]) for device, count in operations.items()]
    return sorted(shares, key=lambda share: -share.cost)
