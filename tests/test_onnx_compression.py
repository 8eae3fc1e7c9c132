"""ONNX files in fewer bits: what lies in them, read with numpy alone, and what they answer beside the float ones."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny

from lightsam.errors import ContractError, ExportError, UsageError
from lightsam.geometry import Preprocess
from lightsam.metrics import psnr_db
from lightsam.transforms import to_model_input
from lightsam_exporters.formats.onnx import FORMAT, OnnxOptions
from lightsam_exporters.formats.onnx_compression import COMPRESSED, compress, stored_weights
from lightsam_exporters.formats.onnx_weights import pack
from lightsam_exporters.loading import find_exports
from lightsam_exporters.pipeline import ExportRequest, export

STAGES = ("encoder", "decoder")
LEAST_DB = {"w8-dynamic": 36, "w8a8": 24, "w4": 20}
"""PSNR of a file that is right, seeded weights; a file of zeros has 10 dB or less. Measured: see the test."""


@pytest.fixture(scope="module")
def floats(exports_of):
    """Paths of the float files, by stage."""
    return {stage: exports_of("onnx", "float32").path(stage) for stage in STAGES}


@pytest.fixture(scope="module")
def inputs_of(coffee, tiny_stages, floats):
    """Inputs of a stage, about one photograph."""
    image = {"image": to_model_input(coffee, Preprocess(tiny.SIZE))[0]}
    embeddings = run(floats["encoder"], image)["image_embeddings"]
    decoder = next(stage for stage in tiny_stages if stage.name == "decoder")

    def asked(prompts, points):
        rng = np.random.Generator(np.random.PCG64(prompts * 100 + points))
        sizes = {"prompts": prompts, "points": points}
        found = {}
        for spec in decoder.inputs:
            shape = tuple(sizes.get(spec.dynamic.get(axis, ""), side) for axis, side in enumerate(spec.shape))
            found[spec.name] = spec.sample(rng, shape)
        return {**found, "image_embeddings": embeddings}

    def inputs(stage, prompts=2, points=3):
        return image if stage == "encoder" else asked(prompts, points)

    return inputs


@pytest.fixture(scope="module")
def compressed(floats, inputs_of, tmp_path_factory):
    """Path of a stage in a precision, made when first asked for."""
    folder = tmp_path_factory.mktemp("compressed")

    @cache
    def make(stage, precision):
        path = folder / f"{stage}-{precision}.onnx"
        compress(floats[stage], path, precision, stage, lambda: iter([inputs_of(stage)]))
        return path

    return make


def run(path, inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def constants(path):
    return {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}


def integer_weights(path, float_path):
    """Name, integers and scales of every weight in 8 bits, in the float file's own layout."""
    model, values, originals = onnx.load(path), constants(path), constants(float_path)
    transposed = {node.input[1] for node in onnx.load(float_path).graph.node if node.op_type == "Gemm"}
    for node in model.graph.node:
        data = node.input[1] if node.op_type == "MatMulInteger" else next(iter(node.input), "")
        if data not in values or values[data].dtype != np.int8:
            continue
        name = data.removesuffix("/data")
        integers, scale = values[data], values[f"{name}/scale"]
        if node.op_type == "DequantizeLinear":
            (axis,) = (one.i for one in node.attribute if one.name == "axis")
            scale = scale.reshape([-1 if index == axis else 1 for index in range(integers.ndim)])
        scale = scale.reshape(*(1 for _ in range(integers.ndim - scale.ndim)), *scale.shape)
        if node.op_type == "MatMulInteger" and originals[name].ndim == 4:  # a convolution of one position
            integers, scale = integers.T[..., None, None], scale.reshape(-1, 1, 1, 1)
        elif node.op_type == "MatMulInteger" and name in transposed:
            integers, scale = integers.T, scale.reshape(-1, 1)
        yield name, integers, scale


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("precision", COMPRESSED)
def test_weights_in_8_bits_are_the_float_ones_to_half_a_step(floats, compressed, precision, stage):
    path, originals = compressed(stage, precision), constants(floats[stage])
    found = {name: (data, scale) for name, data, scale in integer_weights(path, floats[stage])}
    for name, (data, scale) in found.items():
        assert data.shape == originals[name].shape, name
        assert (np.abs(data * scale - originals[name]) <= scale * 0.5001).all(), name
        if data.ndim == 3:  # a matrix for each head
            assert scale.shape == (data.shape[0], 1, data.shape[2]), name
        alone = tuple(axis for axis, side in enumerate(scale.shape) if side == 1)
        assert (np.abs(data).max(alone) == 127).all(), f"{name}: a scale for every output"
    assert stored_weights(path)["int8"] == sum(data.size for data, _ in found.values()) > 0


@pytest.mark.parametrize("stage", STAGES)
def test_weights_in_4_bits_are_the_float_ones_to_half_a_step(floats, compressed, stage):
    path = compressed(stage, "w4")
    originals, values = constants(floats[stage]), constants(path)
    transposed = {node.input[1] for node in onnx.load(floats[stage]).graph.node if node.op_type == "Gemm"}
    counted = 0
    for node in onnx.load(path).graph.node:
        if node.op_type != "MatMulNBits":
            continue
        name = node.input[1].removesuffix("/data")
        packed, scales = values[node.input[1]], values[node.input[2]]
        outputs, blocks, half = packed.shape
        integers = np.stack([packed & 15, packed >> 4], -1).astype(np.int64) - 8
        restored = (integers.reshape(outputs, blocks, 2 * half) * scales.reshape(outputs, blocks, 1)).reshape(
            outputs, -1
        )
        expected = originals[name]
        expected = expected[:, :, 0, 0] if expected.ndim == 4 else expected if name in transposed else expected.T
        step = np.repeat(np.abs(scales).reshape(outputs, blocks), 2 * half, 1)[:, : expected.shape[1]]
        error = np.abs(restored[:, : expected.shape[1]] - expected) / step
        assert (error <= 0.501).mean() > 0.95, name  # the rest was clipped
        assert error.max() < 2.2, name
        counted += expected.size
    assert stored_weights(path)["int4"] == counted > 0


def test_a_matrix_whose_rows_fill_no_block_is_packed_with_zeros():
    matrix = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    data, scales = pack(matrix)
    assert data.shape == (3, 2, 16)
    assert scales.shape == (6,)
    assert (data[:, 1, 4:] == 0x88).all()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("precision", COMPRESSED)
def test_answers_are_near_those_of_the_float_file(floats, compressed, inputs_of, precision, stage):
    expected = run(floats[stage], inputs_of(stage))
    found = run(compressed(stage, precision), inputs_of(stage))
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        db = psnr_db(values, found[name])
        assert db >= LEAST_DB[precision], f"{name}: {db:.1f} dB"
        assert psnr_db(values, np.zeros_like(values)) < LEAST_DB[precision], "zeros would do"


@pytest.mark.parametrize(("prompts", "points"), [(1, 1), (3, 5), (8, 2)])
@pytest.mark.parametrize("precision", COMPRESSED)
def test_a_decoder_takes_any_number_of_prompts_and_points(floats, compressed, inputs_of, precision, prompts, points):
    given = inputs_of("decoder", prompts, points)
    expected, found = (run(path, given) for path in (floats["decoder"], compressed("decoder", precision)))
    for name, values in expected.items():
        assert psnr_db(values, found[name]) >= LEAST_DB[precision] - 6, name


@pytest.mark.parametrize("precision", COMPRESSED)
def test_a_file_says_about_itself_what_the_float_one_said(floats, compressed, precision):
    for stage in STAGES:
        before, after = onnx.load(floats[stage]), onnx.load(compressed(stage, precision))
        assert list(after.metadata_props) == list(before.metadata_props)
        assert after.doc_string == before.doc_string
        assert list(after.graph.input) == list(before.graph.input)
        assert list(after.graph.output) == list(before.graph.output)
        modules = {scope_of(node) for node in before.graph.node}
        new = [node for node in after.graph.node if node.op_type not in {one.op_type for one in before.graph.node}]
        assert new
        assert all(scope_of(node) and scope_of(node) in modules for node in new)
        assert len({node.name for node in after.graph.node}) == len(after.graph.node)


@pytest.mark.parametrize("precision", COMPRESSED)
def test_the_same_inputs_give_the_same_bytes(floats, compressed, inputs_of, precision, tmp_path):
    for stage in STAGES:
        compress(floats[stage], tmp_path / stage, precision, stage, lambda stage=stage: iter([inputs_of(stage)]))
        assert (tmp_path / stage).read_bytes() == compressed(stage, precision).read_bytes()


def scope_of(node):
    return next((one.value for one in node.metadata_props), "")


def float_layers(path, kind):
    """The modules of the nodes of a kind that compute with floats: all but those between integers."""
    return [
        scope_of(node)
        for node in onnx.load(path).graph.node
        if node.op_type == kind and {f"{node.input[1].removesuffix('/restored')}/floats"} & set(results(path))
    ]


def results(path):
    return [name for node in onnx.load(path).graph.node for name in node.output]


def test_the_last_convolution_of_w8a8_computes_in_float_and_no_other(compressed):
    (scopes,) = float_layers(compressed("encoder", "w8a8"), "Conv")
    assert "image_encoder.neck.2" in scopes
    assert float_layers(compressed("encoder", "w8a8"), "MatMul") == []


def test_gates_of_w8a8_compute_in_float(matrix_of, inputs_of, tmp_path):
    source = matrix_of("tiny_repvit", "onnx", "float32").path("encoder")
    target = tmp_path / "encoder.onnx"
    compress(source, target, "w8a8", "encoder", lambda: iter([inputs_of("encoder")]))
    model = onnx.load(target)
    producers = {name: node.op_type for node in model.graph.node for name in node.output}
    gates = [node for node in model.graph.node if node.op_type == "Conv" and "token_mixer.1" in scope_of(node)]
    assert gates
    for node in gates:
        assert producers[node.input[0]] in ("AveragePool", "Relu")
    assert psnr_db(*(run(path, inputs_of("encoder"))["image_embeddings"] for path in (source, target))) > 15


def test_products_of_two_activations_stay_in_float(compressed):
    path = compressed("encoder", "w8a8")
    model = onnx.load(path)
    producers = {name: node for node in model.graph.node for name in node.output}
    softmaxes = [node for node in model.graph.node if node.op_type == "Softmax"]
    assert softmaxes
    for node in softmaxes:
        readers = [one.op_type for one in model.graph.node if node.output[0] in one.input]
        assert "QuantizeLinear" not in readers
    # What the layers of the attention read was cut into windows as bytes.
    gathers = [node for node in model.graph.node if node.op_type == "Gather" and node.output[0].endswith("/data")]
    assert gathers
    assert all(producers[node.input[0]].op_type in ("Pad", "Reshape", "Gather", "Transpose") for node in gathers)


def test_what_is_padded_in_bytes_stands_for_zero(compressed, inputs_of, tmp_path):
    path = compressed("encoder", "w8a8")
    model, values = onnx.load(path), constants(path)
    pads = [node for node in model.graph.node if node.op_type == "Pad" and node.output[0].endswith("/data")]
    assert pads
    assert {node.input[2] for node in pads} == {f"{node.input[0].removesuffix('/data')}/zero" for node in pads}
    assert any(values[node.input[2]] != 0 for node in pads)


def test_without_an_image_there_is_nothing_to_calibrate_on(floats, tmp_path):
    with pytest.raises(UsageError, match="no image to calibrate on"):
        compress(floats["encoder"], tmp_path / "encoder.onnx", "w8a8", "encoder", lambda: iter(()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", COMPRESSED)
def test_a_file_with_nothing_to_compress_is_refused(precision, tmp_path):
    one = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [one], [other])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]), tmp_path / "a.onnx")
    with pytest.raises(ExportError, match=f"encoder has no layer that {precision} makes smaller"):
        compress(tmp_path / "a.onnx", tmp_path / "b.onnx", precision, "encoder", lambda: iter(()))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no model")
    for call in (
        lambda: stored_weights(tmp_path / "a.onnx"),
        lambda: compress(tmp_path / "a.onnx", tmp_path / "b", "w4", "encoder", iter),
    ):
        with pytest.raises(ContractError, match=r"a\.onnx cannot be read as ONNX"):
            call()


def test_float_weights_are_counted_without_shapes_and_indices(floats):
    stored = stored_weights(floats["encoder"])
    assert list(stored) == ["float32"]
    expected = sum(one.size for one in constants(floats["encoder"]).values() if one.dtype == np.float32)
    assert stored["float32"] == expected


def test_an_exported_pair_has_its_decoder_in_a_precision_of_its_own():
    options = OnnxOptions(precision="w8a8")
    assert options.of_stage("decoder").precision == "float16"
    assert OnnxOptions(precision="w4", decoder_precision="w8-dynamic").of_stage("decoder").precision == "w8-dynamic"


def test_integers_have_a_graph_without_what_serves_floats(tiny_stages):
    encoder = next(stage for stage in tiny_stages if stage.name == "encoder")
    names = {
        precision: {
            type(one).__name__ for one in FORMAT.graph(encoder, OnnxOptions(precision=precision)).module.modules()
        }
        for precision in ("w8a8", "w8-dynamic", "float32")
    }
    assert "NarrowMBConv" in names["float32"] == names["w8-dynamic"]
    assert "NarrowMBConv" not in names["w8a8"]
    assert names["w8a8"] & names["float32"] > {"Conv2d"}


def test_a_decoder_with_masks_of_full_size_is_calibrated_too(tmp_path):
    options = OnnxOptions(precision="w8a8", decoder_precision="w8a8", with_masks=True)
    folder, report = export(ExportRequest(tiny.NAME, "onnx", options, tmp_path, weights="seeded"))
    (entry,) = find_exports(folder)
    assert report.passed
    assert entry.facts.files["decoder"].coverage > 0.75
    assert entry.facts.files["decoder"].options["calibrated_on"].startswith("lightsam's photographs")
