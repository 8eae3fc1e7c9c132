"""For mypy alone: every module of a format has what `Format` asks for, with these types."""

from lightsam_exporters.formats import coreai, coreml, onnx, tflite
from lightsam_exporters.formats.base import Format

_coreai: Format = coreai
_coreml: Format = coreml
_onnx: Format = onnx
_tflite: Format = tflite
