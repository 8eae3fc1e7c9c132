"""SAM 2's own layers: windows whose map is halved, projections that fold, and a decoder of three maps."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from agreement import assert_close
from torch.nn import functional as F

from lightsam import Prompt, load_model
from lightsam.modeling.common import fold
from lightsam.modeling.sam2 import ProjectedLateral, Sam2PromptEncoder
from lightsam.models.sam2 import Hiera, HieraBlock
from lightsam.prompts import encode_prompts
from lightsam.stages import split
from lightsam_exporters.formats.gate import FLOAT16
from lightsam_exporters.parity.judge import judge
from lightsam_exporters.parity.reference_image import ReferenceImage
from lightsam_exporters.parity.suite import load_suite

NAME = "tiny_sam2"
SCORE = "object_score_logits"
PROMPTS = [
    Prompt(points=[(60, 40)]),
    Prompt(box=(10, 10, 90, 70)),
    Prompt(points=[(60, 40), (15, 60)], labels=[1, 0], box=(10, 10, 90, 70)),
    Prompt(points=[(60, 40)], mask=np.linspace(-6, 6, 32 * 32, dtype=np.float32).reshape(32, 32)),
]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_a_lateral_convolution_and_its_projection_fold_into_one():
    pair = tiny.randomise(ProjectedLateral(6, 16, 4))
    x = drawn(1, 6, 5, 5)
    conv = pair.reparametrize()
    assert (conv.in_channels, conv.out_channels) == (6, 4)
    torch.testing.assert_close(conv(x), pair(x), rtol=1e-5, atol=1e-4)


def test_a_folded_projection_can_be_restored():
    pair = tiny.randomise(ProjectedLateral(6, 16, 4))
    conv = pair.reparametrize()
    other = ProjectedLateral(6, 16, 4)
    other.load_state_dict(other.restored(conv.weight, conv.bias))
    again = other.reparametrize()
    assert torch.equal(again.weight, conv.weight)
    assert torch.equal(again.bias, conv.bias)


def test_a_folded_encoder_has_no_projection_left():
    encoder = load_model(NAME, weights="seeded").sam.image_encoder
    x = drawn(1, 3, tiny.SIZE, tiny.SIZE)
    with torch.inference_mode():
        expected = encoder(x)
        found = fold(encoder)(x)
    assert not any(isinstance(module, ProjectedLateral) for module in encoder.modules())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [8, 12])  # of a last window that is padded, and of none
def test_a_halving_block_is_what_it_says_window_by_window(side):
    """Against the definition: each window alone, its padding keys like any other, the queries the largest of four."""
    block = tiny.randomise(HieraBlock(4, 8, 2, side=side, window=6))
    x = drawn(1, side, side, 4)
    normed = F.pad(block.norm1(x), (0, 0, 0, 12 - side, 0, 12 - side))
    attended = torch.zeros(1, 6, 6, 8)
    for row in (0, 1):
        for column in (0, 1):
            window = normed[:, 6 * row : 6 * row + 6, 6 * column : 6 * column + 6]
            q, k, v = block.attn.qkv(window).split(8, dim=3)
            q = q.reshape(1, 3, 2, 3, 2, 8).amax((2, 4)).reshape(1, 9, 2, 4).transpose(1, 2)
            k, v = (part.reshape(1, 36, 2, 4).transpose(1, 2) for part in (k, v))
            answer = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 3, 3, 8)
            attended[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3] = answer
    half = side // 2
    shortcut = block.proj(block.norm1(x)).reshape(1, half, 2, half, 2, 8).amax((2, 4))
    expected = shortcut + block.attn.proj(attended)[:, :half, :half]
    expected = expected + block.mlp(block.norm2(expected))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [512, 768, 1024])
def test_positions_are_a_coarse_map_and_a_window_again_and_again(size):
    trunk = tiny.randomise(Hiera(size, tiny.HIERA))
    coarse = F.interpolate(trunk.pos_embed, (size // 4, size // 4), mode="bicubic")
    window = trunk.pos_embed_window
    assert trunk.positions is None
    fold(trunk)
    found = trunk.positions.permute(0, 3, 1, 2) - coarse
    for row, column in ((0, 0), (8, 16), (size // 4 - 8, size // 4 - 8)):
        torch.testing.assert_close(found[:, :, row : row + 8, column : column + 8], window)


def test_mask_prompts_are_clamped():
    prompts = tiny.randomise(Sam2PromptEncoder(64))
    given = torch.ones(1)
    mask = 100 * drawn(1, 1, 16, 16)
    found = prompts.embed_mask(mask, given)
    torch.testing.assert_close(found, prompts.embed_mask(mask.clamp(-32, 32), given))
    assert not torch.allclose(found, prompts.embed_mask(mask.clamp(-20, 20), given))


@pytest.fixture(scope="module")
def stages():
    return split(load_model(NAME, weights="seeded").sam)


@pytest.fixture(scope="module")
def features(stages):
    return stages.encoder.run(stages.encoder.sample_inputs())


def test_prompts_are_answered_together_as_one_by_one(stages, features):
    """And in eight slots as in as many as they need: a box is followed by a padding point, too."""
    frame, rules = stages.preprocess.frame(128, 96), stages.rules.prompts
    together = stages.decoder.run({**features, **encode_prompts(PROMPTS, frame, 8, rules=rules)})
    assert together["object_score_logits"].shape == (4, 1)
    assert ((together["iou_predictions"] > 0) & (together["iou_predictions"] < 1)).all()
    alone = []
    for prompt in PROMPTS:
        inputs = encode_prompts([prompt], frame, rules=rules)
        assert (inputs["point_labels"] == -1).sum() == 1
        alone.append(stages.decoder.run({**features, **inputs}))
    for name, found in together.items():
        assert_close(found, np.concatenate([answer[name] for answer in alone]), name)


@pytest.mark.parametrize("name", ["image_embeddings", "high_res_features_0", "high_res_features_1"])
def test_every_feature_map_counts(stages, features, name):
    inputs = encode_prompts(PROMPTS[:1], stages.preprocess.frame(128, 96), rules=stages.rules.prompts)
    masks = [
        stages.decoder.run({**given, **inputs})["low_res_masks"]
        for given in (features, {**features, name: np.zeros_like(features[name])})
    ]
    assert np.abs(masks[0] - masks[1]).max() > 0.1 * np.abs(masks[0]).max()


@pytest.mark.parametrize(("error", "passes"), [(1e-3, True), (0.1, False)])
def test_a_score_close_to_zero_is_held_to_the_magnitude_of_scores(matrix_of, stages, error, passes):
    """Of one value the error is no part of the value itself."""
    entry = matrix_of(NAME, "onnx", "float32")
    encoder, decoder = entry.load("encoder"), entry.load("decoder")

    def off(inputs):
        answer = decoder.run(inputs)
        return {**answer, SCORE: answer[SCORE] + error}

    image = ReferenceImage(stages, load_suite("quick").images[0])
    report = judge([image], "a suite", encoder, replace(decoder, run=off), FLOAT16)
    scores = [one for one in report.measurements if one.output == SCORE and one.scope == "decoder"]
    assert len(scores) == 5
    assert all(one.max_abs_error == pytest.approx(error, rel=1e-3) for one in scores)
    assert report.passed is passes
    assert all((SCORE in failure) and "PSNR" in failure for failure in report.failures)
