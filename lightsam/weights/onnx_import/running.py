"""ONNX Runtime on files of unknown origin."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lightsam.errors import CheckpointError

from .graph import Graph

Arrays = dict[str, np.ndarray]
_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


def start(graph: Graph, also: tuple[str, ...] = ()) -> Any:
    """Load a file as it is, but that ``also`` are given out, too.

    Args:
        graph: of the file.
        also: names of tensors inside.

    Raises:
        CheckpointError: if ONNX Runtime refuses it, in its words.
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source: str | bytes = str(graph.path)
    if not also and graph.file != graph.path:  # whatever it is called
        options.add_session_config_entry("session.load_model_format", "ORT")
    if also:
        model = onnx.load(graph.file)
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in also)
        source = model.SerializeToString()
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a dozen exception classes without a common base
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"ONNX Runtime cannot load {graph.path} ({reason})") from error


def run(session: Any, values: Mapping[str, np.ndarray], path: Path) -> Arrays:
    """Every output by its name; inputs are brought to the types that the file wants.

    Raises:
        CheckpointError: if ONNX Runtime fails, in its words.
    """
    fed = {info.name: values[info.name].astype(_TYPES[info.type]) for info in session.get_inputs()}
    names = [info.name for info in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, fed), strict=True))
    except Exception as error:  # as above
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"ONNX Runtime cannot run {path} ({reason})") from error
