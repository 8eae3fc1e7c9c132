"""What compressed LiteRT files store and compute: read back from the file, and against the file of floats."""

from collections import Counter

import numpy as np
import pytest
import tiny
from ai_edge_litert.schema_py_generated import TensorType
from ai_edge_litert.tools import flatbuffer_utils

from lightsam.errors import ContractError
from lightsam.metrics import psnr_db
from lightsam_exporters.formats import tflite_compression
from lightsam_exporters.formats.quiet import redirect_output_to_log
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.formats.tflite import FORMAT
from lightsam_exporters.formats.tflite_compression import COMPRESSED, compress, stored_weights
from lightsam_exporters.formats.tflite_listing import read_graphs

LAYERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
IN_INT8 = {"w8": set(), "w8-dynamic": {"CONV_2D", "FULLY_CONNECTED"}, "w8a8": {"CONV_2D", "FULLY_CONNECTED"}}
"""Which layers take int8 weights as they are."""


@pytest.fixture(autouse=True)
def quiet():
    """As an export is: the quantizer's own use of the interpreter warns."""
    with redirect_output_to_log("tflite"):
        yield


def some_inputs(stages, name):
    """A few calls of a stage, none like the next."""
    return lambda: (stages[name].sample_inputs(seed) for seed in range(3))


@pytest.fixture(scope="module")
def compressed(exports_of, tiny_stages, tmp_path_factory):
    """A stage of the tiny model in a precision, and the file of floats that it was made from."""
    folder = tmp_path_factory.mktemp("compressed")
    made = {}

    def make(stage, precision):
        source = exports_of("tflite", "float32").path(stage)
        if (stage, precision) not in made:
            made[stage, precision] = folder / f"{stage}-{precision}.tflite"
            compress(source, made[stage, precision], precision, stage, some_inputs(tiny_stages, stage))
        return made[stage, precision], source

    return make


def constants(path):
    """Every constant that is data, by its name: as numbers, with a scale's rounding, and its dtype."""
    model = flatbuffer_utils.read_model(path)
    found = {}
    for tensor in model.subgraphs[0].tensors:
        data, quantization = model.buffers[tensor.buffer].data, tensor.quantization
        if data is None or len(data) == 0 or tensor.type not in (TensorType.FLOAT32, TensorType.INT8):
            continue
        if tensor.type == TensorType.FLOAT32:
            found[tensor.name.decode()] = np.asarray(data, np.uint8).view(np.float32).reshape(tensor.shape), None
        else:
            shape = [1] * len(tensor.shape)
            if len(quantization.scale) > 1:
                shape[quantization.quantizedDimension] = -1
            step = np.asarray(quantization.scale, np.float64).reshape(shape)
            assert not np.any(quantization.zeroPoint)
            found[tensor.name.decode()] = np.asarray(data, np.uint8).view(np.int8).reshape(tensor.shape) * step, step
    return found


@pytest.mark.parametrize("precision", COMPRESSED)
@pytest.mark.parametrize("stage", ["encoder", "decoder"])
def test_int8_weights_are_within_half_a_step_of_the_floats(compressed, stage, precision):
    path, source = compressed(stage, precision)
    floats = {name: values for name, (values, _) in constants(source).items()}
    in_int8 = Counter()
    for name, (values, step) in constants(path).items():
        # the quantizer adds its own ending where a tensor is stored in two forms
        origin = max((one for one in floats if name.startswith(one) and floats[one].shape == values.shape), key=len)
        if step is None:
            np.testing.assert_array_equal(values, floats[origin])
        else:
            assert np.all(np.abs(values - floats[origin]) <= step * 0.5001), name
            assert np.abs(values).max() > 0
        in_int8[step is not None] += values.size
    assert in_int8[True] > 9 * in_int8[False]
    assert 2.5 < source.stat().st_size / path.stat().st_size < 4


@pytest.mark.parametrize("precision", COMPRESSED)
def test_weights_have_a_scale_a_channel_but_where_the_old_runtime_is_wrong(compressed, precision):
    path, _ = compressed("encoder", precision)
    steps = {name: step for name, (_, step) in constants(path).items() if step is not None}
    (graph,) = read_graphs(path)
    for one in graph.operations:
        if one.type in LAYERS and one.inputs[1].name in steps:
            whole = precision == "w8-dynamic" and one.type == "FULLY_CONNECTED"
            axis = -1 if one.type == "DEPTHWISE_CONV_2D" else 0
            assert steps[one.inputs[1].name].size == (1 if whole else one.inputs[1].shape[axis])


@pytest.mark.parametrize("precision", COMPRESSED)
def test_what_computes_in_int8(compressed, precision):
    path, _ = compressed("encoder", precision)
    (graph,) = read_graphs(path)
    assert {one.type for one in graph.operations if one.type in LAYERS and one.inputs[1].dtype == "int8"} == IN_INT8[
        precision
    ]
    given = {(one.type, one.inputs[0].dtype) for one in graph.operations}
    quantized = {kind for kind, dtype in given if dtype == "int8"} - {"DEQUANTIZE", "QUANTIZE"}
    assert ("FULLY_CONNECTED" in quantized) == (precision == "w8a8")
    padded = {tensor.name for one in graph.operations if one.type == "PAD" for tensor in one.outputs}
    convolutions = {
        (one.inputs[0].name in padded, one.inputs[0].dtype) for one in graph.operations if one.type == "CONV_2D"
    }
    assert convolutions == {(True, "int8" if precision == "w8a8" else "float32"), (False, "float32")}
    # what moves windows to a layer moves bytes; norms, activations, attention and sums stay floats
    assert quantized <= {"CONV_2D", "FULLY_CONNECTED", "CONCATENATION", "PAD", "RESHAPE", "SLICE", "TRANSPOSE"}
    assert ("PAD" in quantized) == (precision == "w8a8")
    assert {dtype for kind, dtype in given if kind in {"GELU", "SOFTMAX", "BATCH_MATMUL", "ADD", "RSQRT"}} == {
        "float32"
    }


@pytest.mark.parametrize("precision", ["float16", *COMPRESSED])
def test_the_point_encoding_stays_float32(compressed, precision):
    path, _ = compressed("decoder", precision)
    (graph,) = read_graphs(path)
    made = {tensor.name: one.type for one in graph.operations for tensor in one.outputs}
    encoding = [one for one in graph.operations if "PositionEmbeddingRandom" in one.outputs[0].name]
    assert len(encoding) > 1
    for one in encoding:
        assert {tensor.dtype for tensor in (*one.inputs, *one.outputs)} <= {"float32", "int32"}
        assert "DEQUANTIZE" not in {made.get(tensor.name) for tensor in one.inputs}


LEAST_DB = 34
"""Seeded weights, worst output: w8 38.3, w8-dynamic 38.6, w8a8 38.7."""


@pytest.mark.parametrize("precision", COMPRESSED)
@pytest.mark.parametrize("stage", ["encoder", "decoder"])
def test_floats_go_in_and_come_out_close_to_those_of_the_float32_file(compressed, tiny_stages, stage, precision):
    path, source = compressed(stage, precision)
    inputs = tiny_stages[stage].sample_inputs(7)  # not one of those that were looked at
    expected, found = (FORMAT.start(one, stage, RunOptions()).prepare(inputs)() for one in (source, path))
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        assert LEAST_DB < psnr_db(values, found[name]) < 80, name


@pytest.mark.parametrize("precision", ["float16", *COMPRESSED])
def test_the_same_bytes_twice(compressed, tiny_stages, tmp_path, precision):
    path, source = compressed("encoder", precision)
    again = tmp_path / "again.tflite"
    again.write_bytes(source.read_bytes())
    compress(again, again, precision, "encoder", some_inputs(tiny_stages, "encoder"))  # in place, too
    assert again.read_bytes() == path.read_bytes()


def test_ranges_are_those_of_all_calls(exports_of, tiny_stages):
    """Not an average in which the first call counts for nearly all."""
    source = exports_of("tflite", "float32").path("encoder")
    small, large = ({"image": np.full((1, 3, tiny.SIZE, tiny.SIZE), value, np.float32)} for value in (10, 200))
    ranges = tflite_compression._ranges(source, iter([small, large]))["encode_image"]
    assert (float(ranges["min"][0]), float(ranges["max"][0])) == (10, 200)


def test_w8a8_needs_a_call(exports_of, tmp_path):
    with pytest.raises(ValueError, match="one call at least"):
        compress(
            exports_of("tflite", "float32").path("encoder"), tmp_path / "e.tflite", "w8a8", "encoder", lambda: iter(())
        )


def test_nothing_is_asked_for_where_nothing_is_calibrated(exports_of, tmp_path):
    def fail():
        raise AssertionError

    stages = [("encoder", precision) for precision in ("float16", "w8", "w8-dynamic")]
    for stage, precision in (*stages, ("decoder", "w8a8")):
        source = exports_of("tflite", "float32").path(stage)
        compress(source, tmp_path / source.name, precision, stage, fail)


def test_weights_are_counted_by_dtype(compressed):
    counts = {p: stored_weights(compressed("encoder", p)[0]) for p in ("float16", *COMPRESSED)}
    whole = stored_weights(compressed("encoder", "w8")[1])
    assert set(whole) == {"float32"}
    for precision, count in counts.items():
        assert sum(count.values()) == whole["float32"], precision
        # tables of attention stay float32 in float16
        small, part = ("float16", 0.85) if precision == "float16" else ("int8", 0.95)
        assert count[small] > part * whole["float32"]
    assert set(counts["w8a8"]) == {"int8", "int32", "float32"}  # biases of layers in int8 are int32


@pytest.mark.parametrize("content", [b"not a model", b"", b"\0\0\0\0TFL3"])
def test_a_damaged_file_is_told(tmp_path, content):
    path = tmp_path / "encoder.tflite"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=r"encoder\.tflite"):
        stored_weights(path)
