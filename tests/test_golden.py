"""The models compute what the published implementations compute."""

import golden
import numpy as np
import pytest
import torch

from lightsam.geometry import Frame
from lightsam.models import MODELS
from lightsam.prompts import encode_prompts
from lightsam.stages import split

LIMIT = 1e-4  # of the output's standard deviation; the reference against itself in another order of operations: 1e-5
CASES = [
    ("mobile_sam", "mobile_sam"),
    ("mobile_sam", "mobile_sam_512"),
    ("repvit_sam", "repvit_sam"),
    ("edge_sam", "edge_sam"),
    *[pytest.param(name, name, marks=pytest.mark.slow) for name in ("sam_vit_b", "sam_vit_l", "sam_vit_h")],
]
PUBLISHED = ["mobile_sam", "repvit_sam", "edge_sam", "sam_vit_b", "sam_vit_l", "sam_vit_h"]


@pytest.mark.parametrize("model", PUBLISHED)
def test_keys_are_those_of_the_published_checkpoint(model):
    published = {name: (tuple(shape), dtype) for name, (shape, dtype) in golden.read(f"{model}.state_dict").items()}
    for size in MODELS[model].image_sizes:  # the weights fit every size
        with torch.device("meta"):
            state = MODELS[model].build(size).state_dict()
        assert {name: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in state.items()} == published


def test_every_model_has_its_golden_outputs():
    assert {name for name in MODELS if not name.startswith("tiny")} == set(PUBLISHED)


@pytest.mark.parametrize(("model", "name"), CASES)
def test_outputs_are_those_of_the_reference_implementation(model, name):
    recorded = golden.read(f"{name}.golden")
    size = recorded["image_size"]
    stages = split(golden.load(model, size))
    embeddings = stages.encoder.run({"image": golden.image(size)})["image_embeddings"]
    assert golden.deviation(embeddings, recorded["encoder"]) < LIMIT

    assert len(recorded["decoder"]) == 10  # five prompts, single and multimask
    for case, expected in recorded["decoder"].items():
        inputs = encode_prompts([golden.prompt(expected["prompt"], size)], Frame(size, size, size))
        outputs = stages.decoder.run({"image_embeddings": embeddings, **inputs})
        kept = slice(0, 1) if case.endswith("/single") else slice(1, None)
        assert golden.deviation(outputs["low_res_masks"][:, kept], expected["low_res_logits"]) < LIMIT, case
        np.testing.assert_allclose(outputs["iou_predictions"][0, kept], expected["iou"], atol=1e-5, err_msg=case)


def test_other_weights_miss_the_golden_outputs():
    recorded = golden.read("mobile_sam_512.golden")
    sam = golden.load("mobile_sam", 512)
    sam.image_encoder.layers[2].blocks[0].attn.proj.bias.data += 0.05
    found = split(sam).encoder.run({"image": golden.image(512)})["image_embeddings"]
    assert golden.deviation(found, recorded["encoder"]) > LIMIT
