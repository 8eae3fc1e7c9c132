"""For mypy alone: every format of the registry is what `Format` asks for, with these types."""

from typing import Any

from lightsam_exporters.formats.base import Format
from lightsam_exporters.formats.coreai import FORMAT as COREAI
from lightsam_exporters.formats.coreml import FORMAT as COREML
from lightsam_exporters.formats.onnx import FORMAT as ONNX
from lightsam_exporters.formats.tflite import FORMAT as TFLITE

FORMATS: tuple[Format[Any], ...] = (COREML, ONNX, TFLITE, COREAI)
