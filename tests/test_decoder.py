"""The static decoder equals the dynamic one: where other exporters go wrong."""

import numpy as np
import pytest
from agreement import assert_close

from lightsam.geometry import Frame
from lightsam.prompts import Prompt, encode_prompts
from lightsam.rules import PointLabel

FRAME = Frame(128, 96, 128)
MASK = np.linspace(-6, 6, 32 * 32, dtype=np.float32).reshape(32, 32)
PROMPTS = {
    "point": Prompt(points=[(60, 40)]),
    "points": Prompt(points=[(60, 40), (20, 20), (100, 80)], labels=[1, 0, 1]),
    "box": Prompt(box=(10, 10, 90, 70)),
    "box_and_points": Prompt(points=[(60, 40), (15, 60)], labels=[1, 0], box=(10, 10, 90, 70)),
    "point_and_mask": Prompt(points=[(60, 40)], mask=MASK),
    "mask": Prompt(mask=MASK),
    "seven_points": Prompt(points=[(10.0 * i, 50) for i in range(7)]),
}


@pytest.fixture(scope="module")
def embeddings(tiny_stages):
    return tiny_stages.encoder.run(tiny_stages.encoder.sample_inputs())["image_embeddings"]


@pytest.fixture(scope="module")
def decode(tiny_stages, embeddings):
    return lambda inputs: tiny_stages.decoder.run({"image_embeddings": embeddings, **inputs})


def assert_same(found, expected):
    for name in expected:
        assert_close(found[name], expected[name], name)


@pytest.mark.parametrize("name", PROMPTS)
@pytest.mark.parametrize("slots", [8, 13])
def test_static_slots_equal_the_dynamic_decoder(decode, name, slots):
    dynamic = decode(encode_prompts([PROMPTS[name]], FRAME))
    static = decode(encode_prompts([PROMPTS[name]], FRAME, slots))
    assert np.abs(dynamic["low_res_masks"]).max() > 0.5  # an answer of zeros would agree with anything
    assert_same(static, dynamic)


def test_what_lies_in_an_empty_slot_does_not_matter(decode):
    inputs = encode_prompts([PROMPTS["points"]], FRAME, 8)
    expected = decode(inputs)
    empty = inputs["point_labels"] == PointLabel.EMPTY
    assert empty.sum() == 4
    inputs["point_coords"][empty] = 1e4
    assert_same(decode(inputs), expected)


def test_upstreams_padding_label_in_empty_slots_would_change_the_masks(decode):
    """The known fault: filling with -1 flips pixels, so -2 is needed."""
    inputs = encode_prompts([PROMPTS["point"]], FRAME, 8)
    expected = decode(inputs)["low_res_masks"] > 0
    inputs["point_labels"][inputs["point_labels"] == PointLabel.EMPTY] = PointLabel.PADDING
    assert ((decode(inputs)["low_res_masks"] > 0) != expected).mean() > 0.01


def test_every_label_means_something_else(decode):
    predictions = []
    for label in PointLabel:
        inputs = encode_prompts([PROMPTS["point"]], FRAME)
        inputs["point_labels"][0, 0] = label
        predictions.append(decode(inputs)["low_res_masks"])
    for i, first in enumerate(predictions):
        for second in predictions[:i]:
            assert np.abs(first - second).max() > 1e-3


def test_a_batch_of_prompts_equals_one_at_a_time(decode):
    together = decode(encode_prompts(list(PROMPTS.values()), FRAME))
    for index, prompt in enumerate(PROMPTS.values()):
        alone = decode(encode_prompts([prompt], FRAME))
        assert_same({name: array[index : index + 1] for name, array in together.items()}, alone)


def test_mask_input_is_ignored_unless_asked_for(decode):
    inputs = encode_prompts([PROMPTS["point_and_mask"]], FRAME)
    with_mask = decode(inputs)
    without = decode({**inputs, "has_mask_input": np.zeros(1, np.float32)})
    assert np.abs(with_mask["low_res_masks"] - without["low_res_masks"]).max() > 1e-2
    assert_same(without, decode(encode_prompts([PROMPTS["point"]], FRAME)))
