"""Core AI, Apple's successor of Core ML for neural networks (``.aimodel``), and how it runs. Experimental.

Runtime: Apple's own, from the wheel of coreai-core, on Linux too; slow there. Devices from iOS 27 and macOS 27 on.
Converter: coreai-torch - https://developer.apple.com/documentation/coreai
Limits: static shapes; one prompt a call; computed in float32, because the runtime that judges takes minutes for one
float16 answer. Weights may have fewer bits, by coreai-opt; its w8a8 loses MobileSAM's embeddings (9.6 dB).
Everything is in beta, and files may have to be made anew for a release.
Known fault of coreai-core 1.0.0b3: the product of a matrix with a flattened map whose channels, height and width are
all equal is wrong. No size that the models run at meets it; at an image size of 128 the masks would be noise, which the
judge refuses.
"""

import asyncio
import hashlib
import platform
import threading
import warnings
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from lightsam.errors import ContractError, ExportError
from lightsam.stages import Arrays, Stage
from lightsam_exporters.provenance import Provenance

from .base import Format, StageInputs, first_line, no_inputs, static_shapes
from .gate import EIGHT_BITS, FLOAT32, FOUR_BITS, MEASURED, SIX_BITS
from .listing import Graph
from .options import Options, decoder_precision, point_slots, precision
from .quiet import redirect_output_to_log
from .running import LoadedStage, RunOptions, Session

ENTRY_POINTS = {"encoder": "encode", "decoder": "decode"}
_WEIGHTS = {"w8": "w8", "palette6": "w6", "palette4": "w4"}
"""Precisions with fewer bits a weight, and coreai-opt's presets for them."""
_WIDE = ("16", "32", "64")
"""Bits of integers that are no weights."""
_T = TypeVar("_T")
_PATIENCE_S = 600
"""Seconds for the runtime to load a model or to answer: ten times what the slowest was seen to take."""


@dataclass(frozen=True, kw_only=True)
class CoreAIOptions(Options):
    """What can be asked of a file."""

    compressed = tuple(_WEIGHTS)
    beside_compressed = "float32"

    precision: str = precision("float32", *_WEIGHTS)
    decoder_precision: str = decoder_precision("float32", *_WEIGHTS)
    point_slots: int | None = point_slots()


class CoreAI(Format[CoreAIOptions]):
    """See the head of this module."""

    name = "coreai"
    title = "Core AI"
    requires = ("coreai_torch", "coreai", "coreai_opt")
    options = CoreAIOptions
    units = ("CPU",)
    runtime = "coreai.authoring.asset"
    gates = {  # noqa: RUF012  # read only
        "float32": replace(FLOAT32, psnr_db=105, origin=f"{MEASURED}108.3 dB, IoU 0.99998"),
        "w8": replace(
            EIGHT_BITS,
            origin="measured as the others, beside a decoder in float32: 46.1 dB, IoU 0.9241 (1.0 but for pixels "
            "within rounding)",
        ),
        "palette6": replace(SIX_BITS, origin="that of Core ML; measured on the encoder and one photograph: 43.4 dB"),
        "palette4": replace(FOUR_BITS, origin="that of Core ML; measured on the encoder and one photograph: 28.4 dB"),
    }

    def file_name(self, stage: str) -> str:
        """Both stages are entry points of one file."""
        return "model.aimodel"

    def interface(self, stage: Stage, options: CoreAIOptions) -> Stage:
        """Static shapes."""
        return static_shapes(stage)

    def export(
        self,
        stages: Sequence[Stage],
        path: Path,
        options: CoreAIOptions,
        provenance: Provenance,
        inputs: StageInputs = no_inputs,
    ) -> None:
        """Convert both stages and save them as the entry points of ``path``.

        Raises:
            ExportError: with the converter's own message.
        """
        try:
            with redirect_output_to_log(self.name):
                from coreai_torch import TorchConverter, get_decomp_table

                converter = TorchConverter(mode=TorchConverter.Mode.RELEASE)
                for stage in stages:
                    folded = self.graph(stage, options)
                    example = folded.example_tensors()
                    module = _compressed(folded.module, example, options.of_stage(stage.name).precision)
                    graph = torch.export.export(module, example, strict=False)
                    converter.add_exported_program(
                        graph.run_decompositions(get_decomp_table()),
                        input_names=[spec.name for spec in stage.inputs],
                        output_names=[spec.name for spec in stage.outputs],
                        entrypoint_name=ENTRY_POINTS[stage.name],
                    )
                converter.to_coreai(entrypoints=None).save_asset(path, _metadata(stages, options, provenance))
        # coreai-torch raises whatever its passes raise.
        except Exception as error:
            raise ExportError(
                f"coreai-torch could not convert or save {provenance.model}: {first_line(error)}"
            ) from error

    def load(self, path: Path, stage: str, how: RunOptions) -> LoadedStage:
        """Read an entry point back, by Apple's runtime.

        Raises:
            ContractError: if the file is damaged, or was not exported by lightsam.
        """
        _check_program(path)
        try:
            asset = _open(path)
            custom = asset.metadata.creator_defined_metadata
            metadata = {key: str(value) for key, value in custom.items()}
            provenance = Provenance.from_metadata(metadata, str(path))
            return LoadedStage.of(_started(asset, stage), stage, provenance)
        except ContractError:
            raise
        # The runtime's own errors are RuntimeError, those of its bytecode reader are others.
        except Exception as error:
            raise ContractError(f"{path} cannot be read as Core AI: {first_line(error)}") from error

    def start(self, path: Path, stage: str, how: RunOptions) -> Session:
        """Bring an entry point into Apple's runtime; the file must have been loaded once, which checks it.

        Raises:
            ContractError: if it refuses the file.
        """
        try:
            return _started(_open(path), stage)
        except Exception as error:  # as in `load`
            raise ContractError(f"{path} cannot be read as Core AI: {first_line(error)}") from error

    def listing(self, path: Path) -> tuple[Graph, ...]:
        """No operations: of them a file tells the number of each kind alone, which becomes a note."""
        _check_program(path)
        try:
            counts = dict(_open(path).summary(include_statistics=True).operation_distribution)
        except Exception as error:  # as in `load`
            raise ContractError(f"{path} cannot be read as Core AI: {first_line(error)}") from error
        counted = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        notes = (
            "Core AI tells of its files how often each operation occurs, and neither order nor shapes: no rule can be "
            "asked, and no memory counted",
            f"it counts {counted}",
        )
        return (Graph("", self.name, notes=notes),)

    def stored_weights(self, path: Path) -> dict[str, int]:
        """Of both stages together, as Core AI counts them; scales and palettes are among the floats."""
        _check_program(path)
        try:
            counts = dict(_open(path).summary(include_statistics=True).storage_types)
        except Exception as error:  # as in `load`
            raise ContractError(f"{path} cannot be read as Core AI: {first_line(error)}") from error
        # Larger integers are shapes and axes.
        return {
            dtype.lower(): count
            for dtype, count in counts.items()
            if dtype.startswith("Float") or dtype[-2:] not in _WIDE
        }

    def why_not_unasked(self) -> str:
        """Slow where it is not Apple's own."""
        if platform.system() == "Darwin":
            return ""
        return "Apple's runtime for Linux takes many seconds a call: time it by --format coreai"


FORMAT = CoreAI()


def _compressed(module: nn.Module, example: tuple[torch.Tensor, ...], precision: str) -> nn.Module:
    """A module whose weights have the bits of a precision; in float32 the module itself."""
    if precision not in _WEIGHTS:
        return module
    from coreai_opt.palettization import KMeansPalettizer, KMeansPalettizerConfig
    from coreai_opt.quantization import Quantizer, QuantizerConfig

    kinds = (Quantizer, QuantizerConfig) if precision == "w8" else (KMeansPalettizer, KMeansPalettizerConfig)
    maker, config = kinds
    with torch.no_grad():
        compressing = maker(module, getattr(config.presets, _WEIGHTS[precision])())
        compressing.prepare(example)
        compressed: nn.Module = compressing.finalize()
    return compressed


def _metadata(stages: Sequence[Stage], options: CoreAIOptions, provenance: Provenance) -> Any:
    from coreai.runtime import AIModelAssetMetadata

    metadata = AIModelAssetMetadata()
    metadata.author = provenance.author
    metadata.license = provenance.license_line
    metadata.model_description = f"{provenance.headline} Entry points: encode, decode; {options.precision}."
    for key, value in {**provenance.metadata(), "precision": options.precision}.items():
        metadata.set_custom(key, value)
    for stage in stages:
        for spec in (*stage.inputs, *stage.outputs):
            metadata.set_custom(f"{ENTRY_POINTS[stage.name]}.{spec.name}", spec.meaning)
    return metadata


def _open(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from coreai.authoring.asset import AIModelAsset
    return AIModelAsset.load(path)


def _started(asset: Any, stage: str) -> Session:
    runner = _Runner(asset, ENTRY_POINTS[stage])
    return Session(lambda inputs: partial(runner, inputs), f"Core AI {version('coreai-core')}", FORMAT.units[0])


def _check_program(path: Path) -> None:
    """Refuse a damaged program, at which the runtime would abort the whole process."""
    try:
        found, recorded = hashlib.sha256((path / "main.mlirb").read_bytes()), (path / "main.hash").read_bytes()
    except OSError as error:
        raise ContractError(f"{path} cannot be read as Core AI: {error}") from error
    if found.digest() != recorded:
        raise ContractError(f"{path} is damaged: its program is not the one of its own hash")


class _Runner:
    """One entry point, kept loaded; the runtime is asynchronous, and the caller may have an event loop of its own."""

    def __init__(self, asset: Any, entry_point: str) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_serve, args=(self._loop,), daemon=True).start()
        stack = AsyncExitStack()
        weakref.finalize(self, _close, self._loop, stack)
        with redirect_output_to_log(FORMAT.name):
            self._function = self._wait(_enter(stack, asset, entry_point))

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)
        except TimeoutError as error:
            raise ExportError(f"Core AI's runtime gave no answer within {_PATIENCE_S} s: run it again alone") from error

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        return self._wait(_call(self._function, inputs))


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and give its file descriptors back."""
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _enter(stack: AsyncExitStack, asset: Any, entry_point: str) -> Any:
    model = await stack.enter_async_context(asset.executable())
    return model.load_function(entry_point)


async def _call(function: Any, inputs: Mapping[str, np.ndarray]) -> Arrays:
    from coreai.runtime import NDArray

    given = {name: NDArray(np.ascontiguousarray(array, np.float32)) for name, array in inputs.items()}
    outputs = await function(given)
    return {name: np.array(output.numpy()) for name, output in outputs.items()}  # a copy: theirs is a view


def _close(loop: asyncio.AbstractEventLoop, stack: AsyncExitStack) -> None:
    asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(_PATIENCE_S)
    loop.call_soon_threadsafe(loop.stop)
