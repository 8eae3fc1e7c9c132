"""Core ML: ML Programs (``.mlpackage``), and how they run.

Runtime: Core ML on macOS; anywhere else the reference evaluator of `mil`.
Converter: coremltools 9.0 from a ``torch.export`` graph - https://apple.github.io/coremltools/docs-guides/
Limits: static shapes; one prompt a call. coremltools 9.0 says that it is tested up to torch 2.7; what it makes of newer
ones is what the parity judge is for.
"""

import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from lightsam.errors import ContractError, ExportError, UsageError
from lightsam.stages import Arrays, Stage, TensorSpec
from lightsam_exporters.provenance import Provenance

from .base import (
    Format,
    Inspector,
    Observe,
    OnStep,
    Seen,
    Share,
    StageInputs,
    Value,
    first_line,
    no_inputs,
    static_shapes,
)
from .coreml_options import MIXED, PALETTES, SAFE, W8, W8A8, CoreMLOptions
from .gate import EIGHT_BITS, FLOAT16, FLOAT32, FOUR_BITS, INTEGERS, MEASURED, MEASURED_COMPRESSED, SIX_BITS
from .listing import Graph
from .options import Options
from .quiet import import_quietly, redirect_output_to_log
from .running import LoadedStage, RunOptions, Session

if TYPE_CHECKING:
    from .mil.compress import Plan
    from .mil.program import SavedProgram

_LOG = logging.getLogger("lightsam.export")
_IMAGE = "image"
"""dtype of an image that is taken as an 8-bit image."""
NOT_HERE = "Core ML runs on macOS alone: the evaluator that judges its files elsewhere cannot measure latency"
# coremltools puts it beside the program for ExecuTorch's debugger, 0.2 MB a stage; Core ML does not know of it.
_DEBUG_HANDLES = "executorch_debug_handle_mapping.json"

# coremltools merges a norm's scale and shift into a batch_norm of variance 1, whose epsilon of 1e-5 then shrinks every
# value by 5e-6: an error of its own, as large as all of float32's rounding together.
_LEFT_OUT_PASSES = ("common::fuse_elementwise_to_batchnorm",)


class CoreML(Format[CoreMLOptions]):
    """See the head of this module."""

    name = "coreml"
    title = "Core ML"
    requires = ("coremltools",)
    options = CoreMLOptions
    units = ("ALL", "CPU_AND_GPU", "CPU_AND_NE", "CPU_ONLY")
    runtime = "coremltools"
    devices = ("coreml-gpu", "neural-engine")
    gates = {  # noqa: RUF012  # read only
        "float32": replace(FLOAT32, origin=f"{MEASURED}117.7 dB, IoU 0.99999"),
        "float16": replace(
            FLOAT16,
            origin=f"{MEASURED}58.6 dB, IoU 0.9905 (0.9997 but for pixels within rounding), declared numerics",
        ),
        SAFE: replace(
            FLOAT16,
            origin="that of float16, as what stays in float32 is no worse; measured by the quick suite: 64.3 dB",
        ),
        W8: replace(
            EIGHT_BITS, origin=f"{MEASURED_COMPRESSED}38.6 dB, IoU 0.8788 (1.0 but for pixels within rounding)"
        ),
        "palette8": replace(
            EIGHT_BITS, origin=f"{MEASURED_COMPRESSED}42.1 dB, IoU 0.8918 (1.0 but for pixels within rounding)"
        ),
        "palette6": replace(
            SIX_BITS, origin=f"{MEASURED_COMPRESSED}32.9 dB, IoU 0.5177 (1.0 but for pixels within rounding)"
        ),
        "palette4": replace(
            FOUR_BITS,
            origin="measured as the others, beside a decoder in float16: 24.5 dB, IoU 0.6004 (0.9999 but for pixels "
            "within rounding); a decoder in palette4 fails: 0.3048 (0.6584)",
        ),
        W8A8: replace(
            INTEGERS, origin=f"{MEASURED_COMPRESSED}29.8 dB, IoU 0.6441 (1.0 but for pixels within rounding)"
        ),
        MIXED: replace(
            FOUR_BITS, origin=f"{MEASURED_COMPRESSED}24.2 dB, IoU 0.7159 (0.9995 but for pixels within rounding)"
        ),
    }

    def __init__(self) -> None:
        self.inspector = _Inspector()

    def file_name(self, stage: str) -> str:
        """Every stage has a package of its own."""
        return f"{stage}.mlpackage"

    def interface(self, stage: Stage, options: CoreMLOptions) -> Stage:
        """Static shapes; embeddings pass in the precision of the files, the image as an image or an array."""

        def adapt(spec: TensorSpec) -> TensorSpec:
            if spec.name == "image" and options.image_input == "image":
                return replace(spec, dtype=_IMAGE)
            if spec.passed_on:
                return replace(spec, dtype="float32" if options.precision == "float32" else "float16")
            return spec

        stage = static_shapes(stage)
        return replace(stage, inputs=tuple(map(adapt, stage.inputs)), outputs=tuple(map(adapt, stage.outputs)))

    def complete(
        self,
        names: Sequence[str],
        seen: Seen,
        options: CoreMLOptions,
        provenance: Provenance,
        folder: Path,
        on_step: OnStep,
    ) -> CoreMLOptions:
        """Convert to floats, run real images through that, and find what the precision needs to know.

        Of float16-safe what float16 cannot hold, of w8a8 how large activations become, of mixed the bits of weights.
        """
        from .coreml_findings import find

        def floats(name: str, precision: str) -> Path:
            path = folder / f"{precision}-{self.file_name(name)}"
            # A w8a8 program is one of floats until its last pass: names and target are the same.
            self.export([seen.stages[name]], path, replace(options.of_stage(name), precision=precision), provenance)
            return path

        wanted = {name: options.of_stage(name).precision for name in names}
        graphs = {name: self.graph(seen.stages[name], options) for name in names}
        return replace(options, **find(wanted, graphs, seen, options, floats, on_step))

    def export(
        self,
        stages: Sequence[Stage],
        path: Path,
        options: CoreMLOptions,
        provenance: Provenance,
        inputs: StageInputs = no_inputs,
    ) -> None:
        """Convert a stage and save it as the package ``path``.

        Raises:
            ExportError: with the converter's own message.
        """
        coremltools = import_quietly("coremltools")
        from .mil.kept import check_kept, float16_selector

        (stage,) = stages
        specs = self.interface(stage, options)
        own = f"{stage.name}/"
        plan = _plan(stage, options)
        kept = {name.removeprefix(own) for name in options.float32_operations if name.startswith(own)}
        try:
            with redirect_output_to_log(self.name):
                package = coremltools.convert(
                    _trace(self.graph(stage, options)),
                    inputs=[_input_type(spec) for spec in specs.inputs],
                    outputs=[coremltools.TensorType(name=s.name, dtype=np.dtype(s.dtype).type) for s in specs.outputs],
                    convert_to="mlprogram",
                    minimum_deployment_target=coremltools.target[options.minimum_deployment_target],
                    compute_precision=(
                        coremltools.precision.FLOAT32
                        if options.precision == "float32"
                        else coremltools.transform.FP16ComputePrecision(op_selector=float16_selector(kept))
                    ),
                    pass_pipeline=_pipeline(plan),
                    skip_model_load=True,
                )
                _describe(package, stage, options, provenance)
                package.save(str(path))
                (path / _DEBUG_HANDLES).unlink(missing_ok=True)
        # coremltools raises whatever its passes raise, up to AssertionError.
        except Exception as error:
            raise ExportError(
                f"coremltools could not convert or save the {stage.name} of {provenance.model}: {first_line(error)}"
            ) from error
        check_kept(path, kept)

    def load(self, path: Path, stage: str, how: RunOptions) -> LoadedStage:
        """Read a package back: by Core ML on macOS, elsewhere by the evaluator.

        Raises:
            ContractError: if the package is damaged, or was not exported by lightsam.
            UsageError: for compute units or numerics that do not exist.
        """
        from .mil import NUMERICS, Evaluator, Numerics
        from .mil.program import read_program

        for name, value, allowed in (
            ("compute units", self._units(how), self.units),
            ("numerics", how.numerics, NUMERICS),
        ):
            if value not in allowed:
                raise UsageError(f"there are no {name} {value!r}; choose from: {', '.join(allowed)}")
        program = read_program(path)
        _check_interface(path, program)
        metadata = program.metadata
        provenance = Provenance.from_metadata(metadata, str(path))
        if platform.system() == "Darwin":
            return LoadedStage.of(self.start(path, stage, how), metadata.get("stage", ""), provenance)
        evaluator = Evaluator(program, cast(Numerics, how.numerics))
        image_inputs = _image_inputs(program.specification)

        def run(inputs: Mapping[str, np.ndarray]) -> Arrays:
            return evaluator({name: _pixels(a) if name in image_inputs else a for name, a in inputs.items()})

        judge = f"lightsam evaluator, {how.numerics} numerics"
        return LoadedStage(metadata.get("stage", ""), run, provenance, judge, simulated=True)

    def _units(self, how: RunOptions) -> str:
        return how.unit or self.units[0]

    def start(self, path: Path, stage: str, how: RunOptions) -> Session:
        """Compile a package, and bring it into Core ML itself.

        Raises:
            ContractError: if Core ML refuses it.
            UsageError: anywhere but on macOS.
        """
        if platform.system() != "Darwin":
            raise UsageError(NOT_HERE)
        from PIL import Image

        coremltools = import_quietly("coremltools")
        try:
            model = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit[self._units(how)])
            model.get_compiled_model_path()  # MLModel only warns of a package that Core ML refuses; this raises
        except Exception as error:  # of several kinds
            raise ContractError(f"Core ML refuses {path}: {first_line(error)}") from error
        specification = model.get_spec()
        image_inputs = _image_inputs(specification)
        dtypes = {
            feature.name: np.float16
            if feature.type.multiArrayType.dataType == coremltools.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT16
            else np.float32
            for feature in specification.description.input
        }

        def prepare(inputs: Mapping[str, np.ndarray]) -> Callable[[], Arrays]:
            features = {
                name: Image.fromarray(_pixels(array)[0].transpose(1, 2, 0).astype(np.uint8))
                if name in image_inputs
                else array.astype(dtypes[name])
                for name, array in inputs.items()
            }
            return lambda: {name: np.asarray(array, np.float32) for name, array in model.predict(features).items()}

        return Session(prepare, f"Core ML of macOS {platform.mac_ver()[0]}", self._units(how))

    def stored_weights(self, path: Path) -> dict[str, int]:
        """Of every constant that is a weight, by what stands in the file."""
        from .mil.compress import stored_weights

        return stored_weights(path)

    def listing(self, path: Path) -> tuple[Graph, ...]:
        """The functions of the ML Program, as its specification has them."""
        from .mil.listing import read_graphs

        return read_graphs(path)

    def why_not(self, unit: str) -> str:
        """Everything needs macOS."""
        return "" if platform.system() == "Darwin" else NOT_HERE

    def residency(self, path: Path, unit: str, inputs: Mapping[str, np.ndarray]) -> list[Share]:
        """By Core ML's compute plan: beforehand, as it estimates."""
        from .compute_plan import ask

        if unit not in self.units:
            raise UsageError(f"there are no compute units {unit!r}; choose from: {', '.join(self.units)}")
        return ask(path, unit)


class _Inspector(Inspector):
    unrounded = True

    def trace(self, stage: Stage, options: Options) -> torch.export.ExportedProgram:
        assert isinstance(options, CoreMLOptions)
        return _trace(FORMAT.graph(stage, options))

    def observe(self, path: Path, inputs: Mapping[str, np.ndarray], each: Observe, *, unrounded: bool = False) -> None:
        """Evaluate a package and show every float inside it, in the order of the program.

        Raises:
            ContractError: if the package is damaged.
        """
        from .mil import Evaluator

        evaluator = Evaluator(path, "float32" if unrounded else "declared")
        images = _image_inputs(evaluator.program.specification)

        def show(op_type: str, name: str, result: torch.Tensor) -> None:
            if result.is_floating_point():
                each(Value(op_type, name.replace("_cast_fp16", ""), result.numpy()))

        evaluator({name: _pixels(array) if name in images else array for name, array in inputs.items()}, show)


FORMAT = CoreML()


def _trace(folded: Stage) -> torch.export.ExportedProgram:
    """The graph that a package is converted from, and that the names inside it come from."""
    return torch.export.export(folded.module, folded.example_tensors(), strict=False).run_decompositions({})


def _image_inputs(specification: Any) -> set[str]:
    """Inputs that are 8-bit images."""
    described = specification.description.input
    return {feature.name for feature in described if feature.type.WhichOneof("Type") == "imageType"}


def _check_interface(path: Path, program: "SavedProgram") -> None:
    """Core ML goes by the names of the description, the program by its own: they must be the same."""
    description, function = program.specification.description, program.function
    for kind, described, computed in (
        ("inputs", description.input, list(function.inputs)),
        ("outputs", description.output, [output.name for output in function.outputs]),
    ):
        names = [feature.name for feature in described]
        if names != computed:
            raise ContractError(f"{path} describes the {kind} {names} and computes with {computed}")


def _pixels(image: np.ndarray) -> np.ndarray:
    """What an 8-bit image holds of (1, 3, S, S) values."""
    return np.rint(image).clip(0, 255).astype(np.float32)


def _input_type(spec: TensorSpec) -> Any:
    coremltools = import_quietly("coremltools")
    if spec.dtype == _IMAGE:
        return coremltools.ImageType(name=spec.name, shape=spec.shape, color_layout=coremltools.colorlayout.RGB)
    return coremltools.TensorType(name=spec.name, shape=spec.shape, dtype=np.dtype(spec.dtype).type)


def _pipeline(plan: "Plan | None") -> Any:
    coremltools = import_quietly("coremltools")
    from .mil.compress import add_pass

    pipeline = coremltools.PassPipeline.DEFAULT
    pipeline.remove_passes(_LEFT_OUT_PASSES)
    if plan is not None:
        add_pass(pipeline, plan)
    return pipeline


def _plan(stage: Stage, options: CoreMLOptions) -> "Plan | None":
    """What becomes of a stage's weights and activations; None where both stay floats."""
    from .mil.compress import LINEAR, PALETTE, Bits, Plan

    if options.precision in PALETTES:
        palette = Bits(PALETTE, PALETTES[options.precision])
        return Plan(lambda _: palette)
    if options.precision in (W8, W8A8):
        return Plan(
            lambda _: Bits(LINEAR),
            {name: float(largest) for name, largest in _of_stage(stage.name, options.activation_ranges)},
        )
    if options.precision == MIXED:
        bits = {name: Bits(PALETTE, int(count)) for name, count in _of_stage(stage.name, options.mixture)}
        return Plan(bits.get)
    return None


def _of_stage(stage: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and values in lines of the form ``stage/name=value``, those of one stage."""
    for line in lines:
        name, _, value = line.removeprefix(f"{stage}/").rpartition("=")
        if line.startswith(f"{stage}/"):
            yield name, value


def _describe(package: Any, stage: Stage, options: CoreMLOptions, provenance: Provenance) -> None:
    """Write what the package is into the package."""
    for spec in stage.inputs:
        package.input_description[spec.name] = spec.meaning
    for spec in stage.outputs:
        package.output_description[spec.name] = spec.meaning
    package.short_description = f"{provenance.headline} Stage: {stage.name}, {options.precision}."
    package.author = provenance.author
    package.license = provenance.license_line
    package.version = provenance.contract_version
    package.user_defined_metadata.update({**provenance.metadata(), "stage": stage.name, "precision": options.precision})
