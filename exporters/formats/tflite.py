"""LiteRT, formerly TensorFlow Lite (``.tflite``), and how it runs: by LiteRT, everywhere.

Runtime: LiteRT - https://ai.google.dev/edge/litert; the files load in tflite-runtime 2.14 too, which many devices have.
Converter: litert-torch - https://github.com/google-ai-edge/litert-torch
Limits: static shapes; one prompt a call. float16 and w8 are those of the weights: the runtime computes in what its
delegate prefers; w8-dynamic and w8a8 compute in int8 where that pays (`tflite_compression`). Each file has one
signature, ``encode`` or ``decode``; address its tensors by name, the order differs between runtimes.
"""

import ctypes.util
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from lightsam.errors import ContractError, ExportError, LightSamError, UsageError
from lightsam.stages import Arrays, Stage, TensorSpec
from lightsam_exporters.provenance import Provenance

from .base import Format, StageInputs, first_line, no_inputs, static_shapes
from .gate import EIGHT_BITS, FLOAT16, FLOAT32, INTEGERS, MEASURED, MEASURED_COMPRESSED
from .listing import Graph
from .options import Options, decoder_precision, option, point_slots, precision
from .quiet import redirect_output_to_log
from .running import LoadedStage, Prepare, RunOptions, Session
from .tflite_compression import COMPRESSED, DYNAMIC, STATIC, WEIGHTS, compress, stored_weights

SIGNATURES = {"encoder": "encode", "decoder": "decode"}
METADATA = "lightsam"
"""Name of the metadata entry that says what the file is: JSON."""


@dataclass(frozen=True, kw_only=True)
class TFLiteOptions(Options):
    """What can be asked of a file."""

    compressed = COMPRESSED
    calibrated = (STATIC,)

    precision: str = precision("float16", "float32", *COMPRESSED)
    decoder_precision: str = decoder_precision("float16", *COMPRESSED)
    point_slots: int | None = point_slots()
    image_layout: str = option(
        "nchw", "nchw, or nhwc (channels last, as Android's cameras give it).", choices=("nchw", "nhwc")
    )


class TFLite(Format[TFLiteOptions]):
    """See the head of this module."""

    name = "tflite"
    title = "LiteRT"
    requires = ("litert_torch", "ai_edge_litert", "ai_edge_quantizer")
    options = TFLiteOptions
    units = ("CPU", "GPU")
    runtime = "ai_edge_litert.interpreter"
    threaded = True
    devices = ("xnnpack",)
    gates = {  # noqa: RUF012  # read only
        "float32": replace(FLOAT32, psnr_db=105, origin=f"{MEASURED}107.9 dB, IoU 0.99998"),
        "float16": replace(FLOAT16, origin=f"{MEASURED}74.1 dB, IoU 0.9948 (1.0 but for pixels within rounding)"),
        WEIGHTS: replace(
            EIGHT_BITS, origin=f"{MEASURED_COMPRESSED}37.1 dB, IoU 0.8301 (1.0 but for pixels within rounding)"
        ),
        DYNAMIC: replace(
            INTEGERS, origin=f"{MEASURED_COMPRESSED}30.3 dB, IoU 0.6987 (0.9998 but for pixels within rounding)"
        ),
        STATIC: replace(
            INTEGERS,
            origin="that of w8-dynamic, whose decoder it has; measured likewise, beside a decoder in float16: 40.3 dB, "
            "IoU 0.8010 (1.0 but for pixels within rounding)",
        ),
    }

    def file_name(self, stage: str) -> str:
        """Every stage has a file of its own, so that each can be given a delegate of its own."""
        return f"{stage}.tflite"

    def interface(self, stage: Stage, options: TFLiteOptions) -> Stage:
        """Static shapes; the image's channels last, if so asked."""
        stage = static_shapes(stage)
        if options.image_layout == "nchw":
            return stage
        return replace(stage, inputs=tuple(_channels_last(s) if s.name == "image" else s for s in stage.inputs))

    def export(
        self,
        stages: Sequence[Stage],
        path: Path,
        options: TFLiteOptions,
        provenance: Provenance,
        inputs: StageInputs = no_inputs,
    ) -> None:
        """Convert a stage and save it as ``path``.

        Raises:
            ExportError: with the converter's own message.
        """
        (stage,) = stages
        taken = self.interface(stage, options)
        try:
            with redirect_output_to_log(self.name):
                import litert_torch
                from ai_edge_litert.tools import flatbuffer_utils

                named = _Named(self.graph(stage, options), taken).eval()
                sample = dict(zip((spec.name for spec in taken.inputs), taken.example_tensors(), strict=True))
                converted = litert_torch.signature(SIGNATURES[stage.name], named, sample_kwargs=sample).convert()
                converted.export(str(path))
                if options.precision != "float32":
                    shapes = {spec.name: spec.shape for spec in taken.inputs}
                    given = partial(_all_as_taken, inputs, stage.name, shapes)
                    compress(path, path, options.precision, stage.name, given)
                model = flatbuffer_utils.read_model(path)
                _describe(model, taken, options, provenance)
                flatbuffer_utils.write_model(model, path)
        except LightSamError:  # of the images
            raise
        # litert-torch raises whatever its passes raise.
        except Exception as error:
            raise ExportError(
                f"litert-torch could not convert or save the {stage.name} of {provenance.model}: {first_line(error)}"
            ) from error

    def load(self, path: Path, stage: str, how: RunOptions) -> LoadedStage:
        """Read a file back, by LiteRT.

        Raises:
            ContractError: if the file is damaged, or was not exported by lightsam.
            UsageError: for a unit that does not exist.
        """
        try:
            metadata = read_metadata(path)
        except ContractError:
            raise
        # What a damaged flatbuffer raises depends on where it is damaged.
        except Exception as error:
            raise ContractError(f"{path} cannot be read as TFLite: {first_line(error)}") from error
        provenance = Provenance.from_metadata(metadata, str(path))
        return LoadedStage.of(self.start(path, stage, how), metadata["stage"], provenance)

    def start(self, path: Path, stage: str, how: RunOptions) -> Session:
        """Bring a stage into LiteRT: by XNNPACK on the CPU, by ML Drift (Metal, OpenCL or WebGPU) on the GPU.

        Raises:
            ContractError: if LiteRT refuses the file, or finds no such unit.
            UsageError: for a unit that does not exist.
        """
        asked = how.unit or self.units[0]
        if asked not in self.units:
            raise UsageError(f"LiteRT has no unit {asked!r}; choose from: {', '.join(self.units)}")
        try:
            with redirect_output_to_log(self.name):
                prepare, unit = (_on_cpu if asked == "CPU" else _on_gpu)(path, SIGNATURES[stage], how)
        except Exception as error:  # as in `load`
            what = "read as TFLite" if asked == self.units[0] else f"run by LiteRT on the {asked}"
            raise ContractError(f"{path} cannot be {what}: {first_line(error)}") from error
        return Session(prepare, f"LiteRT {version('ai-edge-litert')}", unit)

    def stored_weights(self, path: Path) -> dict[str, int]:
        """Counted in the flatbuffer."""
        return stored_weights(path)

    def listing(self, path: Path) -> tuple[Graph, ...]:
        """The subgraphs of the flatbuffer."""
        from .tflite_listing import read_graphs

        return read_graphs(path)

    def why_not(self, unit: str) -> str:
        """The GPU needs a library."""
        return "LiteRT finds no library of a GPU (Vulkan or OpenCL) here" if unit == "GPU" and not _has_gpu() else ""


FORMAT = TFLite()


def _channels_last(spec: TensorSpec) -> TensorSpec:
    batch, channels, height, width = spec.shape
    return replace(spec, shape=(batch, height, width, channels))


class _Named(nn.Module):
    """Takes inputs and gives outputs by name: the converter's way to name them."""

    def __init__(self, stage: Stage, taken: Stage) -> None:
        super().__init__()
        self.module = stage.module
        self.outputs = [spec.name for spec in stage.outputs]
        self.turned = {
            given.name
            for given, contract in zip(taken.inputs, stage.inputs, strict=True)
            if given.shape != contract.shape
        }

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        given = {name: x.permute(0, 3, 1, 2) if name in self.turned else x for name, x in inputs.items()}
        return dict(zip(self.outputs, self.module(**given), strict=True))


def _describe(model: Any, taken: Stage, options: TFLiteOptions, provenance: Provenance) -> None:
    """Write what the file is into the file: a line as its description, the facts as a metadata entry."""
    from ai_edge_litert import schema_py_generated as schema

    facts: dict[str, Any] = {**provenance.metadata(), "stage": taken.name, "precision": options.precision}
    facts["license_line"] = provenance.license_line
    facts["tensors"] = {spec.name: spec.meaning for spec in (*taken.inputs, *taken.outputs)}
    model.description = f"{provenance.headline} Stage: {taken.name}, {options.precision}. {provenance.license_line}"
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    model.buffers.append(buffer)
    entry.name, entry.buffer = METADATA, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]


def read_metadata(path: Path) -> dict[str, Any]:
    """What `export` wrote about a file; empty if it is not one of ours.

    Raises:
        ContractError: if it is no TFLite file at all.
    """
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ContractError(f"{path} cannot be read as TFLite: it does not begin like one")
    model = schema.Model.GetRootAs(content, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA.encode():
            return dict(json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()))
    return {}


def _on_cpu(path: Path, signature: str, how: RunOptions) -> tuple[Prepare, str]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=how.threads)
    interpreter.allocate_tensors()  # the delegate says here, and never again, that it is there
    runner = interpreter.get_signature_runner(signature)
    shapes = {name: tuple(details["shape"]) for name, details in runner.get_input_details().items()}

    def prepare(inputs: Mapping[str, np.ndarray]) -> Callable[[], Arrays]:
        given = {name: _as_taken(array, shapes.get(name)) for name, array in inputs.items()}
        return lambda: {name: np.array(array) for name, array in runner(**given).items()}

    return prepare, "CPU"


def _on_gpu(path: Path, signature: str, how: RunOptions) -> tuple[Prepare, str]:
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    # What the GPU does not take falls to the CPU.
    model = CompiledModel.from_file(str(path), hardware_accel=HardwareAccelerator.GPU | HardwareAccelerator.CPU)
    unit = "GPU" if model.is_fully_accelerated() else "GPU and CPU"
    taken = model.get_input_tensor_details(signature)
    given_back = model.get_output_tensor_details(signature)
    shapes = {name: tuple(int(side) for side in details["shape"]) for name, details in taken.items()}
    results = {name: tuple(int(side) for side in details["shape"]) for name, details in given_back.items()}
    buffers_in = {name: model.create_input_buffer_by_name(signature, name) for name in shapes}
    buffers_out = {name: model.create_output_buffer_by_name(signature, name) for name in results}

    def call(given: Mapping[str, np.ndarray]) -> Arrays:
        for name, buffer in buffers_in.items():
            buffer.write(given[name])
        model.run_by_name(signature, buffers_in, buffers_out)
        return {
            name: buffer.read(int(np.prod(results[name])), np.float32).reshape(results[name])
            for name, buffer in buffers_out.items()
        }

    def prepare(inputs: Mapping[str, np.ndarray]) -> Callable[[], Arrays]:
        return partial(call, {name: _as_taken(inputs[name], shape) for name, shape in shapes.items()})

    return prepare, unit


def _as_taken(array: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """An input in the layout of the file: the contract's image has its channels first."""
    turned = array.ndim == 4 and shape is not None and array.shape != shape
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1) if turned else array, np.float32)


def _all_as_taken(inputs: StageInputs, stage: str, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Arrays]:
    for given in inputs(stage):
        yield {name: _as_taken(given[name], shape) for name, shape in shapes.items()}


def _has_gpu() -> bool:
    if platform.system() == "Darwin":
        return True
    return any(ctypes.util.find_library(name) for name in ("vulkan", "OpenCL"))
