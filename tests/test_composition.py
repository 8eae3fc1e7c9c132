"""A model is the sum of its parts: what they state decides the contract, the graphs and the prediction."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from torch import Tensor, nn

from lightsam import Predictor, Prompt
from lightsam.errors import ContractError, PromptError
from lightsam.geometry import Fit, Frame, MaskResize, Preprocess
from lightsam.modeling.graphs import PointDecoder
from lightsam.modeling.image_encoder import SAM_EMBEDDINGS, FeatureMap, ImageEncoder
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.sam import Sam
from lightsam.models import MODELS
from lightsam.prompts import encode_prompts
from lightsam.rules import MaskRules, Padding, PointLabel, PromptRules, Rules, StabilityFallback
from lightsam.stages import split
from lightsam.transforms import upscale_masks
from lightsam.weights import seeded

SIZE = tiny.SIZE
OTHER = Preprocess(SIZE, mean=(10.4, 20.6, 30.0), std=(5.0, 50.0, 100.0))
DETAIL = FeatureMap("detail", 3, 4, "The image at a quarter of its size")


class Averages(ImageEncoder):
    """The mean colour of every cell, over again in all channels: what goes in can be read off what comes out."""

    def forward(self, x: Tensor) -> Tensor:
        cells = nn.functional.avg_pool2d(x, self.embeddings.stride)
        return cells.mean(1, keepdim=True).expand(-1, self.embeddings.channels, -1, -1)


class CoarseAverages(Averages):
    feature_maps = (replace(SAM_EMBEDDINGS, stride=32),)


class NarrowAverages(Averages):
    feature_maps = (replace(SAM_EMBEDDINGS, channels=64),)


class FiveMasks(MaskDecoder):
    rules = MaskRules(count=5)


class ThreeOfFour(MaskDecoder):
    rules = MaskRules(count=3, single=False)


class PointEncoder(PromptEncoder):
    rules = PromptRules(masks=False)


class DetailDecoder(nn.Module):
    """A decoder's graph without a mask prompt, and with a second feature map."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        side = model.image_encoder.embeddings.side(model.image_size)
        self.inner = PointDecoder(model.prompt_encoder, model.mask_decoder, side, model.preprocess)

    def forward(
        self, image_embeddings: Tensor, detail: Tensor, point_coords: Tensor, point_labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        masks, ious = self.inner(image_embeddings, point_coords, point_labels)
        return masks + detail.mean(1, keepdim=True), ious


class TwoMaps(nn.Module):
    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.inner = Sam.encoder_graph(model)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return (*self.inner(image), nn.functional.avg_pool2d(image, DETAIL.stride))


class PointSam(Sam):
    """As a model's own file would have it: other tensors between the stages, and other prompts."""

    def encoder_graph(self) -> nn.Module:
        return TwoMaps(self)

    def decoder_graph(self) -> nn.Module:
        return DetailDecoder(self)


class DetailedAverages(Averages):
    feature_maps = (SAM_EMBEDDINGS, DETAIL)


def compose(
    image_encoder: ImageEncoder, decoder: MaskDecoder | None = None, preprocess: Preprocess | None = None
) -> Sam:
    return Sam(image_encoder, PromptEncoder(SIZE), decoder or MaskDecoder(), preprocess or Preprocess(SIZE)).eval()


def shapes(model: Sam) -> dict[str, tuple[int, ...]]:
    return {spec.name: spec.shape for stage in split(model) for spec in (*stage.inputs, *stage.outputs)}


def point_sam() -> Sam:
    model = PointSam(DetailedAverages(), PointEncoder(SIZE), MaskDecoder(), Preprocess(SIZE))
    model.load_state_dict(seeded.state_dict(model, MaskDecoder.damped))
    return model


def test_another_preprocessing_changes_the_normalisation_in_the_exported_graph():
    stage = split(compose(Averages(), preprocess=OTHER)).encoder.folded()
    exported = torch.export.export(stage.module, stage.example_tensors(), strict=False).module()
    image = np.random.default_rng(0).integers(31, 256, (1, 3, SIZE, SIZE)).astype(np.float32)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (OTHER.mean, OTHER.std))
    cells = ((image[0] - mean) / std).mean(0).reshape(SIZE // 16, 16, SIZE // 16, 16).mean((1, 3))
    (found,) = exported(torch.from_numpy(image))
    np.testing.assert_allclose(found[0, 0].numpy(), cells, rtol=1e-4)


def test_another_preprocessing_changes_what_the_predictor_pads_with_and_it_is_zero_inside(coffee):
    for preprocess, colour in ((Preprocess(SIZE), (124, 116, 104)), (OTHER, (10, 21, 30))):
        seen = []
        stages = split(compose(Averages(), preprocess=preprocess))
        predictor = Predictor(
            lambda inputs, seen=seen, run=stages.encoder.run: seen.append(inputs["image"]) or run(inputs),
            stages.decoder.run,
            stages.rules,
        )
        encoding = predictor.encode(coffee)  # 600 x 400: the lower third is padding
        assert (colour == seen[0][0, :, -40:].T).all()
        embeddings = encoding.features["image_embeddings"]
        assert (embeddings[0, :, -2:] == 0).all()
        assert (embeddings[0, :, :5] != 0).all()


def test_a_single_answer_that_is_never_given_is_neither_run_nor_exported():
    whole, three = compose(Averages()), compose(Averages(), ThreeOfFour())
    state = seeded.state_dict(whole, MaskDecoder.damped)
    for model in (whole, three):  # of the same weights
        model.load_state_dict(state)
    expected = split(whole).decoder
    inputs = expected.sample_inputs()
    for found in (split(three).decoder, split(three).decoder.folded()):
        for name, outputs in found.run(inputs).items():
            np.testing.assert_allclose(outputs, expected.run(inputs)[name][:, 1:], atol=1e-4)
    assert not [name for name, _ in found.module.named_parameters() if "mlps.0." in name]
    assert len(three.mask_decoder.filter_biases()) == 3


def test_a_stretched_image_is_not_padded_and_its_masks_go_straight_to_its_size(coffee):
    seen = []
    preprocess = Preprocess(SIZE, fit=Fit.STRETCH)
    stages = split(compose(Averages(), preprocess=preprocess))
    predictor = Predictor(
        lambda inputs: seen.append(inputs["image"]) or stages.encoder.run(inputs), stages.decoder.run, stages.rules
    )
    assert "nothing padded" in stages.encoder.inputs[0].meaning
    encoding = predictor.encode(coffee)  # 600 x 400
    expected = np.asarray(coffee.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float32)
    np.testing.assert_array_equal(seen[0][0].transpose(1, 2, 0), expected)
    assert encoding.frame.to_model(np.array([600, 400])).tolist() == [SIZE, SIZE]
    assert encoding.frame.to_image(np.array([SIZE, SIZE / 2])).tolist() == [600, 200]
    assert predictor.predict(encoding, Prompt(points=[(599, 399)])).masks.shape == (3, 400, 600)


def test_a_stretched_image_of_the_padding_colour_is_not_set_to_zero():
    grey = np.broadcast_to(np.array([124, 116, 104], np.float32)[None, :, None, None], (1, 3, SIZE, SIZE)).copy()
    for fit, is_zero in ((Fit.PAD, True), (Fit.STRETCH, False)):
        encoder = split(compose(Averages(), preprocess=Preprocess(SIZE, fit=fit))).encoder
        assert (encoder.run({"image": grey})["image_embeddings"] == 0).all() == is_zero


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("mask_resize", MaskResize)
def test_masks_come_to_the_images_size_alike_in_and_out_of_the_graph(fit, mask_resize):
    preprocess = Preprocess(SIZE, fit=fit, mask_resize=mask_resize)
    low_res = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    outside = upscale_masks(low_res, preprocess.frame(90, 60))
    inside = preprocess.resize_masks(torch.from_numpy(low_res[None]), torch.tensor([60.0, 90.0]))[0].numpy()
    assert outside.shape == (3, 60, 90)
    np.testing.assert_allclose(inside, outside, atol=1e-5)
    usual = upscale_masks(low_res, Preprocess(SIZE).frame(90, 60))
    assert (np.abs(outside - usual).max() > 0.01) == ((fit, mask_resize) != (Fit.PAD, MaskResize.BILINEAR))
    if fit is Fit.STRETCH:  # no step between: the low-res mask lies over the whole image
        whole = torch.from_numpy(low_res)[None]
        expected = nn.functional.interpolate(whole, (60, 90), mode=mask_resize.value, align_corners=False)[0]
        np.testing.assert_allclose(outside, expected.numpy(), atol=1e-5)


POINT, BACKGROUND, BOX = (
    Prompt(points=[(5, 5)]),
    Prompt(points=[(5, 5), (9, 9)], labels=[1, 0]),
    Prompt(box=(1, 1, 9, 9)),
)
BOTH = Prompt(points=[(5, 5)], box=(1, 1, 9, 9))
MASK_ALONE = Prompt(mask=np.zeros((32, 32), np.float32))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (PromptRules(), ([1, -1], [1, 0, -1], [2, 3], [1, 2, 3])),
        (PromptRules(padding=Padding.ALWAYS), ([1, -1], [1, 0, -1], [2, 3, -1], [1, 2, 3, -1])),
        (
            PromptRules(padding=Padding.FILL, slots=4),
            ([1, -1, -1, -1], [1, 0, -1, -1], [2, 3, -1, -1], [1, 2, 3, -1]),
        ),
    ],
)
def test_the_models_own_padding_points_follow_a_prompt(rules, expected):
    frame = Frame(64, 48, SIZE)
    for prompt, labels in zip((POINT, BACKGROUND, BOX, BOTH), expected, strict=True):
        inputs = encode_prompts([prompt], frame, rules=rules)
        assert inputs["point_labels"][0].tolist() == labels
        assert (inputs["point_coords"][0][inputs["point_labels"][0] == PointLabel.PADDING] == 0).all()
    if rules.slots is None:
        assert encode_prompts([MASK_ALONE], frame, rules=rules)["point_labels"].shape == (1, 0)


@pytest.mark.parametrize(
    ("rules", "prompt", "message"),
    [
        (PromptRules(masks=False), MASK_ALONE, "this model takes no mask as a prompt: give points or a box alone"),
        (PromptRules(background=False), BACKGROUND, "this model takes no background points"),
        (
            PromptRules(slots=2, padding=Padding.FILL),
            BOTH,
            "at most 2 points, of which a box counts for two, .* given 3",
        ),
    ],
)
def test_a_prompt_that_a_model_does_not_take_is_refused(rules, prompt, message):
    with pytest.raises(PromptError, match=message):
        encode_prompts([prompt], Frame(64, 48, SIZE), rules=rules)
    assert encode_prompts([POINT], Frame(64, 48, SIZE), rules=rules)["point_labels"].size


def test_the_contract_says_which_labels_and_slots_there_are():
    class SixPoints(PromptEncoder):
        rules = PromptRules(masks=False, background=False, padding=Padding.FILL, slots=6)

    model = Sam(Averages(), SixPoints(SIZE), MaskDecoder(), Preprocess(SIZE))
    coords, labels = split(model, point_slots=9).decoder.inputs[1:]
    assert coords.shape == (1, 6, 2)
    assert labels.values == (-1, 1, 2, 3)
    assert labels.dynamic == {0: "prompts"}
    assert labels.meaning == (
        "1 foreground, 2 box top-left, 3 box bottom-right, -1 padding point (fill all slots with them, at 0, 0)"
    )


IOUS = np.array([0.9, 0.2, 0.8, 0.1], np.float32)
FIRM, LOOSE = (np.full((4, 8, 8), value, np.float32) for value in (1, 0.01))


@pytest.mark.parametrize(
    ("rules", "masks", "clear", "ambiguous"),
    [
        (MaskRules(), LOOSE, (0, [0]), (2, [1, 2, 3])),
        (MaskRules(fallback=StabilityFallback(0.05, 0.98)), FIRM, (0, [0]), (2, [1, 2, 3])),
        (MaskRules(fallback=StabilityFallback(0.05, 0.98)), LOOSE, (2, [2]), (2, [1, 2, 3])),
        (MaskRules(single=False), LOOSE, (0, [0]), (0, [0, 1, 2, 3])),
    ],
)
def test_which_masks_answer_is_the_models_rule(rules, masks, clear, ambiguous):
    assert rules.shown(masks, IOUS, ambiguous=False) == clear[0]
    assert rules.shown(masks, IOUS, ambiguous=True) == ambiguous[0]
    predictor = Predictor(
        lambda _: {},
        lambda _: {"low_res_masks": masks[None], "iou_predictions": IOUS[None]},
        Rules(Preprocess(32), masks=rules),
    )
    encoding = predictor.encode(np.zeros((32, 32, 3), np.uint8))
    for prompt, (shown, kept) in ((BOX, clear), (POINT, ambiguous)):
        prediction = predictor.predict(encoding, prompt)
        np.testing.assert_array_equal(prediction.iou_predictions, IOUS[kept])
        assert kept[prediction.best] == shown


def test_specs_are_derived_from_the_parts():
    usual = shapes(compose(Averages()))
    assert usual["image_embeddings"] == (1, 256, 8, 8)
    assert shapes(compose(CoarseAverages())) == {**usual, "image_embeddings": (1, 256, 4, 4)}
    assert shapes(compose(NarrowAverages())) == {**usual, "image_embeddings": (1, 64, 8, 8)}
    five = {**usual, "low_res_masks": (1, 5, 32, 32), "iou_predictions": (1, 5)}
    assert shapes(compose(Averages(), FiveMasks())) == five
    for stage in split(compose(Averages(), FiveMasks())):
        stage.check()


def test_a_part_that_states_another_shape_than_it_gives_is_found():
    encoder = Averages()
    stage = split(compose(encoder)).encoder
    encoder.feature_maps = (replace(SAM_EMBEDDINGS, stride=32),)
    with pytest.raises(ContractError, match=r"image_embeddings is declared float32 \(1, 256, 8, 8\)"):
        stage.check()


def test_a_model_of_other_tensors_and_prompts_needs_only_its_own_file(coffee):
    model = point_sam()
    stages = split(model)
    for stage in stages:
        stage.check()
    assert [spec.name for spec in stages.encoder.outputs] == ["image_embeddings", "detail"]
    assert [spec.name for spec in stages.decoder.inputs] == [
        "image_embeddings",
        "detail",
        "point_coords",
        "point_labels",
    ]
    predictor = Predictor.from_model(model)
    encoding = predictor.encode(coffee)
    assert set(encoding.features) == {"image_embeddings", "detail"}
    prediction = predictor.predict(encoding, Prompt(points=[(300, 150)]))
    assert prediction.masks.shape == (3, 400, 600)
    with pytest.raises(PromptError, match="takes no mask as a prompt"):
        predictor.predict(encoding, Prompt(points=[(300, 150)], mask=prediction.low_res_masks[0]))


def test_parts_for_two_image_sizes_are_refused():
    with pytest.raises(ContractError, match=r"a prompt encoder for images of 64 pixels does not fit .* to 128"):
        Sam(Averages(), PromptEncoder(64), MaskDecoder(), Preprocess(SIZE))


def test_a_skeleton_has_every_name_and_no_numbers():
    for card in MODELS.values():
        state = card.skeleton(card.native_size).state_dict()
        assert all(tensor.is_meta for tensor in state.values())
    assert set(tiny.CARD.skeleton(SIZE).state_dict()) == set(tiny.CARD.build(SIZE).state_dict())


def spreads(card) -> dict[str, float]:
    model = card.build(SIZE).eval()
    seeded.fill(model, card)
    return {name: float(tensor.abs().mean()) for name, tensor in model.state_dict().items() if "weight" in name}


def test_a_card_declares_what_is_damped():
    damped, undamped = spreads(tiny.CARD), spreads(replace(tiny.CARD, damped=()))
    ends = {name for name in damped if name.endswith(tiny.CARD.damped)}
    assert ends
    for name in damped:
        factor = 0.25 if name in ends else 1
        assert damped[name] == pytest.approx(factor * undamped[name], rel=1e-6), name


@pytest.mark.parametrize("card", [MODELS[name] for name in tiny.PUBLISHED], ids=lambda c: c.name)
def test_every_declared_ending_is_one_of_the_models_names(card):
    names = list(card.skeleton(card.native_size).state_dict())
    for ending in card.damped:
        assert any(name.endswith(f".{ending}") for name in names), ending
    assert card.damped
