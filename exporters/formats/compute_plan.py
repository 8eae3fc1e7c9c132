"""Where Core ML would run a package's operations: its compute plan.

Written against coremltools 9.0's MLComputePlan and tested with a stand-in, not yet run on a Mac.
"""

import platform
from pathlib import Path
from typing import Any

from lightsam.errors import UsageError

from .base import Share, shares
from .quiet import import_quietly

_DEVICES = {
    "MLCPUComputeDevice": "CPU",
    "MLGPUComputeDevice": "GPU",
    "MLNeuralEngineComputeDevice": "Neural Engine",
}


def ask(package: Path, compute_units: str) -> list[Share]:
    """Compile a package and ask for its plan, the largest cost first.

    Raises:
        UsageError: anywhere but on macOS.
    """
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
    return shares(costs)
