"""Prompts become the decoder's inputs by upstream's rules; what cannot be answered is refused."""

import numpy as np
import pytest

from lightsam.errors import PromptError
from lightsam.geometry import Frame
from lightsam.prompts import Prompt, encode_prompts

FRAME = Frame(640, 480, 1024)  # scale 1.6


def test_a_point_gets_one_padding_point():
    inputs = encode_prompts([Prompt(points=[(100, 50)])], FRAME)
    assert inputs["point_coords"].tolist() == [[[160, 80], [0, 0]]]
    assert inputs["point_labels"].tolist() == [[1, -1]]
    assert inputs["has_mask_input"].tolist() == [0]


def test_a_box_is_two_points_and_no_padding():
    inputs = encode_prompts([Prompt(points=[(100, 50)], labels=[0], box=(10, 20, 30, 40))], FRAME)
    assert inputs["point_coords"].tolist() == [[[160, 80], [16, 32], [48, 64]]]
    assert inputs["point_labels"].tolist() == [[0, 2, 3]]


def test_a_lone_mask_has_no_points():
    inputs = encode_prompts([Prompt(mask=np.ones((256, 256), np.float32))], FRAME)
    assert inputs["point_labels"].shape == (1, 0)
    assert inputs["has_mask_input"].tolist() == [1]
    assert inputs["mask_input"].shape == (1, 1, 256, 256)
    assert (inputs["mask_input"] == 1).all()


def test_prompts_of_different_length_share_a_batch():
    inputs = encode_prompts([Prompt(points=[(1, 1)]), Prompt(points=[(2, 2), (3, 3)])], FRAME, 5)
    assert inputs["point_labels"].tolist() == [[1, -1, -2, -2, -2], [1, 1, -1, -2, -2]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Prompt(), "empty prompt"),
        (lambda: Prompt(points=[(1, 1)], labels=[1, 0]), "1 points have 2 labels"),
        (lambda: Prompt(points=[(1, 1, 1)]), r"a point is x, y, 2 numbers in pixels, and not \(1, 1, 1\)"),
        (lambda: Prompt(points=(3, 4)), "a point is x, y, 2 numbers in pixels, and not 3"),
        (lambda: Prompt(box=(1, 2, 3)), "a box is x0, y0, x1, y1, 4 numbers"),
        (lambda: Prompt(box="left"), "a box is x0, y0, x1, y1, 4 numbers"),
        (lambda: Prompt(points=[(1, 1)], labels=[2]), "1 .foreground. or 0 .background., not 2"),
    ],
)
def test_a_malformed_prompt_is_refused(make, message):
    with pytest.raises(PromptError, match=message):
        make()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt(points=[(640, 10)]), "point 640,10 is outside the image, which is 640 x 480"),
        (Prompt(points=[(-1, 10)]), "point -1,10 is outside"),
        (Prompt(points=[(float("nan"), 10)]), "point nan,10 is outside"),
        (Prompt(box=(10, 10, 641, 20)), "box 10,10,641,20 reaches outside"),
        (Prompt(box=(30, 10, 10, 20)), "has no area"),
        (Prompt(mask=np.zeros((64, 64))), r"\(256, 256\) logits.*this one is \(64, 64\)"),
        (Prompt(mask=np.full((256, 256), np.nan)), "NaN"),
        (Prompt(points=[(1, 1)] * 8), "needs 9 slots.*this decoder has 8.*--point-slots 9"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(prompt, message):
    with pytest.raises(PromptError, match=message):
        encode_prompts([prompt], FRAME, 8)


def test_a_box_may_reach_the_edge():
    inputs = encode_prompts([Prompt(box=(0, 0, 640, 480))], FRAME)
    assert inputs["point_coords"].tolist() == [[[0, 0], [1024, 768]]]


def test_points_and_labels_may_be_arrays(coffee):
    frame = Frame(*coffee.size, 128)
    arrays = Prompt(points=np.array([[300, 150], [20, 30]]), labels=np.array([1, 0]), box=np.array([1, 2, 30, 40]))
    lists = Prompt(points=[(300, 150), (20, 30)], labels=[1, 0], box=(1, 2, 30, 40))
    for found, expected in zip(arrays.tokens(frame), lists.tokens(frame), strict=True):
        assert np.array_equal(found, expected)
    assert len(Prompt(points=np.array([[1, 2]])).labels) == 1
    arrays.check(frame)


def test_prompts_compare_and_hash_by_their_values():
    mask = np.ones((256, 256), np.float32)
    one = Prompt(points=np.array([[1, 2]]), labels=np.array([1]), mask=mask)
    same = Prompt(points=[(1, 2)], mask=mask.copy())
    assert one == same
    assert len({one, same, Prompt(points=[(1, 2)])}) == 2
    assert one != Prompt(points=[(1, 2)], mask=mask * 2)
    assert one != "a prompt"


def test_no_prompts_are_no_inputs():
    with pytest.raises(PromptError, match="no prompt to encode"):
        encode_prompts([], FRAME)
