"""The judge is judged: what is wrong must fail, and say where."""

import re
from copy import copy
from dataclasses import dataclass, replace

import coremltools as ct
import numpy as np
import pytest
import torch

from lightsam.errors import UsageError
from lightsam.rules import MaskRules, PromptRules, StabilityFallback
from lightsam.stages import Stage
from lightsam_exporters.formats import FORMATS, describe_format
from lightsam_exporters.loading import find_export
from lightsam_exporters.manifest import read
from lightsam_exporters.parity.judge import judge as judge_trials
from lightsam_exporters.parity.reference_image import ReferenceImage
from lightsam_exporters.parity.suite import load_suite

GATE = describe_format("coreml").gates["float32"]
FLOAT16 = describe_format("coreml").gates["float16"]


def judge(reference_image, encoder, decoder, gate, other_failures=()):
    return judge_trials([reference_image], "quick 1", encoder, decoder, gate, other_failures)


@pytest.fixture(scope="module")
def reference_image(tiny_stages):
    return ReferenceImage(tiny_stages, load_suite("quick").images[0])


@pytest.fixture(scope="module")
def pair(exported):
    entry = find_export(exported, "coreml", "float32")
    return entry.load("encoder"), entry.load("decoder")


def with_run(loaded, change):
    """The same stage with its outputs changed."""
    return replace(loaded, run=lambda inputs: change(loaded.run(inputs)))


def test_good_files_pass(reference_image, pair):
    report = judge(reference_image, *pair, GATE)
    assert report.passed
    assert {m.scope for m in report.measurements} == {"encoder", "decoder", "chain"}
    assert {m.prompt for m in report.measurements} == {"", "point", "points", "box", "box_and_point", "mask"}
    assert len(report.measurements) == 1 + 2 * 2 * 5
    assert all(m.masks is not None for m in report.measurements if m.output == "low_res_masks")


def test_what_a_model_does_not_take_is_not_asked_and_told(tiny_stages):
    rules = replace(tiny_stages.rules, prompts=PromptRules(masks=False, background=False))
    image = load_suite("quick").images[0]
    asked = ReferenceImage(replace(tiny_stages, rules=rules), image)
    assert [case.name for case in asked.cases] == ["point", "box", "mask"]
    assert {case.rounds for case in asked.cases} == {1}
    assert asked.left_out == ("points", "box_and_point", "mask after its first round")
    report = judge(asked, None, None, GATE)
    assert report.left_out == tuple(f"{image.name}: {name}" for name in asked.left_out)


@pytest.mark.parametrize("firmness", [1, 0.01])
def test_another_answer_by_the_models_rule_fails(tiny_stages, pair, firmness):
    """Mask 0 of a box is firm in the reference; where a file makes it loose, another mask would be shown."""
    image = load_suite("quick").images[0]
    box = next(case for case in image.cases if case.name == "box")
    (usual,) = ReferenceImage(tiny_stages, image).expected(box)
    fallback = StabilityFallback(0.05, 0.9 * StabilityFallback(0.05, 0).stability(usual["low_res_masks"][0, 0]))
    rules = replace(tiny_stages.rules, masks=MaskRules(fallback=fallback))
    asked = ReferenceImage(replace(tiny_stages, rules=rules), replace(image, cases=(box,)))
    assert asked.shown(box) == [[0]]

    def loosened(outputs):
        masks = outputs["low_res_masks"].copy()
        masks[:, 0] *= firmness
        return {**outputs, "low_res_masks": masks}

    report = judge(asked, None, with_run(pair[1], loosened), GATE)
    told = "another mask has the best predicted IoU, and is shown"
    assert any(told in failure for failure in report.failures) == (firmness < 1)


@pytest.mark.parametrize(("off_by", "passed"), [(0.9, True), (1.5, False)])
def test_scores_that_change_no_choice_pass_whatever_their_psnr(reference_image, pair, off_by, passed):
    def shifted(outputs):
        return {**outputs, "iou_predictions": outputs["iou_predictions"] + np.float32(off_by * FLOAT16.iou_tolerance)}

    gate = replace(FLOAT16, psnr_db=90)  # as strict as to fail either by its PSNR
    report = judge(reference_image, None, with_run(pair[1], shifted), gate)
    assert {m.psnr_db < 90 for m in report.measurements if m.output == "iou_predictions"} == {True}
    assert report.passed == passed


def test_prompts_of_every_kind_are_judged(reference_image):
    prompts = [(case.rounds > 1, prompt) for case in reference_image.cases for prompt in case.prompts]
    assert {(bool(p.points), p.box is not None, refined, 0 in p.labels) for refined, p in prompts} == {
        (True, False, False, False),
        (True, False, False, True),
        (False, True, False, False),
        (True, True, False, True),
        (True, False, True, False),
    }
    assert reference_image.frame.width != reference_image.frame.height  # padding is judged too


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        ("encoder", lambda o: {n: 0 * a for n, a in o.items()}, "encoder, coffee: image_embeddings: PSNR"),
        ("encoder", lambda o: {n: 1.001 * a for n, a in o.items()}, "encoder, coffee: image_embeddings: PSNR"),
        (
            "encoder",
            lambda o: {n: a.transpose(0, 1, 3, 2) for n, a in o.items()},
            "chain, coffee, point: low_res_masks: mask IoU",
        ),
        (
            "decoder",
            lambda o: {**o, "low_res_masks": o["low_res_masks"] + 0.01},
            "decoder, coffee, point: low_res_masks: PSNR",
        ),
        (
            "decoder",
            lambda o: {**o, "low_res_masks": -o["low_res_masks"]},
            "decoder, coffee, box: low_res_masks: PSNR.*mask IoU",
        ),
        ("decoder", lambda o: {**o, "iou_predictions": o["iou_predictions"][:, ::-1]}, "point: iou_predictions: PSNR"),
        ("decoder", lambda o: {**o, "low_res_masks": o["low_res_masks"][:, :3]}, r"is \(1, 3, 32, 32\)"),
        ("decoder", lambda o: {**o, "iou_predictions": np.full((1, 4), np.nan)}, "4 values are NaN"),
        ("decoder", lambda o: {"low_res_masks": o["low_res_masks"]}, "output 'iou_predictions' is missing"),
        ("encoder", lambda o: {"embeddings": o["image_embeddings"]}, "output 'image_embeddings' is missing"),
        ("decoder", lambda o: {n: a * np.nan for n, a in o.items()}, "chain, coffee, mask: low_res_masks: .*NaN"),
    ],
)
def test_a_wrong_answer_fails(reference_image, pair, stage, change, message):
    encoder, decoder = pair
    if stage == "encoder":
        report = judge(reference_image, with_run(encoder, change), decoder, GATE)
    else:
        report = judge(reference_image, encoder, with_run(decoder, change), GATE)
    assert not report.passed
    assert any(re.search(message, failure) for failure in report.failures), report.failures


def test_one_wrong_pixel_in_a_hundred_fails_by_iou_alone(reference_image, pair):
    """Where the error is small in decibels, the masks still tell."""

    def flip_near_threshold(outputs):
        masks = outputs["low_res_masks"].copy()
        near = np.abs(masks) < np.quantile(np.abs(masks), 0.02, axis=(2, 3), keepdims=True)
        masks[near] *= -1
        return {**outputs, "low_res_masks": masks}

    report = judge(reference_image, pair[0], with_run(pair[1], flip_near_threshold), replace(GATE, psnr_db=20))
    assert not report.passed
    assert all("mask IoU" in failure and "PSNR" not in failure for failure in report.failures)
    shown = [m.masks.shown for m in report.measurements if m.scope == "decoder" and m.masks]
    assert all(masks.flipped_pixels - masks.rounded_pixels > 20 for masks in shown), shown


SURE = np.array([50, 50, 50, 1], np.float32)[:, None, None]
"""Drawn weights decide nothing: times this, the reference is sure of all masks but the last."""


def sharpened(run):
    return lambda inputs: {n: a * SURE if n == "low_res_masks" else a for n, a in run(inputs).items()}


@dataclass(frozen=True)
class SharpenedStage(Stage):
    def run(self, inputs):
        return sharpened(super().run)(inputs)


def judge_losing(reference_image, pair, share, which):
    """Judge a decoder that loses a share of the pixels of one mask: of its middle, where logits are large."""
    decoder = reference_image.reference.decoder
    sure = SharpenedStage(decoder.name, decoder.module, decoder.inputs, decoder.outputs)
    alone = reference_image.against(replace(reference_image.reference, decoder=sure))
    alone.cases = tuple(case for case in reference_image.cases if case.name == "box")  # to which the answer is mask 0

    def run(inputs):
        outputs = sharpened(pair[1].run)(inputs)
        logits = outputs["low_res_masks"][0, which]
        logits[logits > np.quantile(logits[logits > 0], 1 - share)] *= -1
        return outputs

    return judge(
        alone, None, replace(pair[1], run=run), replace(describe_format("coreml").gates["float16"], psnr_db=-99)
    )


def test_a_point_of_mask_iou_fails_by_the_loosest_gate(reference_image, pair):
    """Whatever the decibels are."""
    assert judge_losing(reference_image, pair, 0, 0).passed
    (failure,) = judge_losing(reference_image, pair, 0.005, 0).failures
    assert re.search(r"mask IoU of the mask that is shown is 0\.98", failure)


@pytest.mark.parametrize(("which", "group"), [(1, "decided"), (2, "decided"), (3, "undecided")])
def test_a_mask_that_nobody_is_shown_is_held_where_the_reference_is_decided(reference_image, pair, which, group):
    report = judge_losing(reference_image, pair, 0.1, which)
    assert report.passed == (group == "undecided")
    assert all("another mask, of which the reference is sure" in failure for failure in report.failures)
    (masks,) = (m.masks for m in report.measurements if m.masks)
    assert masks.shown.flipped_pixels == 0
    assert getattr(masks, group).mask_iou < 0.95  # measured and told, gate or not


def test_everything_that_fails_is_told_at_once(reference_image, pair):
    report = judge(
        reference_image, with_run(pair[0], lambda o: {n: 2 * a for n, a in o.items()}), pair[1], GATE, ["before"]
    )
    assert report.failures[0] == "before"
    assert len(report.failures) > 5
    assert report.as_dict()["failures"] == report.failures
    assert report.as_dict()["passed"] is False


def test_nothing_judged_is_no_pass(reference_image):
    assert not judge(reference_image, None, None, GATE).passed


def test_one_stage_alone_is_judged(reference_image, pair):
    assert {m.scope for m in judge(reference_image, None, pair[1], GATE).measurements} == {"decoder"}
    assert {m.scope for m in judge(reference_image, pair[0], None, GATE).measurements} == {"encoder"}


def test_an_exact_match_is_told_from_a_finite_one(reference_image, tiny_stages, pair):
    dynamic = replace(pair[1].provenance, point_slots=None)
    exact = replace(pair[1], run=tiny_stages.decoder.run, provenance=dynamic)
    report = judge(reference_image, None, exact, GATE)
    assert report.passed
    assert all(m.exact and m.psnr_db is None for m in report.measurements)
    assert not any(m.exact for m in judge(reference_image, None, pair[1], GATE).measurements)


def test_embeddings_of_another_shape_fail_beside_a_grid(reference_image, pair):
    """What is asked of the chain alone has no answer then."""
    grid = copy(reference_image)
    grid.cases = tuple(replace(case, chain_only=True) for case in reference_image.cases[:1])
    seen = []
    report = judge_trials(
        [grid], "quick 1", with_run(pair[0], lambda o: {n: a[:, :8] for n, a in o.items()}), pair[1], GATE,
        on_prediction=lambda *prediction: seen.append(prediction),
    )  # fmt: skip
    assert not report.passed
    assert any("image_embeddings is (1, 8, 8, 8)" in failure for failure in report.failures)
    assert not seen


def test_a_candidate_that_answers_every_prompt_alike_fails(reference_image, pair, tiny_stages):
    (fixed,) = reference_image.expected(reference_image.cases[0])
    assert not judge(reference_image, pair[0], replace(pair[1], run=lambda _: fixed), GATE).passed


def weights_of(folder, precision, stage):
    return find_export(folder, "coreml", precision).path(stage) / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"


@pytest.mark.parametrize(("precision", "stage"), [("float32", "encoder"), ("float16", "decoder")])
def test_a_corrupt_weight_makes_the_command_fail(own_export, lightsam, precision, stage):
    path = weights_of(own_export, precision, stage)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = np.float32(1e4).tobytes()
    path.write_bytes(content)
    done = lightsam("parity", own_export, "--suite", "quick", "--precision", precision)
    assert done.status == 1
    assert f"FAIL {stage}" in done.stdout
    assert "has changed since it was exported" in done.stdout
    assert "PSNR" in done.stdout  # seen in the numbers too, not by the hash alone
    assert f"error: 1 of 1 exports fail: coreml-{precision}" in done.stderr


def test_a_flipped_bit_makes_the_command_fail(own_export, lightsam):
    path = weights_of(own_export, "float32", "decoder")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = lightsam("parity", own_export, "--suite", "quick", "--precision", "float32")
    assert done.status == 1
    assert "has changed since it was exported" in done.stdout


@pytest.mark.parametrize("interface_too", [False, True])
def test_swapped_outputs_make_the_command_fail(own_export, lightsam, interface_too):
    path = find_export(own_export, "coreml", "float32").path("decoder") / "Data" / "com.apple.CoreML" / "model.mlmodel"
    specification = ct.utils.load_spec(str(path))
    outputs = specification.description.output
    outputs[0].name, outputs[1].name = outputs[1].name, outputs[0].name
    if interface_too:  # the program's own names with them: then only the shapes and the numbers tell
        block = specification.mlProgram.functions["main"].block_specializations
        block = block[next(iter(block))]
        first, second = block.outputs
        block.outputs[0], block.outputs[1] = second, first
        for operation in block.operations:
            for output in operation.outputs:
                if output.name in (first, second):
                    output.name = second if output.name == first else first
    path.write_bytes(specification.SerializeToString())
    done = lightsam("parity", own_export, "--suite", "quick", "--precision", "float32")
    assert done.status == 1
    assert "low_res_masks" in done.stdout + done.stderr


def test_parity_of_good_files_ends_well(exported, lightsam):
    done = lightsam("parity", exported, "--suite", "quick", "--every")
    assert done.status == 0, done.stderr
    assert done.stdout.count("pass") == 2 * 21
    assert "judged by lightsam evaluator, declared numerics: computed here as the file declares" in done.stdout


def test_a_missing_file_fails(own_export, lightsam):
    weights_of(own_export, "float32", "decoder").unlink()
    assert lightsam("parity", own_export, "--suite", "quick", "--precision", "float32").status == 1


def test_weights_of_another_checkpoint_are_refused(own_export, lightsam, tiny_model, tmp_path):
    state = {name: tensor * 3 for name, tensor in tiny_model.state_dict().items()}
    torch.save(state, tmp_path / "other.pt")
    done = lightsam("parity", own_export, "--suite", "quick", "--weights", tmp_path / "other.pt")
    assert done.status == 1
    assert "give --weights the right checkpoint" in done.stderr


def test_the_manifest_holds_what_the_judge_found(exported):
    for entry in read(exported / "manifest.json").exports.values():
        assert entry.parity.passed is True
        assert len(entry.parity.measurements) == 21
        assert entry.parity.judge == "lightsam evaluator, declared numerics"


def with_predictions(loaded, change):
    """A decoder whose predicted IoUs (1, 4) are changed."""
    return with_run(loaded, lambda o: {**o, "iou_predictions": change(o["iou_predictions"])})


def ranked(report):
    return [m for m in report.measurements if m.output == "iou_predictions"]


def test_another_order_is_told_and_another_best_fails(reference_image, pair):
    """Of masks that nobody is shown the order is measured, and no gate holds it."""
    candidate = with_predictions(pair[1], lambda ious: ious[:, [1, 0, 2, 3]])
    report = judge(reference_image, None, candidate, replace(GATE, psnr_db=0))
    assert not all(m.same_order for m in ranked(report))
    tied = judge(reference_image, None, candidate, replace(GATE, psnr_db=0, iou_tolerance=9))
    assert all(m.same_order and m.same_choice is not False for m in ranked(tied))


def test_another_choice_fails_only_where_there_is_one(reference_image, pair):
    """Mask 0 is the answer to a box, whatever its predicted IoU; to a lone point it is none."""
    for change, differs in ((lambda ious: ious * [9, 1, 1, 1], False), (lambda ious: ious[:, [0, 2, 3, 1]], True)):
        report = judge(reference_image, None, with_predictions(pair[1], change), replace(GATE, psnr_db=-99))
        chosen = {m.prompt: m.same_choice for m in ranked(report)}
        assert chosen["point"] is not differs
        assert chosen["mask"] is not differs  # its first round is a lone point
        assert [chosen[prompt] for prompt in ("points", "box", "box_and_point")] == [None] * 3
        assert any("is shown" in failure for failure in report.failures) == differs


def test_rounds_feed_the_chain_its_own_masks_and_the_decoder_the_references(reference_image, pair):
    """A decoder whose masks drift a little drifts more in the chain's later rounds."""
    case = next(case for case in reference_image.cases if case.rounds > 1)
    given = []

    def watched(inputs):
        given.append(inputs["mask_input"])
        prediction = pair[1].run(inputs)
        return {**prediction, "low_res_masks": prediction["low_res_masks"] + 1}

    expected = reference_image.expected(case)
    reference_image.ask(watched, 8, reference_image.features, case, expected=expected, forced=True)
    reference_image.ask(watched, 8, reference_image.features, case, expected=expected)
    # A lone point is ambiguous: refined is the best of masks 1 to 3, which is what a user was shown.
    shown = 1 + expected[0]["iou_predictions"][0, 1:].argmax()
    assert reference_image.shown(case) == [[shown], [0]]
    assert np.array_equal(given[1][0, 0], expected[0]["low_res_masks"][0, shown])
    np.testing.assert_allclose(given[3][0, 0], expected[0]["low_res_masks"][0, shown] + 1, atol=1e-4)
    assert not given[0].any()
    assert not given[2].any()


@pytest.mark.parametrize("format_name", ["coreml", "onnx", "tflite"])
def test_the_default_suite_passes(exports_of, lightsam, format_name):
    folder = exports_of(format_name, "float32").model_folder
    done = lightsam("parity", folder, "--format", format_name, "--precision", "float32")
    assert done.status == 0, done.stdout + done.stderr
    assert "suite default 1" in done.stdout


def test_other_gates_can_be_given(exported, lightsam):
    options = ("--suite", "quick", "--precision", "float16")
    assert lightsam("parity", exported, *options, "--gate", "psnr_db=40").status == 0
    done = lightsam("parity", exported, *options, "--gate", "psnr_db=200", "--gate", "mask_iou=0.5")
    assert done.status == 1
    assert "is below the gate of 200 dB" in done.stdout
    assert "mask IoU" not in "".join(line for line in done.stdout.splitlines() if line.startswith("FAIL"))
    for wrong in ("psnr_db", "psnr_db=high", "colour=1", "origin=1", "psnr_db=nan"):
        done = lightsam("parity", exported, *options, "--gate", wrong)
        assert done.status == 2
        assert f"'{wrong}' is no gate: give NAME=NUMBER with one of: psnr_db, mask_iou" in done.stderr


def test_every_gate_has_an_origin():
    gates = {(name, precision): gate for name in FORMATS for precision, gate in describe_format(name).gates.items()}
    assert all(set(describe_format(name).gates) == set(describe_format(name).options.precisions()) for name in FORMATS)
    for key, gate in gates.items():
        assert "measured" in gate.origin, key
    with pytest.raises(UsageError):
        GATE.with_overrides(["speed=1"])
    assert GATE.with_overrides([]) is GATE
    assert GATE.with_overrides(["mask_iou=0.5"]).mask_iou == 0.5
    assert "given" in GATE.with_overrides(["mask_iou=0.5"]).origin
