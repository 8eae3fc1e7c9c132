"""Core ML: ML Programs (``.mlpackage``), and how they run.

Runtime: Core ML on macOS; anywhere else the reference evaluator of `mil`.
Converter: coremltools 9.0 from a ``torch.export`` graph - https://apple.github.io/coremltools/docs-guides/
Limits: static shapes; one prompt a call. coremltools 9.0 says that it is tested up to torch 2.7; what it makes of newer
ones is what the parity judge is for.
"""

import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from lightsam.errors import ContractError, ExportError, UsageError
from lightsam.stages import Arrays, Stage, TensorSpec

from .base import (
    ExportOptions,
    LoadedStage,
    Observe,
    Precision,
    Provenance,
    RunOptions,
    Session,
    Value,
    first_line,
    static_shapes,
)
from .quiet import import_quietly, redirect_output_to_log

if TYPE_CHECKING:
    from .mil.program import SavedProgram

logging.getLogger("coremltools").setLevel(logging.ERROR)

NAME = "coreml"
REQUIRES = ("coremltools",)
PRECISIONS: tuple[Precision, ...] = ("float16", "float32", "float16-safe")
OPTIONS = ("point_slots", "minimum_deployment_target", "image_input", "float32_operations")
DYNAMIC_PROMPTS = False

OLDEST_TARGET = "iOS16"
"""The first whose programs take and return float16 arrays."""
_IMAGE = "image"
"""dtype of an image that is taken as an 8-bit image."""
UNITS = ("ALL", "CPU_AND_GPU", "CPU_AND_NE", "CPU_ONLY")
NOT_HERE = "Core ML runs on macOS alone: the evaluator that judges its files elsewhere is no stopwatch"

# coremltools merges a norm's scale and shift into a batch_norm of variance 1, whose epsilon of 1e-5 then shrinks every
# value by 5e-6: an error of its own, as large as all of float32's rounding together.
_LEFT_OUT_PASSES = ("common::fuse_elementwise_to_batchnorm",)


def deployment_targets() -> list[str]:
    """Names of the minimum deployment targets that the installed coremltools knows, oldest first."""
    coremltools = import_quietly("coremltools")
    names = [target.name for target in coremltools.target]
    return names[names.index(OLDEST_TARGET) :]


def file_name(stage: str) -> str:
    """Every stage has a package of its own."""
    return f"{stage}.mlpackage"


def check_options(options: ExportOptions) -> None:
    """Refuse what this format cannot do, before any work.

    Raises:
        UsageError: for a deployment target that is not known.
    """
    targets = deployment_targets()
    if options.minimum_deployment_target not in targets:
        raise UsageError(
            f"there is no minimum deployment target {options.minimum_deployment_target!r}; choose from: "
            f"{', '.join(targets)}"
        )


def interface(stage: Stage, options: ExportOptions) -> Stage:
    """Static shapes; embeddings pass between the stages in their own precision, the image as an image or an array."""

    def adapt(spec: TensorSpec) -> TensorSpec:
        if spec.name == "image" and options.image_input == "image":
            return replace(spec, dtype=_IMAGE)
        if spec.name == "image_embeddings":
            return replace(spec, dtype="float32" if options.precision == "float32" else "float16")
        return spec

    stage = static_shapes(stage)
    return replace(stage, inputs=tuple(map(adapt, stage.inputs)), outputs=tuple(map(adapt, stage.outputs)))


def export(stages: Sequence[Stage], path: Path, options: ExportOptions, provenance: Provenance) -> None:
    """Convert a stage and save it as the package ``path``.

    Raises:
        ExportError: with the converter's own message.
    """
    coremltools = import_quietly("coremltools")
    (stage,) = stages
    specs = interface(stage, options)
    kept = {name.removeprefix(f"{stage.name}/") for name in options.float32_operations}
    try:
        with redirect_output_to_log(NAME):
            package = coremltools.convert(
                trace(stage),
                inputs=[_input_type(spec) for spec in specs.inputs],
                outputs=[coremltools.TensorType(name=s.name, dtype=np.dtype(s.dtype).type) for s in specs.outputs],
                convert_to="mlprogram",
                minimum_deployment_target=coremltools.target[options.minimum_deployment_target],
                compute_precision=(
                    coremltools.precision.FLOAT32
                    if options.precision == "float32"
                    else coremltools.transform.FP16ComputePrecision(op_selector=_float16_selector(kept))
                ),
                pass_pipeline=_pipeline(),
                skip_model_load=True,
            )
            _describe(package, stage, options, provenance)
            package.save(str(path))
    # coremltools raises whatever its passes raise, up to AssertionError.
    except Exception as error:
        raise ExportError(
            f"coremltools could not convert or save the {stage.name} of {provenance.model}: {first_line(error)}"
        ) from error


def trace(stage: Stage) -> torch.export.ExportedProgram:
    """The graph that a package is converted from, and that the names inside it come from."""
    folded = stage.folded()
    return torch.export.export(folded.module, folded.example_tensors(), strict=False).run_decompositions({})


def observe(path: Path, inputs: Mapping[str, np.ndarray], each: Observe, numerics: str = "declared") -> None:
    """Evaluate a package and show every float inside it, in the order of the program.

    Raises:
        ContractError: if the package is damaged.
    """
    from .mil import Evaluator, Numerics

    evaluator = Evaluator(path, cast(Numerics, numerics))
    images = _image_inputs(evaluator.program.specification)

    def show(op_type: str, name: str, result: torch.Tensor) -> None:
        if result.is_floating_point():
            each(Value(op_type, name.replace("_cast_fp16", ""), result.numpy()))

    evaluator({name: _pixels(array) if name in images else array for name, array in inputs.items()}, show)


def load(path: Path, stage: str, how: RunOptions) -> LoadedStage:
    """Read a package back: by Core ML on macOS, elsewhere by the evaluator.

    Raises:
        ContractError: if the package is damaged, or was not exported by lightsam.
        UsageError: for compute units or numerics that do not exist.
    """
    from .mil import NUMERICS, Evaluator, Numerics
    from .mil.program import read_program

    for name, value, allowed in (
        ("compute units", how.compute_units, UNITS),
        ("numerics", how.numerics, NUMERICS),
    ):
        if value not in allowed:
            raise UsageError(f"there are no {name} {value!r}; choose from: {', '.join(allowed)}")
    program = read_program(path)
    _check_interface(path, program)
    metadata = program.metadata
    provenance = Provenance.from_metadata(metadata, str(path))
    if platform.system() == "Darwin":
        return LoadedStage.of(start(path, stage, how), metadata.get("stage", ""), provenance)
    evaluator = Evaluator(program, cast(Numerics, how.numerics))
    image_inputs = _image_inputs(program.specification)

    def run(inputs: Mapping[str, np.ndarray]) -> Arrays:
        return evaluator({name: _pixels(a) if name in image_inputs else a for name, a in inputs.items()})

    judge = f"lightsam evaluator, {how.numerics} numerics"
    return LoadedStage(metadata.get("stage", ""), run, provenance, judge)


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


def start(path: Path, stage: str, how: RunOptions) -> Session:
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
        model = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit[how.compute_units])
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

    return Session(prepare, f"Core ML of macOS {platform.mac_ver()[0]}", how.compute_units)


def _pixels(image: np.ndarray) -> np.ndarray:
    """What an 8-bit image holds of (1, 3, S, S) values."""
    return np.rint(image).clip(0, 255).astype(np.float32)


def _input_type(spec: TensorSpec) -> Any:
    coremltools = import_quietly("coremltools")
    if spec.dtype == _IMAGE:
        return coremltools.ImageType(name=spec.name, shape=spec.shape, color_layout=coremltools.colorlayout.RGB)
    return coremltools.TensorType(name=spec.name, shape=spec.shape, dtype=np.dtype(spec.dtype).type)


def _pipeline() -> Any:
    coremltools = import_quietly("coremltools")
    pipeline = coremltools.PassPipeline.DEFAULT
    pipeline.remove_passes(_LEFT_OUT_PASSES)
    return pipeline


def _float16_selector(kept: set[str]) -> Callable[[Any], bool]:
    """Select everything but ``kept`` and the point encoding: sines of large angles lose their phase in float16.

    A coordinate of 1000.5 is 1000 or 1001 in float16, and the angle that it becomes is multiplied by 2 pi and a
    frequency before its sine is taken. So sin, cos and all that leads to them stay in float32.
    """
    angles: set[str] | None = None

    def may_be_float16(op: Any) -> bool:
        nonlocal angles
        if angles is None:  # the converter asks about one operation after the other: find them once
            angles = _leading_to_angles(op.enclosing_block)
        return op.name not in angles and not any(output.name in kept for output in op.outputs)

    return may_be_float16


def _leading_to_angles(block: Any) -> set[str]:
    """Names of the sines, the cosines and every operation that they depend on."""
    pending = [op for op in block.operations if op.op_type in ("sin", "cos")]
    names: set[str] = set()
    while pending:
        op = pending.pop()
        if op.name not in names:
            names.add(op.name)
            pending += [var.op for var in op.get_flattened_inputs() if var.op is not None]
    return names


def _describe(package: Any, stage: Stage, options: ExportOptions, provenance: Provenance) -> None:
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
