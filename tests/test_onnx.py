"""What is in an ONNX file, read back from the file, and what a program can do with it."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny
import torch
from agreement import assert_close, assert_same_masks

from lightsam import Prompt, load_model, split
from lightsam.errors import ContractError, ExportError, UsageError
from lightsam.metrics import psnr_db
from lightsam.models import MODELS
from lightsam.prompts import encode_prompts
from lightsam.transforms import to_model_input, upscale_masks
from lightsam_exporters import artifacts, facts
from lightsam_exporters.formats import find_format, options_of
from lightsam_exporters.formats import onnx as onnx_format
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.loading import load_predictor
from lightsam_exporters.pipeline import ExportRequest, export
from lightsam_exporters.provenance import Provenance

FLOAT = onnx.TensorProto.FLOAT


@pytest.fixture(scope="module")
def decoder(exports_of):
    return exports_of("onnx", "float32").load("decoder")


@pytest.fixture(scope="module")
def provenance(tiny_loaded):
    return Provenance.of(MODELS[tiny.NAME], tiny.SIZE, None, tiny_loaded.weights)


def shape_of(value) -> list:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_interface_is_the_contract_with_dynamic_prompts(exports_of, tiny_stages, precision):
    for stage in tiny_stages:
        graph = onnx.load(exports_of("onnx", precision).path(stage.name)).graph
        for specs, values in ((stage.inputs, graph.input), (stage.outputs, graph.output)):
            assert [value.name for value in values] == [spec.name for spec in specs]
            for spec, value in zip(specs, values, strict=True):
                assert value.type.tensor_type.elem_type == FLOAT
                assert value.doc_string == spec.meaning
                expected = list(spec.shape)
                for axis, name in spec.dynamic.items():
                    expected[axis] = name
                assert shape_of(value) == expected


@pytest.mark.parametrize(
    ("prompts", "points"), [(1, 1), (1, 2), (1, 5), (1, 64), (3, 1), (3, 5), (3, 64), (64, 2), (64, 5)]
)
def test_any_number_of_prompts_and_points_in_one_call(decoder, tiny_model, prompts, points):
    stage = split(tiny_model, batch=prompts, point_slots=points).decoder
    inputs = stage.sample_inputs(seed=points)
    together = decoder(inputs)
    for name, expected in stage.run(inputs).items():
        assert together[name].shape == expected.shape
        assert psnr_db(expected, together[name]) > 100
    for index in {0, prompts - 1}:
        alone = decoder({n: a if n == "image_embeddings" else a[index : index + 1] for n, a in inputs.items()})
        for name, prediction in alone.items():
            assert_close(prediction[0], together[name][index], name)


def test_a_mask_alone_is_a_prompt(exports_of, tiny_predictor, coffee):
    """It has no points at all: an axis of size 0."""
    files = load_predictor(exports_of("onnx", "float32").model_folder, precision="float32")
    assert files.point_slots is None
    encoding = tiny_predictor.encode(coffee)
    mask = tiny_predictor.predict(encoding, Prompt(points=[(300, 150)])).low_res_masks[0]
    expected, found = (p.predict(encoding, Prompt(mask=mask)) for p in (tiny_predictor, files))
    assert_close(found.low_res_masks, expected.low_res_masks)


def test_many_prompts_are_one_call(exports_of, tiny_predictor, coffee):
    files = load_predictor(exports_of("onnx", "float32").model_folder, precision="float32")
    encoding = files.encode(coffee)
    prompts = [Prompt(points=[(300, 150)]), Prompt(box=(100, 100, 300, 300)), Prompt(points=[(9, 9)] * 3)]
    for prompt, found in zip(prompts, files.predict_batch(encoding, prompts), strict=True):
        expected = tiny_predictor.predict(tiny_predictor.encode(coffee), prompt)
        assert_close(found.low_res_masks, expected.low_res_masks)
        assert_same_masks(found.masks, expected, encoding.frame)


def test_metadata_tells_what_the_file_is(exports_of, provenance):
    for precision in ("float32", "float16"):
        entry = exports_of("onnx", precision)
        for stage in ("encoder", "decoder"):
            model = onnx.load(entry.path(stage))
            onnx.checker.check_model(model, full_check=True)
            assert "UNTRAINED" in model.doc_string
            assert "CC0-1.0 (https://example.org/license)" in model.doc_string
            facts = {item.key: item.value for item in model.metadata_props}
            assert (facts["stage"], facts["precision"]) == (stage, precision)
            assert (facts["trained"], facts["point_slots"]) == ("false", "dynamic")
            assert Provenance.from_metadata(facts, "it") == provenance
            assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]


def test_nothing_of_this_machine_is_in_the_file(exports_of):
    for stage in ("encoder", "decoder"):
        content = exports_of("onnx", "float32").path(stage).read_bytes()
        for trace in (b".py", b"/lib/", b"/home", b"/tmp", b"stack_trace"):
            assert trace not in content


def test_nodes_keep_the_module_that_they_come_from(exports_of):
    nodes = onnx.load(exports_of("onnx", "float32").path("decoder")).graph.node
    scopes = [item.value for node in nodes for item in node.metadata_props]
    assert any("mask_decoder.transformer.layers.0.self_attn" in scope for scope in scopes)


def test_float16_is_inside_and_the_prompt_encoding_is_not(exports_of):
    files = {p: exports_of("onnx", p).path("decoder") for p in ("float32", "float16")}
    assert 1.7 < files["float32"].stat().st_size / files["float16"].stat().st_size < 2.1
    model = onnx.shape_inference.infer_shapes(onnx.load(files["float16"]))
    dtypes = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    kinds = {node.op_type: dtypes.get(node.output[0]) for node in model.graph.node}
    assert kinds["Sin"] == kinds["Cos"] == FLOAT
    assert kinds["Softmax"] == kinds["LayerNormalization"] == onnx.TensorProto.FLOAT16
    squares = [n for n in model.graph.node if n.op_type == "ReduceMean"]
    assert squares  # the norms over channels, in pieces: they square, so they stay float32
    assert {dtypes[node.output[0]] for node in squares} == {FLOAT}


@pytest.mark.parametrize("opset", [18, 23])
def test_other_opsets(tmp_path, tiny_stages, provenance, opset):
    path = tmp_path / "encoder.onnx"
    onnx_format.FORMAT.export(
        [tiny_stages.encoder], path, options_of("onnx", precision="float32", opset=opset), provenance
    )
    assert [entry.version for entry in onnx.load(path).opset_import] == [opset]
    inputs = tiny_stages.encoder.sample_inputs()
    found = onnx_format.FORMAT.load(path, "encoder", RunOptions())(inputs)["image_embeddings"]
    assert psnr_db(tiny_stages.encoder.run(inputs)["image_embeddings"], found) > 110


@pytest.mark.parametrize("opset", [17, 24])
def test_an_opset_that_cannot_be_written_is_refused(opset):
    with pytest.raises(UsageError, match=f"opset must lie between 18 and 23, and is {opset}"):
        options_of("onnx", opset=opset)


@pytest.fixture(scope="module")
def with_masks(tmp_path_factory):
    """A decoder that is a drop-in for SAM's published one."""
    options = options_of("onnx", precision="float32", with_masks=True)
    output = tmp_path_factory.mktemp("with_masks")
    folder, report = export(ExportRequest(tiny.NAME, "onnx", options, output, weights="seeded"))
    return folder, report


def test_a_program_written_for_sams_published_decoder_runs_as_it_is(with_masks, tiny_predictor, coffee):
    """The call of segment-anything's example: names, shapes, dtypes, and the order of what comes back."""
    folder, _ = with_masks
    session = onnxruntime.InferenceSession(str(folder / "onnx-float32" / "decoder.onnx"))
    encoding = tiny_predictor.encode(coffee)
    width, height = coffee.size
    side = tiny.SIZE // 4
    scale = tiny.SIZE / max(width, height)
    resized = np.array([int(width * scale + 0.5), int(height * scale + 0.5)])
    box, point = np.array([135, 60, 480, 320]), np.array([[300, 150]])
    coord = np.concatenate([point, box.reshape(2, 2)], axis=0)[None, :, :]
    coord = coord * (resized / [width, height])  # ResizeLongestSide.apply_coords
    ort_inputs = {
        **encoding.features,
        "point_coords": coord.astype(np.float32),
        "point_labels": np.array([[1, 2, 3]], dtype=np.float32),
        "mask_input": np.zeros((1, 1, side, side), dtype=np.float32),
        "has_mask_input": np.zeros(1, dtype=np.float32),
        "orig_im_size": np.array([height, width], dtype=np.float32),
    }
    masks, scores, low_res_logits = session.run(None, ort_inputs)
    assert masks.shape == (1, 4, height, width)
    assert scores.shape == (1, 4)
    assert low_res_logits.shape == (1, 4, side, side)
    expected = tiny_predictor.predict(encoding, Prompt(points=point, box=tuple(box)), multimask=False)
    assert_same_masks(masks[0, :1] > 0, expected, encoding.frame)
    assert 0.05 < expected.masks.mean() < 0.99
    all_four = tiny_predictor.predict(encoding, Prompt(points=point, box=tuple(box)), multimask=True)
    assert_close(scores[0], np.concatenate([expected.iou_predictions, all_four.iou_predictions]))


@pytest.mark.parametrize("size", [(1, 1), (40, 30), (333, 1000), (2000, 7)])
def test_full_size_masks_are_those_of_the_predictor(with_masks, tiny_predictor, coffee, size):
    folder, _ = with_masks
    image = coffee.resize(size)
    encoding = tiny_predictor.encode(image)
    decoder = onnx_format.FORMAT.load(folder / "onnx-float32" / "decoder.onnx", "decoder", RunOptions())
    prompt = Prompt(box=(0, 0, *size))
    given = {**encoding.features, **encode(prompt, encoding)}
    found = decoder({**given, "orig_im_size": np.array(size[::-1], np.float32)})["masks"]
    expected = tiny_predictor.predict(encoding, prompt, multimask=False)
    assert_same_masks(found[0, :1] > 0, expected, encoding.frame)


def encode(prompt, encoding):
    return encode_prompts([prompt], encoding.frame)


def test_full_size_masks_are_judged_and_recorded(with_masks):
    folder, report = with_masks
    assert {m.output for m in report.measurements if m.scope == "decoder"} == {
        "masks",
        "low_res_masks",
        "iou_predictions",
    }
    assert all(m.masks is not None for m in report.measurements if m.output == "masks")
    entry = facts.read(folder / "onnx-float32")
    assert entry.files["decoder"].options == {
        "precision": "float32",
        "decoder_precision": "auto",
        "graph": "rewritten",
        "opset": 20,
        "with_masks": True,
    }
    decoder = entry.files["decoder"]
    assert decoder.inputs[-1].name == "orig_im_size"
    assert decoder.outputs[0].shape == ["prompts", 4, "height", "width"]


@pytest.mark.parametrize(("model", "count"), [("tiny_sam2", 4), ("tiny_efficient", 3)])
def test_full_size_masks_of_stretched_images_are_the_predictors(tmp_path, coffee, model, count):
    """Straight to the image's size, bilinearly and bicubically; the graph as `upscale_masks`."""
    options = options_of("onnx", precision="float32", with_masks=True)
    folder, report = export(ExportRequest(model, "onnx", options, tmp_path, ("decoder",), weights="seeded"))
    assert report.passed
    stages = split(load_model(model, weights="seeded").sam)
    pixels, frame = to_model_input(coffee, stages.preprocess)
    inputs = encode_prompts([Prompt(points=[(300, 150)])], frame, rules=stages.rules.prompts)
    session = onnxruntime.InferenceSession(folder / "onnx-float32" / "decoder.onnx")
    size = np.array([frame.height, frame.width], np.float32)
    found = session.run(None, {**stages.encoder.run({"image": pixels}), **inputs, "orig_im_size": size})
    masks, low_res_masks = found[0], found[2]
    assert masks.shape == (1, count, 400, 600)
    assert psnr_db(upscale_masks(low_res_masks[0], frame), masks[0]) > 110


def test_a_decoder_with_masks_serves_the_predictor_too(with_masks, tiny_predictor, coffee, lightsam):
    folder, _ = with_masks
    files = load_predictor(folder, format_name="onnx")
    prompt = Prompt(points=[(300, 150)])
    encodings = tiny_predictor.encode(coffee), files.encode(coffee)
    expected, found = (p.predict(e, prompt) for p, e in zip((tiny_predictor, files), encodings, strict=True))
    assert_same_masks(found.masks, expected, encodings[0].frame)
    assert lightsam("parity", folder, "--suite", "quick").status == 0


@pytest.fixture
def with_external_data(tmp_path, monkeypatch):
    """As above 2 GB, where one protocol buffer ends."""
    monkeypatch.setattr(onnx_format, "_LARGEST_FILE", 1000)
    request = ExportRequest(
        tiny.NAME, "onnx", options_of("onnx", precision="float32"), tmp_path, ("encoder",), weights="seeded"
    )
    folder, report = export(request)
    assert report.passed
    return request, folder


def test_weights_of_a_large_model_lie_beside_it(with_external_data, lightsam):
    request, folder = with_external_data
    path = folder / "onnx-float32" / "encoder.onnx"
    data = artifacts.external_data(path)
    assert data.stat().st_size > 10 * path.stat().st_size
    file = facts.read(folder / "onnx-float32").files["encoder"]
    assert file.size_bytes == path.stat().st_size + data.stat().st_size
    # they go with it where the other stage is exported later
    export(replace(request, stages=("decoder",)))
    assert lightsam("parity", folder, "--suite", "quick").status == 0
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 64
    data.write_bytes(content)
    done = lightsam("parity", folder, "--suite", "quick")
    assert done.status == 1
    assert "encoder.onnx has changed" in done.stdout
    data.unlink()
    done = lightsam("parity", folder, "--suite", "quick")
    assert done.status == 1
    assert "cannot be read as ONNX" in done.stdout


@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_a_damaged_file_is_told(tmp_path, exports_of, damage):
    content = exports_of("onnx", "float32").path("encoder").read_bytes()
    path = tmp_path / "encoder.onnx"
    path.write_bytes({"text": b"not a model", "truncated": content[: len(content) // 2], "empty": b""}[damage])
    with pytest.raises(ContractError, match=r"encoder\.onnx"):
        onnx_format.FORMAT.load(path, "encoder", RunOptions())


def test_a_file_of_somebody_else_is_told(tmp_path, exports_of):
    model = onnx.load(exports_of("onnx", "float32").path("encoder"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "encoder.onnx")
    with pytest.raises(ContractError, match="was not exported by lightsam"):
        onnx_format.FORMAT.load(tmp_path / "encoder.onnx", "encoder", RunOptions())


def test_the_converters_own_message_is_passed_on(tmp_path, tiny_stages, provenance, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("\nno translation for aten.frobnicate\nand more")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportError, match=r"the encoder of tiny_sam: no translation for aten\.frobnicate$"):
        find_format("onnx").export([tiny_stages.encoder], tmp_path / "e.onnx", options_of("onnx"), provenance)
