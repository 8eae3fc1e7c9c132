"""A checkpoint out of other people's ONNX files: what exporters do is undone, proved, or refused in one line."""

from copy import deepcopy
from dataclasses import replace

import foreign
import numpy as np
import onnx
import pytest
import tiny
import torch
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from lightsam import load_model
from lightsam.errors import CheckpointError, UsageError
from lightsam.modeling.common import ConvBN, fold
from lightsam.modeling.repvit import RepVGGDepthwise
from lightsam.models import MODELS
from lightsam.stages import split
from lightsam.weights.onnx_import import PlacingError, import_onnx, placing, proof
from lightsam.weights.onnx_import.graph import read_graph
from lightsam.weights.onnx_import.slots import UndoError, expected
from lightsam.weights.onnx_import.uses import Normalization, Use, read_uses


@pytest.fixture
def vit_card(monkeypatch):
    """The small ViT at the one size that its position tables are for, as those of the published ones."""
    card = replace(MODELS["tiny_vit"], image_sizes=(1024,))
    monkeypatch.setitem(MODELS, card.name, card)


@pytest.fixture(scope="module")
def pair(tmp_path_factory, tiny_model):
    """The small model's files; shared, so read them only."""
    return foreign.export(tiny_model, tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def single_pair(tmp_path_factory, tiny_model):
    """Likewise, with a decoder that gives one mask of four."""
    return foreign.export(tiny_model, tmp_path_factory.mktemp("single"), single=True)


CASES = [
    ("tiny_sam", {"opset": 17}),
    ("tiny_sam", {"opset": 13, "folding": False}),
    ("tiny_sam", {"opset": 16, "raw": True, "single": True}),
    ("tiny_repvit", {"opset": 13, "single": True}),
    ("tiny_repvit", {"opset": 17, "fused": True}),
    ("tiny_edge", {"opset": 17}),
    ("tiny_edge", {"opset": 14, "fused": True}),
    ("tiny_vit", {"opset": 17}),
    ("tiny_vit", {"opset": 14, "folding": False}),
    ("tiny_sam2", {"opset": 17}),
    ("tiny_sam2", {"opset": 16, "folding": False}),
]


def test_a_model_without_sams_decoder_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match="SAM 2's own decoder, which efficient_sam_ti has not: give its checkpoint"):
        import_onnx(tmp_path / "encoder.onnx", tmp_path / "decoder.onnx", MODELS["efficient_sam_ti"])


NOT_IN_FILES = "mask_decoder.pred_obj_score_head."


@pytest.mark.parametrize(("name", "how"), CASES, ids=[f"{name}-{'-'.join(map(str, how))}" for name, how in CASES])
def test_what_was_exported_comes_back(name, how, tmp_path, vit_card):
    model = load_model(name, weights="seeded").sam
    exported = fold(deepcopy(model)) if how.pop("fused", False) else model
    imported = import_onnx(*foreign.export(exported, tmp_path, **how), MODELS[name])
    assert imported.worst_db >= proof.REQUIRED_DB
    assert len({one.prompt for one in imported.agreements}) == 5  # the encoder, and four prompts
    assert imported.convention == ("HWC, 0..255, normalized inside" if how.get("raw") else "NCHW, normalized")

    path = tmp_path / "back.safetensors"
    save_file(imported.state, path)
    loaded = load_model(name, weights=path).sam
    before, after = fold(deepcopy(model)).state_dict(), fold(deepcopy(loaded)).state_dict()
    assert set(after) == {key for key in before if not key.startswith(NOT_IN_FILES)}
    for key in after:  # folding BatchNorms rounds, in the exporter as here; everything else comes back as it was
        exact = "weight" not in key and "bias" not in key
        torch.testing.assert_close(after[key], before[key], rtol=0 if exact else 1e-5, atol=0 if exact else 1e-5)
    unfolded = [key for key in imported.state if key.startswith(("prompt_encoder.", "mask_decoder."))]
    for key in unfolded:
        assert torch.equal(loaded.state_dict()[key], model.state_dict()[key]), key


@pytest.mark.parametrize(("name", "level"), [("tiny_sam", "ALL"), ("tiny_sam2", "BASIC"), ("tiny_sam2", "ALL")])
def test_files_of_onnx_runtime_come_back(name, level, tmp_path):
    """With its operations for several of ONNX, and what is constant computed."""
    model = load_model(name, weights="seeded").sam
    encoder, decoder = (foreign.as_ort(path, level) for path in foreign.export(model, tmp_path))
    # What a file is called is not asked.
    imported = import_onnx(encoder.rename(tmp_path / "encoder.onnx"), decoder, MODELS[name])
    assert imported.worst_db >= proof.REQUIRED_DB
    for key, tensor in imported.state.items():
        if not key.startswith("image_encoder."):
            torch.testing.assert_close(tensor, model.state_dict()[key], rtol=1e-6, atol=1e-6)


def test_the_parts_of_a_sum_come_back_as_others_of_the_same_sum(tmp_path):
    model = load_model("tiny_sam2", weights="seeded").sam
    imported = import_onnx(
        *(foreign.as_ort(path, "BASIC") for path in foreign.export(model, tmp_path)), MODELS["tiny_sam2"]
    )
    (remark,) = imported.remarks
    assert "only the sum of image_encoder.trunk.pos_embed and image_encoder.trunk.pos_embed_window" in remark

    (one,) = model.image_encoder.trunk.sums()
    parts = [imported.state[f"image_encoder.trunk.{key}"] for key in one.parameters]
    ours = [model.image_encoder.trunk.get_parameter(key) for key in one.parameters]
    assert not any(torch.allclose(part, own, atol=1e-3) for part, own in zip(parts, ours, strict=True))
    torch.testing.assert_close(one.table(*parts), one.table(*ours), rtol=1e-6, atol=1e-6)


def test_a_table_that_is_no_sum_is_refused():
    model = MODELS["tiny_sam2"].build(tiny.SIZE)
    slots = expected(MODELS["tiny_sam2"], model, decoder=False, summed=True)
    (slot,) = [slot for slot in slots if "image_encoder.trunk.pos_embed" in slot.keys]
    (one,) = model.image_encoder.trunk.sums()
    tiny.randomise(model.image_encoder.trunk)
    table = one.table(*(model.image_encoder.trunk.get_parameter(key) for key in one.parameters)).detach().numpy()
    for layout in (table, table.transpose(0, 2, 3, 1)):
        assert set(slot.restore(Use("table", layout, "out"))) == {"pos_embed", "pos_embed_window"}
    table[0, 3, 4, 5] += 1
    with pytest.raises(UndoError, match="no sum of pos_embed and pos_embed_window"):
        slot.restore(Use("table", table, "out"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mobile_sam", "repvit_sam", "edge_sam", "sam_vit_b", "sam_vit_l", "sam_vit_h", "sam2_hiera_tiny"]
)
def test_full_size_models_come_back(name, tmp_path):
    model = load_model(name, weights="seeded").sam
    imported = import_onnx(*foreign.export(model, tmp_path), MODELS[name])
    assert imported.worst_db >= proof.REQUIRED_DB


# -- what is undone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block",
    [
        ConvBN(4, 6, 3, padding=1),
        RepVGGDepthwise(6, outer_norm=True),
        RepVGGDepthwise(6, outer_norm=False),
    ],
    ids=["conv-bn", "outer-norm", "inner-norm"],
)
def test_a_folded_convolution_comes_back_to_the_bit(block):
    tiny.randomise(block)
    folded = block.reparametrize()
    weight, bias = folded.weight.detach() - 1, folded.bias.detach() - 1  # of both signs
    restored = type(block)(4, 6, 3, padding=1) if isinstance(block, ConvBN) else deepcopy(block)
    restored.load_state_dict(block.restored(weight, bias), strict=True)
    again = restored.eval().reparametrize()
    assert torch.equal(again.weight, weight)
    assert torch.equal(again.bias, bias)
    x = torch.randn(1, weight.shape[1] * folded.groups, 8, 8)
    folded.load_state_dict({"weight": weight, "bias": bias})
    torch.testing.assert_close(restored(x), folded(x), rtol=1e-4, atol=1e-4)


def slot_of(name: str, model_name: str = "tiny_sam", *, decoder: bool = False, fused: bool = False):
    card = MODELS[model_name]
    model = card.build(card.native_size).eval()
    (slot,) = [slot for slot in expected(card, model, decoder=decoder, fused=fused) if slot.keys[0].startswith(name)]
    return slot, model


def test_a_batchnorm_that_was_left_standing_is_taken_as_it_is():
    slot, model = slot_of("image_encoder.patch_embed.seq.0.")
    block = tiny.randomise(model.image_encoder.patch_embed.seq[0])
    state = {key: value.numpy() for key, value in block.state_dict().items()}
    norm = [state[f"bn.{key}"] for key in ("weight", "bias", "running_mean", "running_var")]
    kept = slot.restore(Use("conv", state["c.weight"], "out", batchnorm=Normalization(*norm, epsilon=block.bn.eps)))
    assert all(torch.equal(kept[key], block.state_dict()[key]) for key in kept)

    # with another epsilon it is folded, as only then the answers stay
    other = slot.restore(Use("conv", state["c.weight"], "out", batchnorm=Normalization(*norm, epsilon=0.1)))
    x = torch.randn(1, 3, 8, 8)
    block.bn.eps = 0.1
    reference = block(x)
    block.bn.eps = 1e-5
    block.load_state_dict(other)
    torch.testing.assert_close(block(x), reference, rtol=1e-5, atol=1e-5)


def test_position_biases_are_gathered_back():
    slot, model = slot_of("image_encoder.layers.1.blocks.0.attn.attention_biases")
    attention = model.image_encoder.layers[1].blocks[0].attn
    biases = torch.randn(attention.attention_biases.shape)
    table = biases[:, attention.distances].numpy()  # (h, L, L)
    for shape in (table, table[None], biases.numpy()):
        assert torch.equal(slot.restore(Use("table", shape, "out"))["attention_biases"], biases)

    table[0, 3, 4] += 1  # as no lookup can make it
    with pytest.raises(UndoError, match="several values for one distance"):
        slot.restore(Use("table", table, "out"))


def test_relative_positions_are_gathered_back(vit_card):
    slot, model = slot_of("image_encoder.blocks.0.attn.rel_pos_h", "tiny_vit")
    attention = model.image_encoder.blocks[0].attn
    positions = torch.randn(attention.rel_pos_h.shape)
    table = positions[attention.distances].numpy()  # (w, w, d)
    for shape in (table, positions.numpy()):
        assert torch.equal(slot.restore(Use("table", shape, "out"))["rel_pos_h"], positions)


def test_tokens_that_became_one_constant_come_apart():
    slot, _ = slot_of("mask_decoder.iou_token", decoder=True)
    tokens = np.random.default_rng(0).standard_normal((1, 5, 256)).astype(np.float32)
    state = slot.restore(Use("table", tokens, "out"))
    assert torch.equal(state["iou_token.weight"], torch.from_numpy(tokens[0, :1]))
    assert torch.equal(state["mask_tokens.weight"], torch.from_numpy(tokens[0, 1:]))


def test_prompts_are_told_apart_by_their_label_and_not_by_their_order(pair, tmp_path):
    """Without names, and with the kinds of points in another order than any exporter writes them."""
    graph = read_graph(pair[1], tmp_path)
    uses = read_uses(graph)
    labels = [use for use in uses if use.kind == "label"]
    others = [use for use in uses if use.kind != "label"]
    assert sorted(use.label for use in labels) == [-1, 0, 1, 2, 3]
    graph.origins.clear()
    card = MODELS[tiny.NAME]
    slots = expected(card, card.build(card.native_size).eval(), decoder=True)
    forward = placing.place(slots, uses, graph).state
    backward = placing.place(slots, others + labels[::-1], graph).state
    assert all(torch.equal(forward[key], backward[key]) for key in forward)


def test_names_that_survived_count_more_than_the_order(pair, tmp_path):
    """Two layers of one shape, whose operations an optimizer put the other way round."""
    graph = read_graph(pair[1], tmp_path)
    uses = read_uses(graph)
    card = MODELS[tiny.NAME]
    slots = expected(card, card.build(card.native_size).eval(), decoder=True)
    right = placing.place(slots, uses, graph).state
    turned = placing.place(slots, uses[::-1], graph).state
    key = "mask_decoder.transformer.layers.0.self_attn.q_proj.weight"  # the name of its bias says whose it is
    assert torch.equal(right[key], turned[key])
    graph.origins.clear()
    assert not torch.equal(placing.place(slots, uses[::-1], graph).state[key], right[key])


def test_one_constant_for_several_layers_is_given_to_each(pair, tmp_path, tiny_model):
    """Exporters keep equal tensors once, and let Identity nodes stand for the others."""
    model = deepcopy(tiny_model)
    with torch.no_grad():
        for layer in model.mask_decoder.transformer.layers:
            layer.norm1.bias.zero_()
            layer.norm2.bias.zero_()
    encoder, decoder = foreign.export(model, tmp_path)
    shared = [node for node in onnx.load(decoder).graph.node if node.op_type == "Identity"]
    assert shared
    imported = import_onnx(encoder, decoder, MODELS[tiny.NAME])
    for index in range(2):
        assert not imported.state[f"mask_decoder.transformer.layers.{index}.norm1.bias"].any()


# -- what is not in the files --------------------------------------------------------------------------------------


def test_an_output_that_no_file_holds_is_given_up(tmp_path, caplog):
    model = load_model("tiny_sam2", weights="seeded").sam
    imported = import_onnx(*foreign.export(model, tmp_path), MODELS["tiny_sam2"])
    assert imported.lacking == ("object_score_logits",)
    save_file(imported.state, tmp_path / "tiny.safetensors")
    loaded = load_model("tiny_sam2", weights=tmp_path / "tiny.safetensors").sam
    assert "lacks mask_decoder.pred_obj_score_head: the decoder will not give object_score_logits" in caplog.text
    decoder, whole = split(loaded).decoder, split(model).decoder
    decoder.check()
    assert [spec.name for spec in decoder.outputs] == ["low_res_masks", "iou_predictions"]
    inputs = whole.sample_inputs()
    masks = [torch.from_numpy(one.run(inputs)["low_res_masks"]) for one in (decoder, whole)]
    torch.testing.assert_close(*masks, rtol=1e-4, atol=1e-4)
    # The registry's own model is as it was.
    assert len(load_model("tiny_sam2", weights="seeded").sam.mask_decoder.further_outputs) == 1


def test_what_is_odd_about_the_files_is_said(tmp_path, lightsam):
    model = load_model("tiny_sam2", weights="seeded").sam
    pair = (foreign.as_ort(path, "BASIC") for path in foreign.export(model, tmp_path))
    output = tmp_path / "tiny.safetensors"
    done = lightsam("weights", "import", *pair, "--model", "tiny_sam2", "--output", output)
    assert done.status == 0, done.stderr
    assert "not in the files, so that the model will not give it: object_score_logits" in done.stdout
    assert "decoder.ort puts the padding point behind those of a prompt itself" in done.stdout
    assert "only the sum of image_encoder.trunk.pos_embed and" in done.stdout


def test_a_part_that_is_there_in_part_is_not_given_up(tmp_path):
    state = load_model("tiny_sam2", weights="seeded").sam.state_dict()
    del state["mask_decoder.pred_obj_score_head.layers.1.weight"]
    save_file(state, tmp_path / "damaged.safetensors")
    with pytest.raises(CheckpointError, match=r"1 missing \(mask_decoder.pred_obj_score_head.layers.1.weight\)"):
        load_model("tiny_sam2", weights=tmp_path / "damaged.safetensors")


# -- the proof ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("image_encoder.layers.2.blocks.0.mlp.fc1.weight", "on the image embeddings"),
        ("image_encoder.layers.1.blocks.0.attn.attention_biases", "on the image embeddings"),
        ("prompt_encoder.point_embeddings.3.weight", "for the prompt 'box'"),
        ("prompt_encoder.mask_downscaling.3.bias", "for the prompt 'mask'"),
        ("prompt_encoder.not_a_point_embed.weight", "for the prompt 'point'"),
        # the one mask that a single-mask file never gave for these prompts
        ("mask_decoder.output_hypernetworks_mlps.0.layers.1.weight", r"output_hypernetworks_mlps\.0"),
    ],
)
def test_one_wrong_tensor_fails_the_proof(key, message, single_pair, monkeypatch):
    def slightly_wrong(*arguments):
        placement = placing.place(*arguments)
        if key in placement.state:
            placement.state[key] = placement.state[key] * 1.05
        return placement

    monkeypatch.setattr("lightsam.weights.onnx_import.place", slightly_wrong)
    with pytest.raises(CheckpointError, match=f"do not answer as it does: .* dB .*{message}"):
        import_onnx(*single_pair, MODELS[tiny.NAME])


# -- the command, and what it refuses -----------------------------------------------------------------------------


def run_import(lightsam, pair, output, *more):
    return lightsam("weights", "import", *pair, "--model", tiny.NAME, "--output", output, *more)


def test_the_command(lightsam, pair, tmp_path, tiny_model):
    output = tmp_path / "tiny.safetensors"
    done = run_import(lightsam, pair, output)
    assert done.status == 0, done.stderr
    assert "image_embeddings" in done.stdout
    assert "not needed" in done.stdout
    assert "image_encoder.head.weight" in done.stdout
    assert not any(key.startswith("image_encoder.head") for key in load_file(output))
    loaded = load_model(tiny.NAME, weights=output)
    assert loaded.weights.trained
    assert torch.equal(loaded.sam.mask_decoder.iou_token.weight, tiny_model.mask_decoder.iou_token.weight)

    content = output.read_bytes()
    done = run_import(lightsam, pair, output)
    assert done.status == 2
    assert "is there already: give --overwrite" in done.stderr
    output.write_bytes(b"old")
    assert run_import(lightsam, pair, output, "--overwrite").status == 0
    assert output.read_bytes() == content  # the same files give the same checkpoint


def change(path, source, alter):
    model = onnx.load(source)
    alter(model)
    onnx.save(model, path)


@pytest.fixture
def wrong(pair, tmp_path, monkeypatch):
    """Files that should not be imported, and a link to each good one."""
    encoder, decoder = pair
    monkeypatch.chdir(tmp_path)
    for name, source in (("encoder.onnx", encoder), ("decoder.onnx", decoder)):
        (tmp_path / name).symlink_to(source)
    (tmp_path / "text.onnx").write_text("no protocol buffer at all, but some words of English\n", encoding="utf-8")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "truncated.onnx").write_bytes(decoder.read_bytes()[:-100_000])

    def halve(model):
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))

    def drop_mask(model):
        kept = [node for node in model.graph.input if node.name != "has_mask_input"]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "has_mask_input"))

    change(tmp_path / "half.onnx", encoder, halve)
    change(tmp_path / "no_flag.onnx", decoder, drop_mask)
    return tmp_path


def quantize(source, target):
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(str(source), str(target))


WRONG = [
    ("decoder.onnx encoder.onnx", 1, "decoder.onnx is a mask decoder and encoder.onnx is none: give the encoder first"),
    ("encoder.onnx encoder.onnx", 1, "encoder.onnx is no mask decoder: its inputs are image"),
    ("decoder.onnx decoder.onnx", 1, "decoder.onnx is no image encoder: its inputs are image_embeddings, point_coords"),
    ("none.onnx decoder.onnx", 1, "there is no ONNX file none.onnx"),
    ("text.onnx decoder.onnx", 1, "text.onnx is damaged or not an ONNX file"),
    ("empty.onnx decoder.onnx", 1, "empty.onnx is damaged or not an ONNX file"),
    ("encoder.onnx truncated.onnx", 1, "truncated.onnx is damaged or not an ONNX file"),
    ("half.onnx decoder.onnx", 1, "half.onnx is in half precision"),
    ("quantized.onnx decoder.onnx", 1, "quantized.onnx is quantized"),
    ("encoder.onnx decoder.onnx --model tiny_repvit", 1, "encoder.onnx cannot be imported as tiny_repvit"),
    ("encoder.onnx decoder.onnx --model nothing", 2, "there is no model 'nothing'"),
    ("encoder.onnx decoder.onnx --output encoder.safetensors/x.safetensors", 1, "cannot write to"),
    ("encoder.onnx decoder.onnx --output out.pt", 2, "out.pt does not end in .safetensors"),
    ("same.safetensors decoder.onnx --output same.safetensors --overwrite", 2, "is one of the files that are imported"),
]


@pytest.mark.parametrize(("line", "status", "message"), WRONG, ids=[line for line, *_ in WRONG])
def test_what_cannot_be_imported_is_refused_in_one_line(line, status, message, lightsam, wrong):
    (wrong / "encoder.safetensors").write_bytes(b"a file where a folder should be")
    (wrong / "same.safetensors").write_bytes((wrong / "encoder.onnx").read_bytes())
    if "quantized" in line:
        quantize(wrong / "encoder.onnx", wrong / "quantized.onnx")
    before = sorted(path.name for path in wrong.iterdir())
    words = line.split()
    words += [] if "--model" in words else ["--model", tiny.NAME]
    words += [] if "--output" in words else ["--output", "out.safetensors"]
    done = lightsam("weights", "import", *words)
    assert done.status == status, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in wrong.iterdir()) == before


def test_every_tensor_that_is_missing_or_left_over_is_named(pair, tmp_path, lightsam):
    with pytest.raises(PlacingError) as caught:
        import_onnx(*pair, MODELS["tiny_repvit"])
    assert "image_encoder.features.1.token_mixer.0.conv.c.weight" in caught.value.missing
    assert any("/layers.1/blocks.0/attn/qkv" in name for name in caught.value.unplaced)
    message = str(caught.value)
    assert "tensors of the checkpoint are not in the file" in message
    assert "layers of the file have no place in tiny_repvit" in message
    assert "\n" not in message

    command = ("weights", "import", *pair, "--model", "tiny_repvit", "--output", tmp_path / "out.safetensors")
    done = lightsam("--verbose", *command)
    assert done.status == 1
    told = "".join(done.stderr.split())  # lines are folded
    for name in (*caught.value.missing, *caught.value.unplaced):
        assert "".join(name.split()) in told
    assert len(lightsam(*command).stderr.splitlines()) < 10


def test_a_decoder_without_masks_is_refused_by_the_names_of_what_it_lacks(tmp_path, pair, tiny_model):
    """As EdgeSAM's own export: points alone, and no earlier mask."""

    class PointsAlone(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder = foreign.Decoder(tiny_model, single=False)

        def forward(self, embeddings, coords, labels):
            prompts, decoder = self.decoder.decoder.prompt_encoder, self.decoder.decoder.mask_decoder
            dense = prompts.no_mask_embed.weight[:, :, None, None]
            grid = prompts.pe_layer.grid(embeddings.shape[-1])
            masks, scores = decoder(embeddings, grid, prompts.embed_points(coords, labels), dense, 0 * labels)
            return scores, masks

    side = tiny_model.image_size // 16
    foreign.trace(
        PointsAlone().eval(),
        (torch.randn(1, 256, side, side), torch.rand(1, 3, 2), torch.ones(1, 3)),
        tmp_path / "points.onnx",
        input_names=["image_embeddings", "point_coords", "point_labels"],
        output_names=["scores", "masks"],
    )
    with pytest.raises(PlacingError) as caught:
        import_onnx(pair[0], tmp_path / "points.onnx", MODELS[tiny.NAME])
    assert all(key.startswith("prompt_encoder.mask_downscaling.") for key in caught.value.missing)
    assert len(caught.value.missing) == 10
