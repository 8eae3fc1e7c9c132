"""From an image and a prompt to masks, over PyTorch and over files alike."""

import numpy as np
import pytest
import tiny
from agreement import assert_close

from lightsam import Predictor, Prompt
from lightsam.geometry import Preprocess
from lightsam.metrics import mask_iou
from lightsam.rules import Rules
from lightsam_exporters.loading import load_predictor


class Counting:
    """A runner that counts its calls."""

    def __init__(self, runner):
        self.runner, self.calls = runner, 0

    def __call__(self, inputs):
        self.calls += 1
        return self.runner(inputs)


def test_encodes_once_and_answers_many_prompts(tiny_stages, coffee):
    encoder, decoder = Counting(tiny_stages.encoder.run), Counting(tiny_stages.decoder.run)
    predictor = Predictor(encoder, decoder, Rules(Preprocess(128)))
    encoding = predictor.encode(coffee)
    prompts = [Prompt(points=[(300, 150)]), Prompt(box=(100, 100, 300, 300))]
    one_by_one = [predictor.predict(encoding, prompt) for prompt in prompts]
    assert (encoder.calls, decoder.calls) == (1, 2)
    together = predictor.predict_batch(encoding, prompts)
    assert (encoder.calls, decoder.calls) == (1, 3)
    for alone, batched in zip(one_by_one, together, strict=True):
        assert_close(batched.low_res_masks, alone.low_res_masks)


def test_a_prompt_is_refused_before_the_image_is_encoded(lightsam, photograph, tmp_path, monkeypatch):
    monkeypatch.setattr(Predictor, "encode", lambda *_: pytest.fail("the image was encoded"))
    output = tmp_path / "mask.png"
    model = ("--model", tiny.NAME, "--weights", "seeded", "--output", output)
    for prompt, message in (("--point=9000,1", "is outside the image"), ("--box=9,9,8,8", "has no area")):
        done = lightsam("predict", photograph, *model, prompt)
        assert done.status == 2
        assert message in done.stderr
        assert not output.exists()


@pytest.mark.parametrize("point_slots", [None, 8])
def test_no_prompts_have_no_answers(tiny_stages, coffee, point_slots):
    rules = Rules(Preprocess(128))
    predictor = Predictor(tiny_stages.encoder.run, tiny_stages.decoder.run, rules, point_slots=point_slots)
    assert predictor.predict_batch(predictor.encode(np.asarray(coffee)), []) == []


def test_a_lone_point_gets_three_masks_and_a_box_one(tiny_predictor, coffee):
    encoding = tiny_predictor.encode(coffee)
    point, box = Prompt(points=[(300, 150)]), Prompt(box=(100, 100, 300, 300))
    assert tiny_predictor.predict(encoding, point).masks.shape == (3, 400, 600)
    assert tiny_predictor.predict(encoding, box).masks.shape == (1, 400, 600)
    single, multi = (tiny_predictor.predict(encoding, box, multimask=flag) for flag in (False, True))
    assert (single.masks.shape[0], multi.masks.shape[0]) == (1, 3)
    assert multi.best == multi.iou_predictions.argmax()


def test_an_answer_refines_the_next(tiny_predictor, coffee):
    encoding = tiny_predictor.encode(coffee)
    first = tiny_predictor.predict(encoding, Prompt(points=[(300, 150)]))
    refined = tiny_predictor.predict(encoding, Prompt(points=[(300, 150)], mask=first.low_res_masks[first.best]))
    assert refined.masks.shape == (1, 400, 600)
    again = tiny_predictor.predict(encoding, Prompt(points=[(300, 150)]), multimask=False)
    assert np.abs(refined.low_res_masks - again.low_res_masks).max() > 1e-2


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.9999), ("float16", 0.99)])
def test_exported_files_answer_as_pytorch(exported, tiny_predictor, coffee, precision, least):
    files = load_predictor(exported, precision=precision)
    for prompt in (Prompt(points=[(300, 150)]), Prompt(points=[(200, 200)], box=(100, 100, 400, 300))):
        expected = tiny_predictor.predict(tiny_predictor.encode(coffee), prompt)
        found = files.predict(files.encode(coffee), prompt)
        assert found.best == expected.best
        assert 0.05 < expected.masks[0].mean() < 0.99
        assert mask_iou(expected.masks[expected.best], found.masks[found.best]) >= least
