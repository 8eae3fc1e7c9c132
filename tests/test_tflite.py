"""What is in a LiteRT file, read back from the file, on this runtime and on the one that many devices still have."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import tiny
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from lightsam.errors import ContractError, ExportError
from lightsam.metrics import psnr_db
from lightsam.stages import STAGE_NAMES
from lightsam_exporters import facts
from lightsam_exporters.formats import options_of, tflite
from lightsam_exporters.formats.quiet import redirect_output_to_log
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.formats.tflite_compression import compress
from lightsam_exporters.pipeline import ExportRequest, export
from lightsam_exporters.provenance import Provenance

CODES = {code: name for name, code in vars(flatbuffer_utils.BuiltinOperator).items() if isinstance(code, int)}


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_one_signature_a_file_with_the_names_of_the_contract(exports_of, tiny_stages, precision):
    for stage, signature in zip(tiny_stages, ("encode", "decode"), strict=True):
        interpreter = Interpreter(str(exports_of("tflite", precision).path(stage.name)))
        assert list(interpreter.get_signature_list()) == [signature]
        runner = interpreter.get_signature_runner(signature)
        for specs, details in (
            (stage.inputs, runner.get_input_details()),
            (stage.outputs, runner.get_output_details()),
        ):
            assert {name: (tuple(d["shape"]), np.dtype(d["dtype"]).name) for name, d in details.items()} == {
                spec.name: (spec.shape, "float32") for spec in specs
            }


def operations(path) -> Counter:
    model = flatbuffer_utils.read_model(path)
    codes = [CODES[flatbuffer_utils.get_builtin_code_from_operator_code(code)] for code in model.operatorCodes]
    return Counter(codes[operator.opcodeIndex] for graph in model.subgraphs for operator in graph.operators)


@pytest.mark.parametrize("card", tiny.CARDS, ids=lambda card: card.name)
def test_no_flex_or_custom_operation_and_no_tensor_above_rank_five(matrix_of, card):
    """Delegates and old runtimes have neither."""
    entry = matrix_of(card.name, "tflite", "float32")
    for stage in entry.facts.files:
        path = entry.path(stage)
        kinds = operations(path)
        assert sum(kinds.values()) > 100
        assert not {"CUSTOM", "DELEGATE"} & set(kinds)
        assert not [kind for kind in kinds if kind.startswith(("STABLEHLO", "FLEX"))]
        tensors = flatbuffer_utils.read_model(path).subgraphs[0].tensors
        assert max(len(tensor.shape) for tensor in tensors if tensor.shape is not None) <= 5


def test_float16_weights_halve_the_file(exports_of):
    for stage in STAGE_NAMES:
        sizes = {p: exports_of("tflite", p).path(stage).stat().st_size for p in ("float32", "float16")}
        assert 1.6 < sizes["float32"] / sizes["float16"] < 2.1
        assert operations(exports_of("tflite", "float16").path(stage))["DEQUANTIZE"] > 10


def test_float16_keeps_the_point_encoding_in_float32(exports_of):
    """Rounded, its frequencies cost the worst prompt of the default suite 30 dB with trained weights."""
    model = flatbuffer_utils.read_model(exports_of("tflite", "float16").path("decoder"))
    (graph,) = model.subgraphs
    made_by = {int(output): op for op in graph.operators for output in op.outputs}
    encoding = [op for op in graph.operators if b"PositionEmbeddingRandom" in graph.tensors[op.outputs[0]].name]
    assert len(encoding) > 1
    taken = {int(index) for op in encoding for index in op.inputs if index >= 0} & set(made_by)
    builtin = flatbuffer_utils.schema_fb.BuiltinOperator
    kinds = {model.operatorCodes[made_by[index].opcodeIndex].builtinCode for index in taken}
    assert builtin.DEQUANTIZE not in kinds
    all_kinds = {model.operatorCodes[op.opcodeIndex].builtinCode for op in graph.operators}
    assert builtin.DEQUANTIZE in all_kinds  # the other weights are float16


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_metadata_tells_what_the_file_is(exports_of, tiny_stages, provenance, precision):
    for stage in tiny_stages:
        path = exports_of("tflite", precision).path(stage.name)
        facts = tflite.read_metadata(path)
        assert (facts["stage"], facts["precision"], facts["trained"]) == (stage.name, precision, "false")
        assert facts["tensors"] == {spec.name: spec.meaning for spec in (*stage.inputs, *stage.outputs)}
        assert Provenance.from_metadata(facts, "it") == provenance
        description = flatbuffer_utils.read_model(path).description.decode()
        assert "UNTRAINED" in description
        assert "CC0-1.0 (https://example.org/license)" in description


def test_channels_last_on_request(tmp_path, tiny_stages):
    options = options_of("tflite", precision="float32", image_layout="nhwc")
    folder, report = export(ExportRequest(tiny.NAME, "tflite", options, tmp_path, ("encoder",), weights="seeded"))
    assert report.passed
    file = facts.read(folder / "tflite-float32").files["encoder"]
    assert file.inputs[0].shape == [1, tiny.SIZE, tiny.SIZE, 3]
    path = folder / "tflite-float32" / file.path
    runner = Interpreter(str(path)).get_signature_runner("encode")
    image = tiny_stages.encoder.sample_inputs()["image"]
    expected = tiny_stages.encoder.run({"image": image})["image_embeddings"]
    found = runner(image=np.ascontiguousarray(image.transpose(0, 2, 3, 1)))["image_embeddings"]
    assert psnr_db(expected, found) > 110
    # what was loaded takes the contract's layout all the same
    assert (
        psnr_db(expected, tflite.FORMAT.load(path, "encoder", RunOptions())({"image": image})["image_embeddings"]) > 110
    )


@pytest.mark.parametrize("damage", ["text", "truncated", "empty", "header"])
def test_a_damaged_file_is_told(tmp_path, exports_of, damage):
    content = exports_of("tflite", "float32").path("encoder").read_bytes()
    path = tmp_path / "encoder.tflite"
    damaged = {"text": b"not a model", "truncated": content[: len(content) // 2], "empty": b"", "header": content[:8]}
    path.write_bytes(damaged[damage])
    with pytest.raises(ContractError, match=r"encoder\.tflite"):
        tflite.FORMAT.load(path, "encoder", RunOptions())


def test_a_decoder_is_no_encoder(exports_of):
    with pytest.raises(ContractError, match=r"decoder\.tflite cannot be read as TFLite: .*encode"):
        tflite.FORMAT.load(exports_of("tflite", "float32").path("decoder"), "encoder", RunOptions())


def test_the_converters_own_message_is_passed_on(tmp_path, tiny_stages, provenance, monkeypatch):
    import litert_torch

    def fail(*_, **__):
        raise RuntimeError("no lowering of aten.frobnicate\nand more")

    monkeypatch.setattr(litert_torch, "signature", fail)
    with pytest.raises(ExportError, match=r"the encoder of tiny_sam: no lowering of aten\.frobnicate$"):
        tflite.FORMAT.export([tiny_stages.encoder], tmp_path / "e.tflite", options_of("tflite"), provenance)


_OLD_RUNTIME = ("tflite-runtime==2.14.0", "numpy<2")
_RUN_BY_IT = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
model, signature, inputs, outputs = sys.argv[1:]
runner = Interpreter(model).get_signature_runner(signature)
np.savez(outputs, **runner(**np.load(inputs)))
"""


@pytest.fixture(scope="module")
def old_runtime(tmp_path_factory):
    """Python of an environment with tflite-runtime 2.14, whose extension module needs numpy 1."""
    folder = tmp_path_factory.mktemp("tflite_runtime")
    python = folder / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", folder],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_OLD_RUNTIME],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
        if done.returncode:
            pytest.skip(f"tflite-runtime 2.14 cannot be had here: {done.stderr.strip().splitlines()[-1:]}")
    return python


# In dB, against LiteRT and against PyTorch. Old kernels round integers otherwise, and quantize on the fly without an
# offset; where that runtime is wrong, as with a scale a channel on the fly, it is so at 17 dB.
_OLD_RUNTIME_DB = {
    "float32": (100, 100),
    "float16": (100, 50),
    "w8": (100, 33),  # 131.8, 36.1
    "w8-dynamic": (36, 33),  # 40.8, 37.5
    "w8a8": (36, 33),  # 41.1, 36.8
}


@pytest.mark.parametrize("precision", _OLD_RUNTIME_DB)
def test_tflite_runtime_2_14_agrees(exports_of, tiny_stages, old_runtime, tmp_path, precision):
    """The runtime that many devices still have: every output of both stages."""
    to_new, to_reference = _OLD_RUNTIME_DB[precision]
    for stage, signature in zip(tiny_stages, ("encode", "decode"), strict=True):
        path = exports_of("tflite", "float32").path(stage.name)
        if precision != "float32":  # of exports, decoders are float16
            source, path = path, tmp_path / path.name
            with redirect_output_to_log("tflite"):
                compress(source, path, precision, stage.name, lambda s=stage: map(s.sample_inputs, range(3)))
        inputs = stage.sample_inputs()
        np.savez(tmp_path / "inputs.npz", **inputs)
        command = [old_runtime, "-c", _RUN_BY_IT, path, signature]
        command += [tmp_path / "inputs.npz", tmp_path / "outputs.npz"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        new = tflite.FORMAT.start(path, stage.name, RunOptions()).prepare(inputs)()
        old, reference = np.load(tmp_path / "outputs.npz"), stage.run(inputs)
        assert set(old) == set(new) == set(reference)
        for name in reference:
            assert psnr_db(new[name], old[name]) > to_new, name
            assert psnr_db(reference[name], old[name]) > to_reference, name
