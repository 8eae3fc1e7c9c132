"""ONNX, and how it runs: by ONNX Runtime, everywhere.

Runtime: ONNX Runtime - https://onnxruntime.ai; on WebGPU by a plug-in, see `onnx_webgpu`
Converter: ``torch.onnx`` (dynamo) - https://docs.pytorch.org/docs/stable/onnx_export.html
Limits: none on prompts: the decoder takes any number of prompts and of points in one call. No simplifier is used: what
onnxslim still finds after our own folding and the exporter's optimiser was measured to save no time.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightsam.errors import ContractError, ExportError
from lightsam.stages import ORIG_IM_SIZE, Arrays, Stage
from lightsam_exporters.provenance import Provenance

from .base import Format, Inspector, Observe, Share, StageInputs, Value, first_line, no_inputs, shares
from .gate import FLOAT16, FLOAT32, FOUR_BITS, INTEGERS, MEASURED, MEASURED_COMPRESSED
from .half import to_float16
from .listing import Graph
from .onnx_compression import CALIBRATED, COMPRESSED, DYNAMIC, STATIC, W4, compress, stored_weights
from .onnx_sessions import UNITS, create_session, node_times, started, why_not
from .options import Options, decoder_precision, option, precision
from .quiet import redirect_output_to_log
from .running import LoadedStage, RunOptions, Session

OPSETS = range(18, 24)
"""Below 18 the exporter silently writes 18; above 23 no release of ONNX Runtime is tested."""
_LARGEST_FILE = 2**31 - 2**20
"""Bytes that one protocol buffer can hold, less some for the graph; weights above lie in a file beside."""
_TRACED_AT = {"prompts": 2, "points": 5}
"""Sizes of dynamic axes while tracing; 0 and 1 would be taken for constants."""
_MOST = 4096
"""Prompts or points in one call, at most; for the tracer, which wants a bound."""
_KEPT_NODE_METADATA = "pkg.torch.onnx.name_scopes"
"""The module that a node comes from; the rest, stack traces with paths of this machine among it, is dropped."""
_FOR_FLOATS = ("narrow_bottlenecks", "upsampled_gates")
"""Rewrites that only serve convolutions of floats: integer ones hold a map by positions and not by blocks of channels,
and each of several parts of a sum would be rounded to eight bits."""


@dataclass(frozen=True, kw_only=True)
class OnnxOptions(Options):
    """What can be asked of a file."""

    compressed = COMPRESSED
    calibrated = CALIBRATED

    precision: str = precision("float16", "float32", *COMPRESSED)
    decoder_precision: str = decoder_precision("float16", "float32", *COMPRESSED)
    opset: int = option(20, "Version of the operator set, 18 to 23.", low=OPSETS.start, high=OPSETS.stop - 1)
    with_masks: bool = option(False, "Also masks at the image's size, as SAM's published decoder gives.")


class Onnx(Format[OnnxOptions]):
    """See the head of this module."""

    name = "onnx"
    title = "ONNX"
    requires = ("onnx", "onnxscript", "onnxruntime")
    options = OnnxOptions
    units = UNITS
    runtime = "onnxruntime"
    threaded = True
    devices = ("onnxruntime-cpu",)
    gates = {  # noqa: RUF012  # read only
        "float32": replace(FLOAT32, origin=f"{MEASURED}113.3 dB, IoU 0.99999"),
        "float16": replace(FLOAT16, origin=f"{MEASURED}65.8 dB, IoU 0.9806 (1.0 but for pixels within rounding)"),
        DYNAMIC: replace(
            INTEGERS, origin=f"{MEASURED_COMPRESSED}41.5 dB, IoU 0.8243 (1.0 but for pixels within rounding)"
        ),
        STATIC: replace(
            INTEGERS, origin=f"{MEASURED_COMPRESSED}27.4 dB, IoU 0.7660 (0.9993 but for pixels within rounding)"
        ),
        W4: replace(
            FOUR_BITS, origin=f"{MEASURED_COMPRESSED}25.9 dB, IoU 0.6304 (0.9730 but for pixels within rounding)"
        ),
    }

    def __init__(self) -> None:
        self.inspector = _Inspector()

    def file_name(self, stage: str) -> str:
        """Every stage has a file of its own; weights above 2 GB lie beside it, in ``.data``."""
        return f"{stage}.onnx"

    def graph(self, stage: Stage, options: OnnxOptions) -> Stage:
        """As any format's; without what only serves floats where the layers become integers."""
        if options.precision == STATIC:
            options = replace(options, left_out=(*options.left_out, *_FOR_FLOATS))
        return super().graph(stage, options)

    def interface(self, stage: Stage, options: OnnxOptions) -> Stage:
        """The contract's own: dynamic axes where it has them, float32 in every precision."""
        return stage

    def export(
        self,
        stages: Sequence[Stage],
        path: Path,
        options: OnnxOptions,
        provenance: Provenance,
        inputs: StageInputs = no_inputs,
    ) -> None:
        """Convert a stage and save it as ``path``; a compressed one by way of float32.

        Raises:
            ExportError: with the converter's own message, or if there is nothing to compress.
            UsageError: for a precision that must be calibrated, without an image.
        """
        (stage,) = stages
        if options.precision not in options.compressed:
            self._export(stage, path, options, provenance)
            return
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            floats = Path(folder) / path.name
            self._export(stage, floats, options, provenance)
            compress(floats, path, options.precision, stage.name, lambda: _complete(stage, inputs(stage.name)))

    def _export(self, stage: Stage, path: Path, options: OnnxOptions, provenance: Provenance) -> None:
        import onnx

        try:
            with redirect_output_to_log(self.name):
                folded = self.graph(stage, options)
                if options.precision == "float16":
                    to_float16(folded)
                program: Any = torch.onnx.export(
                    folded.module,
                    _traced_inputs(folded),
                    input_names=[spec.name for spec in stage.inputs],
                    output_names=[spec.name for spec in stage.outputs],
                    opset_version=options.opset,
                    dynamic_shapes=_dynamic_shapes(folded),
                    dynamo=True,
                    verbose=False,
                )
                _describe(program.model, stage, options, provenance)
                weights = sum(value.const_value.nbytes for value in program.model.graph.initializers.values())
                program.save(str(path), external_data=weights > _LARGEST_FILE)
                onnx.checker.check_model(str(path), full_check=True)  # with shape inference
        # The exporter raises whatever its passes raise.
        except Exception as error:
            raise ExportError(
                f"torch.onnx could not convert or save the {stage.name} of {provenance.model}: {first_line(error)}"
            ) from error

    def load(self, path: Path, stage: str, how: RunOptions) -> LoadedStage:
        """Read a file back, by ONNX Runtime.

        Raises:
            ContractError: if the file is damaged, or was not exported by lightsam.
            UsageError: for a unit that is not there.
        """
        session = create_session(path, how)
        metadata = session.get_modelmeta().custom_metadata_map
        provenance = Provenance.from_metadata(metadata, str(path))
        return LoadedStage.of(started(session, path), metadata.get("stage", ""), provenance)

    def start(self, path: Path, stage: str, how: RunOptions) -> Session:
        """Bring a stage into ONNX Runtime.

        Raises:
            ContractError: if it refuses the file.
            UsageError: for a unit that is not there.
        """
        return started(create_session(path, how), path)

    def listing(self, path: Path) -> tuple[Graph, ...]:
        """The graph, with the shapes that ONNX's inference finds."""
        from .onnx_listing import read_graph

        return (read_graph(path),)

    def stored_weights(self, path: Path) -> dict[str, int]:
        """Counted in the file; scales, shapes and indices are left out."""
        return stored_weights(path)

    def why_not(self, unit: str) -> str:
        """Why a unit is not to be had, in a sentence; empty if it is."""
        return why_not(unit)

    def residency(self, path: Path, unit: str, inputs: Mapping[str, np.ndarray]) -> list[Share]:
        """By ONNX Runtime's profiler, afterwards; of the CPU there is nothing to tell."""
        if unit == self.units[0]:
            return []
        times = node_times(path, inputs, RunOptions(unit))
        whole = sum(one.microseconds for one in times) or 1.0
        return shares((one.unit, one.microseconds / whole) for one in times)


class _Inspector(Inspector):
    def trace(self, stage: Stage, options: Options) -> torch.export.ExportedProgram:
        """The graph that the names inside a file of these options come from."""
        assert isinstance(options, OnnxOptions)
        folded = FORMAT.graph(stage, options)
        return torch.export.export(
            folded.module, _traced_inputs(folded), dynamic_shapes=_dynamic_shapes(folded), strict=False
        )

    def observe(self, path: Path, inputs: Mapping[str, np.ndarray], each: Observe, *, unrounded: bool = False) -> None:
        """Run a file and show every float inside it, in the order of the graph.

        Raises:
            ContractError: if the file is damaged.
        """
        import onnx
        import onnxruntime

        try:
            model = onnx.load(path)
            there = {output.name for output in model.graph.output}
            nodes = [(node.op_type, name) for node in model.graph.node for name in node.output if name]
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for _, name in nodes if name not in there)
            settings = onnxruntime.SessionOptions()
            settings.log_severity_level = 3
            # Unfused: a fused operation has no name of the file's.
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # as in `load`; and a model above 2 GB cannot be given more outputs in memory
            raise ContractError(f"{path} cannot be looked into: {first_line(error)}") from error
        given = {name: np.ascontiguousarray(array, np.float32) for name, array in inputs.items()}
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(names, given), strict=True))
        for op_type, name in nodes:
            if found[name].dtype.kind == "f":
                each(Value(op_type, name, found[name].astype(np.float32)))


FORMAT = Onnx()


def _dynamic_shapes(stage: Stage) -> tuple[dict[int, Any] | None, ...]:
    """The open axes of every input, for the tracer; axes of one name have one size."""
    axes: dict[str, Any] = {}
    return tuple(
        {axis: axes.setdefault(name, torch.export.Dim(name, min=1, max=_MOST)) for axis, name in spec.dynamic.items()}
        or None
        for spec in stage.inputs
    )


def _traced_inputs(stage: Stage) -> tuple[torch.Tensor, ...]:
    """Sample inputs whose dynamic axes have sizes of their own."""
    rng = np.random.Generator(np.random.PCG64(0))
    tensors = []
    for spec in stage.inputs:
        shape = tuple(_TRACED_AT.get(spec.dynamic.get(axis, ""), side) for axis, side in enumerate(spec.shape))
        tensors.append(torch.from_numpy(spec.sample(rng, shape)))
    return tuple(tensors)


def _complete(stage: Stage, inputs: Iterator[Arrays]) -> Iterator[Arrays]:
    """Inputs of a stage, with the size of an image where masks are to have it, which the contract does not know."""
    takes_size = any(spec.name == ORIG_IM_SIZE for spec in stage.inputs)
    for given in inputs:
        yield {**given, ORIG_IM_SIZE: np.ones(2, np.float32)} if takes_size else given


def _describe(model: Any, stage: Stage, options: OnnxOptions, provenance: Provenance) -> None:
    """Write what the file is into the file, and drop what the exporter wrote about this machine."""
    model.producer_name = "lightsam"
    model.producer_version = provenance.lightsam_version
    model.doc_string = f"{provenance.headline} Stage: {stage.name}, {options.precision}. {provenance.license_line}"
    model.graph.name = f"{provenance.model}_{stage.name}"
    model.metadata_props.update({**provenance.metadata(), "stage": stage.name, "precision": options.precision})
    for spec, value in zip((*stage.inputs, *stage.outputs), (*model.graph.inputs, *model.graph.outputs), strict=True):
        value.doc_string = spec.meaning
    for node in model.graph.all_nodes():
        kept = node.metadata_props.get(_KEPT_NODE_METADATA)
        node.metadata_props.clear()
        if kept is not None:
            node.metadata_props[_KEPT_NODE_METADATA] = kept
        node.doc_string = None
