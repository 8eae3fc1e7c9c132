"""The models compute what the published implementations compute."""

import golden
import numpy as np
import pytest
import tiny
import torch

from lightsam.models import MODELS
from lightsam.prompts import encode_prompts
from lightsam.stages import split
from lightsam.weights.state import to_model_names

LIMIT = 1e-4  # of the output's standard deviation; the reference against itself in another order of operations: 1e-5
SLOW = ("sam_vit_b", "sam_vit_l", "sam_vit_h")  # a minute and gigabytes each


def test_every_model_has_its_golden_outputs():
    assert golden.models() == set(tiny.PUBLISHED)


@pytest.mark.parametrize("model", sorted(golden.models()))
def test_keys_are_those_of_the_published_checkpoint(model):
    """All of them, under the model's own names, but for parts that the card leaves out."""
    recorded = golden.read(f"{model}.state_dict").items()
    with torch.device("meta"):
        published = {name: torch.empty(shape, dtype=getattr(torch, dtype)) for name, (shape, dtype) in recorded}
    card = MODELS[model]
    named = {name: (t.shape, t.dtype) for name, t in to_model_names(published, card).items()}
    for beginning in card.left_out:
        assert any(name.startswith(beginning) for name in published), beginning
    for size in card.image_sizes:  # the weights fit every size
        state = card.skeleton(size).state_dict()
        assert {name: (t.shape, t.dtype) for name, t in state.items()} == named


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow) if one in SLOW else one for one in sorted(golden.records())]
)
def test_outputs_are_those_of_the_reference_implementation(name):
    recorded = golden.read(f"{name}.golden")
    size = recorded["image_size"]
    stages = split(golden.load(golden.model_of(name), size))
    features = stages.encoder.run({"image": golden.image(size)})
    for feature, samples in golden.encoder_samples(recorded).items():
        assert golden.deviation(features[feature], samples) < LIMIT, feature

    assert len(recorded["decoder"]) >= 5
    rules, outputs = stages.rules, {}
    for case, expected in recorded["decoder"].items():
        prompt = golden.prompt(expected["prompt"], size)
        inputs = encode_prompts([prompt], rules.preprocess.frame(size, size), rules=rules.prompts)
        outputs = stages.decoder.run({**features, **inputs})
        several = slice(1, None) if rules.masks.single else slice(0, None)
        kept = slice(0, 1) if case.endswith("/single") else several
        assert golden.deviation(outputs["low_res_masks"][:, kept], expected["low_res_logits"]) < LIMIT, case
        np.testing.assert_allclose(outputs["iou_predictions"][0, kept], expected["iou"], atol=1e-5, err_msg=case)
        for further in set(outputs) - {"low_res_masks", "iou_predictions"}:
            np.testing.assert_allclose(outputs[further][0], expected[further], atol=1e-4, err_msg=case)


def test_other_weights_miss_the_golden_outputs():
    recorded = golden.read("mobile_sam_512.golden")
    sam = golden.load("mobile_sam", 512)
    sam.image_encoder.layers[2].blocks[0].attn.proj.bias.data += 0.05
    found = split(sam).encoder.run({"image": golden.image(512)})["image_embeddings"]
    assert golden.deviation(found, recorded["encoder"]) > LIMIT
