"""Files in ONNX Runtime's own format, .ort, written back as ONNX by ONNX Runtime itself.

An .ort file holds the graph as ONNX Runtime had optimized it. One converted with the style "Runtime" (such files are
called ``*.with_runtime_opt.ort``) keeps nearly all operations of the ONNX file that it was made from, and every weight.
The style "Fixed" joins operations to ONNX Runtime's own; `FUSED` of them are understood.
https://onnxruntime.ai/docs/performance/model-optimizations/ort-format-models.html
"""

from pathlib import Path

from lightsam.errors import CheckpointError

_IDENTIFIER = slice(4, 8)
"""Where a flatbuffer says what it is."""
_ORT = b"ORTM"
FUSED = {"FusedConv": "Conv", "FusedGemm": "Gemm", "FusedMatMul": "MatMul"}
"""ONNX Runtime's own operations that hold their constants as an operation of ONNX does."""


def is_ort(path: Path) -> bool:
    """Whether a file is in ONNX Runtime's format, whatever it is called."""
    with path.open("rb") as file:
        return file.read(_IDENTIFIER.stop)[_IDENTIFIER] == _ORT


def to_onnx(path: Path, folder: Path) -> Path:
    """Write an .ort file as ONNX.

    Args:
        path: of the .ort file.
        folder: for the ONNX file, which gets the name of the other.

    Returns:
        The ONNX file.

    Raises:
        CheckpointError: if ONNX Runtime refuses it, in its words.
    """
    import onnxruntime

    written = folder / f"{path.name}.onnx"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(written)
    options.add_session_config_entry("session.load_model_format", "ORT")
    options.add_session_config_entry("session.save_model_format", "ONNX")
    try:
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a dozen exception classes without a common base
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"ONNX Runtime cannot load {path} ({reason})") from error
    return written
