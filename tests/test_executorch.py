"""What is in an ExecuTorch file, by ExecuTorch's own runtime, and by the evaluator for Core ML inside."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from executorch.backends.xnnpack.partition import xnnpack_partitioner
from executorch.backends.xnnpack.partition.config import SinConfig
from torch import nn

from lightsam.errors import ContractError, ExportError, UsageError
from lightsam.metrics import psnr_db
from lightsam.stages import STAGE_NAMES, Stage, TensorSpec
from lightsam_exporters import facts
from lightsam_exporters.formats import executorch, options_of
from lightsam_exporters.formats.mil.evaluator import dtype_name
from lightsam_exporters.formats.mil.program import read_program
from lightsam_exporters.formats.quiet import redirect_output_to_log
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.pipeline import ExportRequest, RejectedError, export
from lightsam_exporters.provenance import Provenance

PRECISIONS = [
    name for name in executorch.ExecuTorchOptions.precisions() if name not in executorch.ExecuTorchOptions.compressed
]


class Small(nn.Module):
    """Takes a second to convert: what XNNPACK takes, and what it does not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.LayerNorm(6)

    def forward(self, image):
        return (self.norm(self.conv(image).relu()),)


@pytest.fixture
def small():
    spec = TensorSpec("image", (1, 3, 8, 8), "an image")
    torch.manual_seed(0)
    return Stage("encoder", Small().eval(), (spec,), (TensorSpec("image_embeddings", (1, 8, 6, 6), "embeddings"),))


def converted(stage, path, provenance, **asked):
    executorch.FORMAT.export([stage], path, options_of("executorch", precision="float32", **asked), provenance)
    return path


@pytest.fixture
def small_file(small, tmp_path, provenance):
    return converted(small, tmp_path / "encoder.pte", provenance)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_metadata_tells_what_the_file_is(exports_of, tiny_stages, provenance, precision):
    for stage in tiny_stages:
        said = executorch.read_metadata(exports_of("executorch", precision).path(stage.name))
        assert (said["stage"], said["precision"], said["trained"]) == (stage.name, precision, "false")
        assert said["inputs"] == [spec.name for spec in stage.inputs]
        assert said["outputs"] == [spec.name for spec in stage.outputs]
        for spec in (*stage.inputs, *stage.outputs):
            assert said[f"meaning_of_{spec.name}"] == spec.meaning
        assert Provenance.from_metadata(said, "it") == provenance
        assert "UNTRAINED" in said["description"]
        assert "CC0-1.0 (https://example.org/license)" in said["description"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_answers_as_pytorch(exports_of, tiny_stages, precision):
    for stage in tiny_stages:
        inputs = stage.sample_inputs()
        found = exports_of("executorch", precision).load(stage.name)(inputs)
        for name, expected in stage.run(inputs).items():
            assert found[name].dtype == np.float32
            assert psnr_db(expected, found[name]) > executorch.FORMAT.gates[precision].psnr_db


def test_float16_halves_the_file(exports_of):
    """But for what is float32 in both: the grid's encoding, the prompt encoder, constants."""
    for stage in STAGE_NAMES:
        sizes = {p: exports_of("executorch", p).path(stage).stat().st_size for p in PRECISIONS}
        assert sizes["float32"] / sizes["float16"] > (1.9 if stage == "decoder" else 1.05)


def test_zeros_are_rejected(tmp_path, monkeypatch):
    def zeros(stage, *more):
        return convert(replace(stage, module=Zeros(stage.module).eval()), *more)

    class Zeros(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, image):
            return (self.module(image)[0] * 0,)

    convert = executorch._converted
    monkeypatch.setattr(executorch, "_converted", zeros)
    options = options_of("executorch", precision="float32")
    with pytest.raises(RejectedError, match="dB"):
        export(ExportRequest(tiny.NAME, "executorch", options, tmp_path, ("encoder",), weights="seeded"))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_facts_say_what_the_delegate_took(exports_of, precision):
    entry = exports_of("executorch", precision)
    for stage in STAGE_NAMES:
        found = facts.read(entry.folder).files[stage].delegation
        assert found == executorch.FORMAT.delegation(entry.path(stage))
        assert found.delegate == "XNNPACK"
        assert found.share > (0.85 if precision == "float32" else 0.7)
        assert found.outside["aten::native_layer_norm"] > 0


def test_the_share_is_that_of_the_kernels_that_run(small_file, small):
    found = executorch.FORMAT.delegation(small_file)
    assert found.outside == {"aten::native_layer_norm": 1}
    own = [name for name, delegated, _ in times(small_file, small) if not delegated]
    assert own == ["native_call_native_layer_norm.out"]


def times(path, stage):
    return executorch.kernel_times(path, list(stage.sample_inputs().values()))


def test_a_file_without_a_delegate_has_a_share_of_nothing(small, tmp_path, provenance, monkeypatch):
    none = xnnpack_partitioner.XnnpackPartitioner(configs=[SinConfig])  # there is no sine
    monkeypatch.setattr(xnnpack_partitioner, "XnnpackPartitioner", lambda: none)
    path = converted(small, tmp_path / "encoder.pte", provenance)
    found = executorch.FORMAT.delegation(path)
    assert (found.operations, found.share) == (0, 0)
    assert found.outside.keys() == {"aten::convolution", "aten::relu", "aten::native_layer_norm"}
    assert not any(delegated for _, delegated, _ in times(path, small))


def test_the_command_prints_the_share(exports_of, lightsam, tmp_path, monkeypatch):
    made = exports_of("executorch", "float32").path("encoder").read_bytes()
    monkeypatch.setattr(executorch, "_converted", lambda *_: made)
    done = lightsam(
        "export", tiny.NAME, "--to", "executorch,onnx", "--precision", "float32", "--stage", "encoder",
        "--weights", "seeded", "--output", tmp_path,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    share = executorch.FORMAT.delegation(exports_of("executorch", "float32").path("encoder")).share
    assert f"{share:.1%}" in done.stdout
    assert "6 aten::native_layer_norm" in " ".join(done.stdout.split())
    row = next(line for line in done.stdout.splitlines() if line.startswith("│ executorch-float32"))
    assert f"{share:.0%}" in row


def test_residency_is_measured(small_file, small):
    shares = executorch.FORMAT.residency(small_file, "CPU", small.sample_inputs())
    assert {one.device for one in shares} == {"XNNPACK", "ExecuTorch's kernels"}
    assert sum(one.cost for one in shares) == pytest.approx(1)


def test_every_session_has_its_own_threads(small_file, small):
    """ExecuTorch has one pool for all, and a delegate would go on with one that is gone."""
    from executorch.extension.pybindings import portable_lib

    inputs = small.sample_inputs()
    expected = small.run(inputs)["image_embeddings"]
    sessions = {n: executorch.FORMAT.start(small_file, "encoder", RunOptions(threads=n)) for n in (1, None, 2)}
    calls = {threads: session.prepare(inputs) for threads, session in sessions.items()}
    for threads in (1, 2, 1, None, 2):
        assert psnr_db(expected, calls[threads]()["image_embeddings"]) > 100
        assert threads in (portable_lib._threadpool_get_thread_count(), None)


@pytest.mark.parametrize("damage", ["text", "truncated", "empty", "header"])
def test_a_damaged_file_is_told(tmp_path, exports_of, damage):
    content = exports_of("executorch", "float32").path("encoder").read_bytes()
    path = tmp_path / "encoder.pte"
    damaged = {"text": b"not a model", "truncated": content[: len(content) // 2], "empty": b"", "header": content[:8]}
    path.write_bytes(damaged[damage])
    for read in (executorch.FORMAT.load, executorch.FORMAT.start):
        with pytest.raises(ContractError, match=r"encoder\.pte"):
            read(path, "encoder", RunOptions())


def test_a_foreign_file_is_told(tmp_path):
    from executorch.exir import to_edge

    path = tmp_path / "encoder.pte"
    with redirect_output_to_log("executorch"):
        program = torch.export.export(nn.ReLU(), (torch.ones(1),), strict=False)
        path.write_bytes(to_edge(program).to_executorch().buffer)
    with pytest.raises(ContractError, match=r"encoder\.pte was not exported by lightsam"):
        executorch.FORMAT.load(path, "encoder", RunOptions())


def test_a_unit_that_does_not_exist_is_refused(small_file):
    with pytest.raises(UsageError, match="no unit 'GPU'; choose from: CPU"):
        executorch.FORMAT.start(small_file, "encoder", RunOptions(unit="GPU"))


@pytest.fixture(scope="module")
def core_ml(tmp_path_factory):
    output = tmp_path_factory.mktemp("coreml")
    options = options_of("executorch", precision="float16", backend="coreml")
    return export(ExportRequest(tiny.NAME, "executorch", options, output, weights="seeded"))


def test_core_ml_takes_the_whole_graph_and_the_evaluator_judges_it(core_ml):
    folder, report = core_ml
    assert report.passed
    assert report.simulated
    assert "evaluator of the Core ML program inside" in report.judge
    for file in facts.read(folder / "executorch-float16").files.values():
        assert file.options["backend"] == "coreml"
        assert (file.delegation.delegate, file.delegation.share, file.delegation.outside) == ("Core ML", 1, {})


def test_core_ml_computes_the_angles_of_points_in_float32(core_ml):
    """Rounded, they cost the decoder 20 dB with trained weights at 1024."""
    with executorch.core_ml_package(core_ml[0] / "executorch-float16" / "decoder.pte") as package:
        operations = read_program(package).function.operations
    dtypes = {op.op_type: {dtype_name(output) for output in op.outputs} for op in operations}
    assert dtypes["sin"] == dtypes["cos"] == {"fp32"}
    assert dtypes["softmax"] == {"fp16"}


def test_core_ml_is_not_timed_off_macos(core_ml):
    path = core_ml[0] / "executorch-float16" / "encoder.pte"
    with pytest.raises(UsageError, match="ExecuTorch runs on macOS alone"):
        executorch.FORMAT.start(path, "encoder", RunOptions())


def test_the_converters_own_message_is_passed_on(tmp_path, small, provenance, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no lowering of aten.frobnicate\nand more")

    monkeypatch.setattr("executorch.exir.to_edge_transform_and_lower", fail)
    with pytest.raises(ExportError, match=r"the encoder of tiny_sam: no lowering of aten\.frobnicate$"):
        converted(small, tmp_path / "e.pte", provenance)
