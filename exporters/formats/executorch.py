"""ExecuTorch, PyTorch's runtime for devices (``.pte``), and how it runs: by XNNPACK, or on Apple's devices by Core ML.

Runtime and converter: ExecuTorch - https://docs.pytorch.org/executorch
Limits: static shapes; one prompt a call. A file goes by order, not by names: its constant methods ``inputs`` and
``outputs`` say the order. Each stage has a file of its own, whose method is ``forward``, as ExecuTorch's shorthand on
devices takes it: an app can drop the encoder and keep the decoder, and either may come from another format.
A delegate runs what it can of a graph, and ExecuTorch's own kernels the rest: XNNPACK (the default, everywhere) takes
no layer norm and no cast. Core ML takes the whole graph as one ML Program, or the export fails. ExecuTorch runs that on
macOS alone; elsewhere the program is taken out of the file and judged by the evaluator of ML Programs.
"""

import json
import operator
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lightsam.errors import ContractError, ExportError, UsageError
from lightsam.stages import Arrays, Stage
from lightsam_exporters.provenance import Provenance

from .base import Delegation, Format, Share, StageInputs, first_line, no_inputs, shares, static_shapes
from .executorch_compression import count_weights, is_scaling, quantized
from .gate import FLOAT16, FLOAT32, INTEGERS, MEASURED, MEASURED_COMPRESSED
from .half import to_float16
from .listing import Graph
from .options import Options, decoder_precision, option, point_slots, precision
from .quiet import redirect_output_to_log
from .running import LoadedStage, RunOptions, Session

METHOD = "forward"
"""The one that computes; every other method of a file is a constant."""
_DELEGATES = {"xnnpack": "XNNPACK", "coreml": "Core ML"}
_COREML = "CoreMLBackend"
"""Of ExecuTorch, by its own name."""
_OLDEST_TARGET = "iOS16"
"""Of a Core ML program, as of Core ML's own packages."""
_W8A8 = "w8a8"
_KERNEL = "native_call_"
"""Before the names of ExecuTorch's own kernels in its traces."""
_NOT_HERE = "holds a Core ML program, which ExecuTorch runs on macOS alone: time it there, or export with XNNPACK"


_PARSED: dict[str, Callable[[str], Any]] = {
    "inputs": lambda text: text.split(","),
    "outputs": lambda text: text.split(","),
    "own_operations": json.loads,
    "stored_weights": json.loads,
}
"""Constant methods that hold more than a text or a number."""


@dataclass(frozen=True, kw_only=True)
class ExecuTorchOptions(Options):
    """What can be asked of a file."""

    compressed = (_W8A8,)

    precision: str = precision("float16", "float32", _W8A8)
    decoder_precision: str = decoder_precision("float16", "float32", _W8A8)
    point_slots: int | None = point_slots()
    backend: str = option("xnnpack", "What runs it: xnnpack (CPU), or coreml (Apple).", choices=tuple(_DELEGATES))

    def check(self) -> None:
        """Refuse Core ML where its converter is not installed, and precisions that it has a format of its own for."""
        if self.backend == "coreml" and self.precision in self.compressed:
            raise UsageError(f"--backend coreml has no {self.precision}: take xnnpack, or export with --to coreml")
        if self.backend == "coreml" and find_spec("coremltools") is None:
            raise UsageError("--backend coreml needs coremltools, which is not installed: take xnnpack")


class ExecuTorch(Format[ExecuTorchOptions]):
    """See the head of this module."""

    name = "executorch"
    title = "ExecuTorch"
    requires = ("executorch",)
    options = ExecuTorchOptions
    units = ("CPU",)
    runtime = "executorch.runtime"
    threaded = True
    devices = ("xnnpack", "coreml-gpu", "neural-engine")
    gates = {  # noqa: RUF012  # read only
        "float32": replace(FLOAT32, psnr_db=105, origin=f"{MEASURED}107.8 dB, IoU 1.0"),
        "float16": replace(FLOAT16, origin=f"{MEASURED}54.9 dB, IoU 0.9945 (1.0 but for pixels within rounding)"),
        _W8A8: replace(
            INTEGERS, origin=f"{MEASURED_COMPRESSED}37.9 dB, IoU 0.8627 (1.0 but for pixels within rounding)"
        ),
    }

    def file_name(self, stage: str) -> str:
        """Every stage has a file of its own."""
        return f"{stage}.pte"

    def form(self, options: ExecuTorchOptions) -> str:
        """That of the delegate's own format, where it has one."""
        return "coreml" if options.backend == "coreml" else self.name

    def interface(self, stage: Stage, options: ExecuTorchOptions) -> Stage:
        """Static shapes; float32 in every precision."""
        return static_shapes(stage)

    def export(
        self,
        stages: Sequence[Stage],
        path: Path,
        options: ExecuTorchOptions,
        provenance: Provenance,
        inputs: StageInputs = no_inputs,
    ) -> None:
        """Convert a stage and save it as ``path``.

        Raises:
            ExportError: with the converter's own message.
        """
        (stage,) = stages
        try:
            with redirect_output_to_log(self.name):
                path.write_bytes(_converted(stage, options, provenance))
        # ExecuTorch raises whatever its passes raise.
        except Exception as error:
            raise ExportError(
                f"ExecuTorch could not convert or save the {stage.name} of {provenance.model}: {first_line(error)}"
            ) from error

    def load(self, path: Path, stage: str, how: RunOptions) -> LoadedStage:
        """Read a file back, by ExecuTorch; a Core ML program by the evaluator, where ExecuTorch has no Core ML.

        Raises:
            ContractError: if the file is damaged, or was not exported by lightsam.
            UsageError: for a unit that does not exist.
        """
        metadata = read_metadata(path)
        provenance = Provenance.from_metadata(metadata, str(path))
        if not _runs_here(metadata):
            judge = f"lightsam evaluator of the Core ML program inside, {how.numerics} numerics"
            run = _evaluated(path, metadata["outputs"], how)
            return LoadedStage(metadata["stage"], run, provenance, judge, simulated=True)
        return LoadedStage.of(self.start(path, stage, how), metadata["stage"], provenance)

    def start(self, path: Path, stage: str, how: RunOptions) -> Session:
        """Bring a stage into ExecuTorch.

        Raises:
            ContractError: if ExecuTorch refuses the file.
            UsageError: for a unit that does not exist, or a Core ML program anywhere but on macOS.
        """
        asked = how.unit or self.units[0]
        if asked not in self.units:
            raise UsageError(f"ExecuTorch has no unit {asked!r}; choose from: {', '.join(self.units)}")
        metadata = read_metadata(path, "backend", "inputs", "outputs")
        if not _runs_here(metadata):
            raise UsageError(f"{path} {_NOT_HERE}")
        method = _Method(path, how.threads)
        names, outputs = metadata["inputs"], metadata["outputs"]

        def prepare(inputs: Mapping[str, np.ndarray]) -> Callable[[], Arrays]:
            given = [torch.from_numpy(np.ascontiguousarray(inputs[name], np.float32)) for name in names]
            return lambda: {name: out.numpy() for name, out in zip(outputs, method(given), strict=True)}

        unit = self.units[0] if metadata["backend"] == "xnnpack" else _DELEGATES[metadata["backend"]]
        return Session(prepare, f"ExecuTorch {version('executorch')}", unit)

    def delegation(self, path: Path) -> Delegation:
        """As it was counted when the file was made, and as the file says."""
        metadata = read_metadata(path, "backend", "delegated_operations", "own_operations")
        return Delegation(_DELEGATES[metadata["backend"]], metadata["delegated_operations"], metadata["own_operations"])

    def stored_weights(self, path: Path) -> dict[str, int]:
        """As they were counted when the file was made, because what XNNPACK is given cannot be read back.

        Those of a Core ML program are counted in the program.
        """
        metadata = read_metadata(path, "backend", "stored_weights")
        if metadata["backend"] == "coreml":
            from .mil.compress import stored_weights

            with core_ml_package(path) as package:
                return stored_weights(package)
        found: dict[str, int] = metadata["stored_weights"]
        return found

    def listing(self, path: Path) -> tuple[Graph, ...]:
        """The methods that compute, and the ML Program inside of a file for Core ML."""
        from .executorch_listing import DELEGATE, read_graphs

        graphs = read_graphs(path)
        if all(one.type != f"{DELEGATE}{_COREML}" for graph in graphs for one in graph.operations):
            return graphs
        from .mil.listing import read_graphs as read_program

        with core_ml_package(path) as package:
            return (*graphs, *(replace(one, name="Core ML program inside") for one in read_program(package)))

    def residency(self, path: Path, unit: str, inputs: Mapping[str, np.ndarray]) -> list[Share]:
        """By ExecuTorch's own trace of the second of two runs, afterwards."""
        if unit not in self.units:
            raise UsageError(f"ExecuTorch has no unit {unit!r}; choose from: {', '.join(self.units)}")
        metadata = read_metadata(path, "backend", "inputs")
        if not _runs_here(metadata):
            raise UsageError(f"{path} {_NOT_HERE}")
        times = kernel_times(path, [inputs[name] for name in metadata["inputs"]])
        whole = sum(duration for _, _, duration in times) or 1.0
        return shares(
            (_DELEGATES["xnnpack"] if delegated else "ExecuTorch's kernels", duration / whole)
            for _, delegated, duration in times
        )


FORMAT = ExecuTorch()


def _converted(stage: Stage, options: ExecuTorchOptions, provenance: Provenance) -> bytes:
    """The content of a file."""
    from executorch.exir import EdgeProgramManager, to_edge_transform_and_lower

    folded = FORMAT.graph(stage, options)
    if options.precision == "float16" and options.backend == "xnnpack":  # coremltools chooses dtypes itself
        to_float16(folded)
    example = folded.example_tensors()
    module = quantized(folded.module, example) if options.precision == _W8A8 else folded.module
    program = torch.export.export(module, example, strict=False)
    if options.backend == "coreml":
        with _angles_in_float32():
            lowered = to_edge_transform_and_lower(program, partitioner=[_coreml_partitioner(options.precision)])
    else:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

        aten = torch.ops.aten
        if options.precision == "float16":
            kept = {aten.layer_norm.default: _layer_norm_in_float32, aten.gelu.default: _gelu_in_float32}
            program = program.run_decompositions(kept)
        lowered = to_edge_transform_and_lower(
            program, transform_passes=[_without_copies], partitioner=[XnnpackPartitioner()]
        )
    delegated = lowered.exported_program()
    taken, own = _counted(delegated.graph_module)
    facts = _facts(stage, options, provenance)
    facts.update(delegated_operations=taken, own_operations=json.dumps(own))
    facts.update(stored_weights=json.dumps(count_weights([delegated, *_inside(delegated.graph_module)])))
    # What stays outside the delegate is known only now, and no other way adds constants to a lowered program.
    return bytes(EdgeProgramManager(delegated, facts).to_executorch().buffer)


def _facts(stage: Stage, options: ExecuTorchOptions, provenance: Provenance) -> dict[str, Any]:
    """What the file says of itself: by constant methods."""
    return {
        **provenance.metadata(),
        "stage": stage.name,
        "precision": options.precision,
        "backend": options.backend,
        "description": f"{provenance.headline} Stage: {stage.name}, {options.precision}. {provenance.license_line}",
        "license_line": provenance.license_line,
        "inputs": ",".join(spec.name for spec in stage.inputs),
        "outputs": ",".join(spec.name for spec in stage.outputs),
        **{f"meaning_of_{spec.name}": spec.meaning for spec in (*stage.inputs, *stage.outputs)},
    }


def _coreml_partitioner(precision: str) -> Any:
    """Takes the whole graph, or raises."""
    import coremltools
    from executorch.backends.apple.coreml.compiler import CoreMLBackend
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=coremltools.target[_OLDEST_TARGET],
        compute_precision=coremltools.precision(precision),
    )
    return CoreMLPartitioner(compile_specs=specs, lower_full_graph=True)


@contextmanager
def _angles_in_float32() -> Iterator[None]:
    """Keep the point encoding of a float16 program in float32: rounded, it costs a decoder 20 dB.

    ExecuTorch's compile specs know one precision for a whole program, and coremltools one for each operation: so the
    place where a spec becomes that of coremltools is another meanwhile.
    """
    import coremltools
    from executorch.backends.apple.coreml.compiler import CoreMLBackend

    from .mil.kept import float16_selector

    def chosen(specs: list[Any]) -> Any:
        if original(specs) == coremltools.precision.FLOAT32:
            return coremltools.precision.FLOAT32
        return coremltools.transform.FP16ComputePrecision(op_selector=float16_selector(set()))

    original = CoreMLBackend.model_compute_precision_from_compile_specs
    CoreMLBackend.model_compute_precision_from_compile_specs = staticmethod(chosen)
    try:
        yield
    finally:
        CoreMLBackend.model_compute_precision_from_compile_specs = staticmethod(original)


def _layer_norm_in_float32(
    x: Tensor, shape: list[int], weight: Tensor, bias: Tensor, eps: float = 1e-5, cudnn: bool = False
) -> Tensor:
    """ExecuTorch's kernel adds squares up in the dtype of its input, and float16 overflows above 255."""
    if x.dtype == torch.float32:
        return NotImplemented
    return F.layer_norm(x.float(), shape, weight.float(), bias.float(), eps).to(x.dtype)


def _gelu_in_float32(x: Tensor, *, approximate: str = "none") -> Tensor:
    """XNNPACK has no GELU in float16, and ExecuTorch's own kernel takes longer than all else together."""
    return NotImplemented if x.dtype == torch.float32 else F.gelu(x.float(), approximate=approximate).to(x.dtype)


def _without_copies(graph_module: torch.fx.GraphModule) -> Any:
    """Drop expansions to the same shape, and view instead of squeezing: XNNPACK leaves both to slow kernels."""
    from executorch.exir.dialects._ops import ops
    from torch.fx.passes.infra.pass_base import PassResult

    aten = ops.edge.aten
    for node in list(graph_module.graph.nodes):
        if node.target == aten.expand_copy.default and node.args[0].meta["val"].shape == node.meta["val"].shape:
            node.replace_all_uses_with(node.args[0])
            graph_module.graph.erase_node(node)
        elif node.target == aten.squeeze_copy.dims:
            node.target, node.args = aten.view_copy.default, (node.args[0], list(node.meta["val"].shape))
    graph_module.recompile()
    return PassResult(graph_module, True)


def _inside(graph_module: torch.fx.GraphModule) -> list[Any]:
    """What delegates took of a graph, as programs."""
    from executorch.exir.lowered_backend_module import get_lowered_submodules

    return [one.original_module for _, one, _ in get_lowered_submodules(graph_module)]


def _counted(graph_module: torch.fx.GraphModule) -> tuple[int, dict[str, int]]:
    """How many operations a delegate took of a graph, and by name how many it left."""
    from executorch.exir.delegate import executorch_call_delegate

    def called(graph: torch.fx.Graph) -> list[str]:
        names = [
            str(getattr(node.target, "_name", node.target)).removesuffix(".default")
            for node in graph.nodes
            if node.op == "call_function" and node.target not in (operator.getitem, executorch_call_delegate)
        ]
        return [name for name in names if not is_scaling(name)]

    inside = [called(program.graph) for program in _inside(graph_module)]
    return sum(map(len, inside)), dict(Counter(called(graph_module.graph)).most_common())


def read_metadata(path: Path, *names: str) -> dict[str, Any]:
    """What `export` wrote about a file: its constant methods.

    Args:
        path: of the file.
        names: of those that are wanted, because each costs a call; none for all.

    Raises:
        ContractError: if ExecuTorch refuses the file, or it was not exported by lightsam.
    """
    try:
        program = _program(path)
        there = program.method_names - {METHOD}
        facts = {name: program.load_method(name).execute([])[0] for name in there if not names or name in names}
    except Exception as error:  # of several kinds
        raise ContractError(f"{path} cannot be read as ExecuTorch: {first_line(error)}") from error
    for name in names or _PARSED:
        if name not in facts:
            raise ContractError(f"{path} was not exported by lightsam: it has no method {name!r}")
    return {**facts, **{name: parse(facts[name]) for name, parse in _PARSED.items() if name in facts}}


def _program(path: Path, **how: Any) -> Any:
    with redirect_output_to_log(FORMAT.name):
        from executorch.runtime import Runtime

        return Runtime.get().load_program(path, **how)


def _runs_here(metadata: Mapping[str, Any]) -> bool:
    from executorch.runtime import Runtime

    return metadata["backend"] != "coreml" or Runtime.get().backend_registry.is_available(_COREML)


class _Method:
    """A program's method, with a number of threads of its own.

    ExecuTorch has one pool of threads for all, and a delegate keeps that which was there when it was loaded. So a
    method is loaded anew when it is called after the pool has changed.
    """

    _pool = 0
    """Counts the pools that this process has had."""
    _threads: int | None = None
    """Of the pool, where it is not ExecuTorch's own choice."""
    _own_choice = 0

    def __init__(self, path: Path, threads: int | None) -> None:
        self._path, self._wanted = path, threads
        self._load()

    def _load(self) -> None:
        try:
            with redirect_output_to_log(FORMAT.name):
                self._loaded_for = _Method._pool_of(self._wanted)
                self._program = _program(self._path)  # kept: a method does not hold its program
                self._method = self._program.load_method(METHOD)
        except Exception as error:  # of several kinds
            raise ContractError(f"{self._path} cannot be read as ExecuTorch: {first_line(error)}") from error

    @classmethod
    def _pool_of(cls, threads: int | None) -> int:
        """The number of the pool with so many threads, which takes the place of another."""
        from executorch.extension.pybindings import portable_lib

        cls._own_choice = cls._own_choice or portable_lib._threadpool_get_thread_count()
        if threads != cls._threads:
            portable_lib._unsafe_reset_threadpool(threads or cls._own_choice)
            cls._threads, cls._pool = threads, cls._pool + 1
        return cls._pool

    def __call__(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        if self._loaded_for != _Method._pool or self._wanted != _Method._threads:
            self._load()
        outputs: Sequence[Tensor] = self._method.execute(inputs)
        return outputs


@contextmanager
def core_ml_package(path: Path) -> Iterator[Path]:
    """The package in a file, in a temporary folder.

    Raises:
        ContractError: if there is none.
    """
    from executorch.backends.apple.coreml import executorchcoreml
    from executorch.exir._serialize._program import _extract_delegate_payload

    with tempfile.TemporaryDirectory() as folder:
        payload = _extract_delegate_payload(path.read_bytes(), _COREML)
        if payload is None or not executorchcoreml.unflatten_directory_contents(payload, folder):
            raise ContractError(f"{path} holds no Core ML program")
        (package,) = Path(folder).rglob("*.mlpackage")
        yield package


def _evaluated(path: Path, outputs: Sequence[str], how: RunOptions) -> Callable[[Mapping[str, np.ndarray]], Arrays]:
    """The Core ML program in a file, run by the evaluator."""
    from .mil import NUMERICS, Evaluator

    if how.numerics not in NUMERICS:
        raise UsageError(f"there are no numerics {how.numerics!r}; choose from: {', '.join(NUMERICS)}")
    with core_ml_package(path) as package:
        evaluator = Evaluator(package, how.numerics)
    return lambda inputs: dict(zip(outputs, evaluator(inputs).values(), strict=True))


def kernel_times(path: Path, inputs: Sequence[np.ndarray]) -> list[tuple[str, bool, float]]:
    """Name, whether a delegate ran it, and milliseconds, of every operation of one run, by ExecuTorch's own trace.

    Raises:
        ContractError: if the file is damaged.
    """
    with redirect_output_to_log(FORMAT.name), tempfile.TemporaryDirectory() as folder:
        from executorch.devtools import Inspector

        program = _program(path, enable_etdump=True)
        method = program.load_method(METHOD)
        for _ in range(2):  # the first call allocates
            method.execute([torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in inputs])
        trace = Path(folder) / "trace.etdp"
        program.write_etdump_result_to_file(str(trace), str(trace.with_suffix(".bin")))
        blocks = Inspector(etdump_path=str(trace)).event_blocks
    return [
        (event.name, event.is_delegated_op, event.perf_data.raw[-1])
        for block in blocks
        for event in block.events
        if event.perf_data is not None and (event.is_delegated_op or event.name.startswith(_KERNEL))
    ]
