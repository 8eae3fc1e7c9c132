"""Where Core ML would run a package: the share of operations and of estimated cost on each device.

Written against coremltools 9.0's MLComputePlan and tested with a stand-in; not yet run on a Mac.
"""

import platform
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lightsam.errors import UsageError

from .coreml import COMPUTE_UNITS
from .noise import import_quietly

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
    """Of the whole, from 0 to 1, as Core ML estimates it."""


def residency(package: Path, compute_units: str) -> list[Share]:
    """Ask Core ML's compute plan, the largest cost first.

    Raises:
        UsageError: anywhere but on macOS, and for compute units that do not exist.
    """
    if compute_units not in COMPUTE_UNITS:
        raise UsageError(f"there are no compute units {compute_units!r}; choose from: {', '.join(COMPUTE_UNITS)}")
    if platform.system() != "Darwin":
        raise UsageError("Core ML's compute plan can be had on macOS alone: the evaluator judges numbers, not devices")
    coremltools = import_quietly("coremltools")
    from coremltools.models.compute_plan import MLComputePlan

    compiled = coremltools.models.utils.compile_model(str(package))
    plan = MLComputePlan.load_from_path(path=compiled, compute_units=coremltools.ComputeUnit[compute_units])
    operations: dict[str, int] = defaultdict(int)
    cost: dict[str, float] = defaultdict(float)
    for operation in plan.model_structure.program.functions["main"].block.operations:
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is None:  # a constant
            continue
        name = type(usage.preferred_compute_device).__name__
        device = _DEVICES.get(name, name)
        operations[device] += 1
        estimate = plan.get_estimated_cost_for_mlprogram_operation(operation)
        cost[device] += 0.0 if estimate is None else estimate.weight
    shares = [Share(device, count, cost[device]) for device, count in operations.items()]
    return sorted(shares, key=lambda share: -share.cost)
