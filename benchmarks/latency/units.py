"""What each format can be timed on, and which of it this machine has."""

import ctypes.util
import platform

from lightsam.errors import FormatUnavailableError
from lightsam_exporters import formats
from lightsam_exporters.formats import FORMATS, coreml, find_format, onnx
from lightsam_exporters.formats.base import RunOptions
from lightsam_exporters.formats.quiet import import_quietly

from . import iphone, pytorch

RUNTIMES = {
    "torch": "torch",
    "onnx": "onnxruntime",
    "tflite": "ai_edge_litert.interpreter",
    "coreml": "coremltools",
    "coreai": "coreai.authoring.asset",
}
"""Module to import before the first load is timed."""
THREADED = ("torch", "onnx", "tflite")
"""Formats whose runtimes can be told how many threads to use."""
TIMED = (pytorch.NAME, *FORMATS)


def units_of(format_name: str) -> tuple[str, ...]:
    """Names of the units that a format can be asked to run on; its packages need not be installed.

    Raises:
        UsageError: if there is no such format.
    """
    if format_name == pytorch.NAME:
        return pytorch.UNITS
    phones = iphone.UNITS if format_name == coreml.NAME else ()
    return (*formats.units_of(format_name), *phones)


def why_not(format_name: str, unit: str) -> str:
    """Why a format cannot be timed on a unit here, in a sentence; empty if it can."""
    if unit not in units_of(format_name):
        return f"{format_name} has no unit {unit}; it has: {', '.join(units_of(format_name))}"
    if format_name == pytorch.NAME:
        return "" if pytorch.is_here(unit) else f"torch finds no {unit} device"
    try:
        find_format(format_name)
    except FormatUnavailableError as error:
        return str(error)
    if format_name == coreml.NAME:
        return coreml.NOT_HERE if platform.system() != "Darwin" else ""
    if format_name == onnx.NAME:
        return onnx.why_not(unit)
    if (format_name, unit) == ("tflite", "GPU"):
        return "" if _has_gpu_library() else "LiteRT finds no library of a GPU (Vulkan or OpenCL) here"
    return ""


def why_not_by_default(format_name: str, unit: str) -> str:
    """Why a format is not timed on a unit unless it is asked for by name, in a sentence; empty if it is."""
    if format_name == "coreai" and platform.system() != "Darwin":
        return "Apple's runtime for Linux takes many seconds a call: time it by --format coreai"
    return why_not(format_name, unit)


def default_units(format_name: str) -> tuple[str, ...]:
    """What is timed unless something is asked for: all that is here, but what needs a cable or minutes a call."""
    units = (unit for unit in units_of(format_name) if unit not in iphone.UNITS)
    return tuple(unit for unit in units if not why_not_by_default(format_name, unit))


def run_options(format_name: str, unit: str, threads: int) -> RunOptions:
    """How a format's own loader is told about a unit."""
    if format_name == coreml.NAME:
        return RunOptions(compute_units=unit)
    return RunOptions(unit=unit, threads=threads)


def import_runtime(format_name: str) -> None:
    """Bring in a runtime's library, so that loading a file is not timed with it."""
    import_quietly(RUNTIMES[format_name])


def _has_gpu_library() -> bool:
    if platform.system() == "Darwin":
        return True
    return any(ctypes.util.find_library(name) for name in ("vulkan", "OpenCL"))
