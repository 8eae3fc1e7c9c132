"""Files of ONNX in ONNX Runtime, on any of its units: a session, its calls, and what each of its operations takes."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lightsam.errors import ContractError, UsageError
from lightsam.stages import ORIG_IM_SIZE, Arrays

from . import onnx_webgpu
from .base import first_line
from .onnx_webgpu import UNIT as WEBGPU
from .running import RunOptions, Session

_PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "COREML": "CoreMLExecutionProvider",
    WEBGPU: onnx_webgpu.PROVIDER,
}
UNITS = tuple(_PROVIDERS)
"""The first is the default."""


def why_not(unit: str) -> str:
    """Why nothing can be timed on a unit here, in a sentence; empty if it can."""
    if unit == WEBGPU:
        return onnx_webgpu.why_not_timed()
    here = _built_in()
    return "" if unit in here else f"this build of ONNX Runtime has no {unit}; it has: {', '.join(here)}"


def _built_in() -> list[str]:
    """The units that this build of ONNX Runtime has by itself."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    return [unit for unit, provider in _PROVIDERS.items() if provider in there and unit != WEBGPU]


def create_session(path: Path, how: RunOptions, profile: Path | None = None) -> Any:
    """An ``onnxruntime.InferenceSession`` on the unit that is asked for.

    Args:
        path: of the file.
        how: unit and threads.
        profile: how the names of its profiler's files begin; None for no profiler.

    Raises:
        ContractError: if the file is damaged.
        UsageError: for a unit that is not there.
    """
    import onnxruntime

    unit = how.unit or UNITS[0]
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors alone
    settings.intra_op_num_threads = how.threads or 0
    if profile is not None:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(profile)
    if unit == WEBGPU:
        return onnx_webgpu.create_session(path, settings)
    if reason := why_not(unit):
        raise UsageError(reason)
    # What a provider does not take falls to the CPU.
    providers = dict.fromkeys((_PROVIDERS[unit], _PROVIDERS["CPU"]))
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=list(providers))
    # ONNX Runtime has an exception of its own for each of its status codes, with no common base.
    except Exception as error:
        raise ContractError(f"{path} cannot be read as ONNX: {first_line(error)}") from error


def started(session: Any, path: Path) -> Session:
    """A session, to be run with the inputs and outputs of the contract; ``path`` is for messages."""
    import onnxruntime

    outputs = [output.name for output in session.get_outputs()]
    # A provider that could not be had is silently left out of the session's own list.
    unit = next(unit for unit, provider in _PROVIDERS.items() if provider == session.get_providers()[0])

    def prepare(inputs: Mapping[str, np.ndarray]) -> Callable[[], Arrays]:
        given = all_inputs(session, inputs)

        def call() -> Arrays:
            return dict(zip(outputs, session.run(outputs, given), strict=True))

        return onnx_webgpu.guarded(call, path) if unit == WEBGPU else call

    if unit == WEBGPU:
        return Session(prepare, *onnx_webgpu.describe(session))
    return Session(prepare, f"ONNX Runtime {onnxruntime.__version__}", unit)


def all_inputs(session: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the contract gives a session, in float32, and what else its file takes."""
    given = {name: np.ascontiguousarray(array, np.float32) for name, array in inputs.items()}
    takes_size = any(one.name == ORIG_IM_SIZE for one in session.get_inputs())
    if takes_size and ORIG_IM_SIZE not in given:  # asked by the contract, which knows no masks of full size
        given[ORIG_IM_SIZE] = np.ones(2, np.float32)
    return given


class NodeTime(NamedTuple):
    """What one node of a graph took, as ONNX Runtime runs it: after its own fusions."""

    unit: str
    op_type: str
    microseconds: float


def node_times(path: Path, inputs: Mapping[str, np.ndarray], how: RunOptions, calls: int = 1) -> list[NodeTime]:
    """Every node of a run, by ONNX Runtime's own profiler: the median of so many calls after the first.

    Of a node on a GPU that is what it takes to start it.

    Raises:
        ContractError: if the file is damaged.
        UsageError: for a unit that is not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = create_session(path, how, Path(folder) / "profile")
        run = started(session, path).run
        for _ in range(1 + calls):  # the first allocates
            run(inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    names = {provider: unit for unit, provider in _PROVIDERS.items()}
    nodes = [event for event in events if event.get("cat") == "Node" and "provider" in event.get("args", {})]
    each = len(nodes) // (1 + calls)
    counted = np.array([event["dur"] for event in nodes[each:]], np.float64).reshape(calls, each)
    return [
        NodeTime(names.get(said["provider"], said["provider"]), said["op_name"], float(duration))
        for said, duration in zip((event["args"] for event in nodes[:each]), np.median(counted, axis=0), strict=True)
    ]
