"""PyTorch itself, in the ways that it is run in: what exported files have to beat.

``float32`` is the model as its authors wrote it, eager. The float16 modes are folded as for an export, with the
image's normalisation and the prompt's encoding left in float32, and have their channels last, which half-precision
kernels of GPUs want: eager, compiled by ``torch.compile``
(https://docs.pytorch.org/docs/stable/torch.compiler.html), or recorded once and replayed as a CUDA graph (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightsam.errors import UsageError
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES, Arrays, Stage, split
from lightsam.weights.checkpoints import load_model
from lightsam_exporters.formats.half import to_float16
from lightsam_exporters.formats.onnx import FORMAT as ONNX
from lightsam_exporters.formats.running import LoadedStage, Session
from lightsam_exporters.parity.exports import JudgeConfig, judge_pair
from lightsam_exporters.parity.measurement import ParityReport
from lightsam_exporters.parity.reference import Reference
from lightsam_exporters.parity.suite import QUICK, load_suite
from lightsam_exporters.provenance import Provenance

NAME = "torch"
UNITS = ("CPU", "CUDA", "MPS")
EAGER, CHANNELS_LAST, COMPILED, CUDA_GRAPH = "float32", "float16", "float16-compiled", "float16-cuda-graph"
REFERENCE = (EAGER, "CPU")
"""The mode and unit that everything else is compared with."""
MODES = (EAGER, CHANNELS_LAST, COMPILED, CUDA_GRAPH)


def modes_on(unit: str) -> tuple[str, ...]:
    """The modes that are worth timing on a unit: half precision is emulated on most CPUs."""
    if unit == "CUDA":
        return MODES
    return (EAGER,) if unit == "CPU" else (EAGER, CHANNELS_LAST)


def why_not(mode: str, unit: str) -> str:
    """Why a mode cannot be had on a unit, in a sentence; empty if it can."""
    return f"a CUDA graph needs CUDA, not {unit}" if mode == CUDA_GRAPH and unit != "CUDA" else ""


def is_here(unit: str) -> bool:
    """Whether torch finds such a device."""
    return {"CPU": True, "CUDA": torch.cuda.is_available(), "MPS": torch.backends.mps.is_available()}[unit]


class TorchStage:
    """One stage of a model on a device, in one of the modes."""

    def __init__(self, checkpoint: Path, model: str, image_size: int, stage: str, unit: str, mode: str) -> None:
        """Load it.

        Raises:
            CheckpointError: if the checkpoint does not fit the model.
            UsageError: for a mode that the unit does not have.
        """
        if why_not(mode, unit):
            raise UsageError(why_not(mode, unit))
        self.device = torch.device(unit.lower())
        loaded = load_model(model, weights=str(checkpoint), image_size=image_size, accept_license=True)
        self.stage = split(loaded.sam)[stage]
        if mode != EAGER:
            self.stage = in_half(self.stage)
        self.module: Callable[..., Any] = self.stage.module.to(self.device)
        if mode == COMPILED:
            self.module = torch.compile(self.stage.module)
        elif mode == CUDA_GRAPH:
            self.module = Graphs(self.stage.module)
        self.on_device = Session(self.prepare, f"PyTorch {torch.__version__}", unit)
        """With the inputs on the device already."""
        self.session = self.on_device._replace(prepare=lambda inputs: partial(self._run, inputs))
        """From arrays to arrays, with the way to the device and back."""

    def prepare(self, inputs: Mapping[str, np.ndarray]) -> Callable[[], Any]:
        """A call with these inputs, which lie on the device already; it returns when the device is done."""
        tensors = self._tensors(inputs)

        @torch.inference_mode()
        def call() -> Any:
            result = self.module(**tensors)
            self._wait()
            return result

        return call

    @torch.inference_mode()
    def _run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        found = self.module(**self._tensors(inputs))
        outputs = found if isinstance(found, tuple) else (found,)
        return {spec.name: output.cpu().numpy() for spec, output in zip(self.stage.outputs, outputs, strict=True)}

    def _tensors(self, inputs: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        return {name: torch.from_numpy(np.ascontiguousarray(array)).to(self.device) for name, array in inputs.items()}

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        elif self.device.type == "mps":
            torch.mps.synchronize()


def in_half(stage: Stage) -> Stage:
    """A stage that computes in float16 with its channels last; inputs and outputs stay float32."""
    half = to_float16(stage.folded())
    return replace(half, module=half.module.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def judged(checkpoint: Path, model: str, image_size: int, unit: str, mode: str) -> ParityReport:
    """How exact a mode is on a unit, by the quick suite and the gates of ONNX in that precision."""
    loaded = load_model(model, weights=str(checkpoint), image_size=image_size, accept_license=True)
    reference = Reference(loaded)
    provenance = Provenance.of(find_model(model), image_size, None, reference.weights)
    pair = {}
    for stage in STAGE_NAMES:
        session = TorchStage(checkpoint, model, image_size, stage, unit, mode).session
        pair[stage] = LoadedStage.of(session, stage, provenance)
    options = ONNX.options(precision="float32" if mode == EAGER else "float16")
    return judge_pair(reference, pair, ONNX, options, JudgeConfig(load_suite(QUICK)))


class Graphs:
    """A module recorded as a CUDA graph, once for every shape of its inputs."""

    def __init__(self, module: Callable[..., Any]) -> None:
        self._module = module
        self.recorded: dict[tuple[torch.Size, ...], tuple[torch.cuda.CUDAGraph, dict[str, Tensor], Any]] = {}

    def __call__(self, **inputs: Tensor) -> Any:
        key = tuple(tensor.shape for tensor in inputs.values())
        if key not in self.recorded:
            self.recorded[key] = self._record(inputs)
        graph, buffers, outputs = self.recorded[key]
        for name, tensor in inputs.items():
            buffers[name].copy_(tensor)
        graph.replay()
        return outputs

    def _record(self, inputs: Mapping[str, Tensor]) -> tuple[torch.cuda.CUDAGraph, dict[str, Tensor], Any]:
        buffers = {name: tensor.clone() for name, tensor in inputs.items()}
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries choose their kernels and allocate
            for _ in range(3):
                self._module(**buffers)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self._module(**buffers)
        return graph, buffers, outputs
