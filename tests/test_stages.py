"""The stage contract."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from agreement import assert_close

from lightsam.errors import ContractError
from lightsam.models import MODELS
from lightsam.stages import Stage, split


@pytest.mark.parametrize("card", tiny.CARDS, ids=lambda card: card.name)
@pytest.mark.parametrize("size", tiny.CARD.image_sizes)
def test_specs_describe_the_modules(card, size):
    for stage in split(card.build(size)):
        stage.check()


def test_the_encoders_output_is_the_decoders_input():
    for card in MODELS.values():
        with torch.device("meta"):
            stages = split(card.build(card.image_sizes[0]))
        assert stages.encoder.outputs[0] is stages.decoder.inputs[0]


def test_shapes_at_the_published_size():
    stages = split(MODELS["mobile_sam"].build(1024))
    assert {spec.name: spec.shape for stage in stages for spec in (*stage.inputs, *stage.outputs)} == {
        "image": (1, 3, 1024, 1024),
        "image_embeddings": (1, 256, 64, 64),
        "point_coords": (1, 8, 2),
        "point_labels": (1, 8),
        "mask_input": (1, 1, 256, 256),
        "has_mask_input": (1,),
        "low_res_masks": (1, 4, 256, 256),
        "iou_predictions": (1, 4),
    }


def test_samples_repeat_and_respect_their_specs(tiny_stages):
    for stage in tiny_stages:
        first, again, other = stage.sample_inputs(), stage.sample_inputs(), stage.sample_inputs(seed=1)
        for spec in stage.inputs:
            assert np.array_equal(first[spec.name], again[spec.name])
            assert spec.values is not None or not np.array_equal(first[spec.name], other[spec.name])
            assert first[spec.name].shape == spec.shape
            if spec.values is not None:
                assert set(first[spec.name].ravel()) <= set(spec.values)


def test_a_wrong_name_is_found(tiny_stages):
    stage = tiny_stages.decoder
    wrong = replace(stage, inputs=(replace(stage.inputs[0], name="embeddings"), *stage.inputs[1:]))
    with pytest.raises(ContractError, match=r"declare inputs \['embeddings'.*takes \['image_embeddings'"):
        wrong.check()


def test_a_wrong_shape_is_found(tiny_stages):
    stage = tiny_stages.encoder
    wrong = replace(stage, outputs=(replace(stage.outputs[0], shape=(1, 256, 9, 9)),))
    with pytest.raises(ContractError, match=r"image_embeddings is declared float32 \(1, 256, 9, 9\)"):
        wrong.check()


def test_a_missing_input_is_named(tiny_stages):
    with pytest.raises(ContractError, match="the encoder takes"):
        tiny_stages.encoder.run({})


def test_a_skeleton_says_that_it_cannot_be_run():
    stage = split(tiny.CARD.skeleton(tiny.SIZE)).encoder
    with pytest.raises(ContractError, match="the encoder has shapes and no weights: load the model with load_model"):
        stage.run(stage.sample_inputs())


def test_inputs_go_to_the_modules_device_and_outputs_come_back(tiny_stages, monkeypatch):
    """By a stand-in for a GPU: every move is noted, and none is made."""
    moves = []
    monkeypatch.setattr(Stage, "device", property(lambda _: torch.device("cuda")))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: moves.append((device.type, tensor.shape)) or tensor)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: moves.append(("cpu", tensor.shape)) or tensor)
    stage = tiny_stages.encoder
    stage.run(stage.sample_inputs())
    assert moves == [("cuda", stage.inputs[0].shape), ("cpu", stage.outputs[0].shape)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_stage_runs_on_its_modules_device_and_answers_as_on_the_cpu(tiny_model):
    for stage in split(tiny_model):
        there = replace(stage, module=deepcopy(stage.module).to("cuda"))
        assert there.device.type == "cuda"
        inputs = stage.sample_inputs()
        found = there.run(inputs)
        for name, expected in stage.run(inputs).items():
            assert_close(found[name], expected, name)


def test_padding_is_zero_after_normalising_as_upstream(tiny_model):
    """Both the whole-number padding of an 8-bit image and the exact pixel mean."""
    seen = []
    hook = tiny_model.image_encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 128, 128)).astype(np.float32)
    encoder = split(tiny_model).encoder
    preprocess = tiny_model.preprocess
    for colour in (preprocess.padding_colour, preprocess.mean):
        image[:, :, 96:] = np.array(colour)[:, None, None]
        encoder.run({"image": image})
    hook.remove()
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (preprocess.mean, preprocess.std))
    for normalised in seen:
        assert (normalised[0, :, 96:] == 0).all()
        np.testing.assert_allclose(normalised[0, :, :96], (image[0, :, :96] - mean) / std, atol=1e-6)
