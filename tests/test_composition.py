"""A model is the sum of its parts: what they state decides the contract, the graphs and the prediction."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from lightsam import Predictor, Prompt
from lightsam.errors import ContractError, PromptError
from lightsam.geometry import Frame, Preprocess
from lightsam.modeling.image_encoder import SAM_EMBEDDINGS, FeatureMap, ImageEncoder
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PromptEncoder
from lightsam.modeling.sam import Sam
from lightsam.models import MODELS
from lightsam.stages import split
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
    num_masks = 5


class PointEncoder(PromptEncoder):
    takes_masks = False


class PointDecoder(nn.Module):
    """A decoder's graph without a mask prompt, and with a second feature map."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.inner = Sam.decoder_graph(model)

    def forward(
        self, image_embeddings: Tensor, detail: Tensor, point_coords: Tensor, point_labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        prompts, side = point_coords.shape[0], 4 * image_embeddings.shape[-1]
        nothing = torch.zeros(prompts, 1, side, side), torch.zeros(prompts)
        masks, ious = self.inner(image_embeddings, point_coords, point_labels, *nothing)
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
        return PointDecoder(self)


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
            stages.preprocess,
        )
        encoding = predictor.encode(coffee)  # 600 x 400: the lower third is padding
        assert (colour == seen[0][0, :, -40:].T).all()
        embeddings = encoding.features["image_embeddings"]
        assert (embeddings[0, :, -2:] == 0).all()
        assert (embeddings[0, :, :5] != 0).all()


def test_another_way_to_the_input_needs_only_its_own_preprocessing(coffee):
    """Stretched to the square, without padding."""

    class Stretched(Frame):
        @property
        def resized(self) -> tuple[int, int]:
            return self.image_size, self.image_size

    class Stretching(Preprocess):
        description = "stretched to the square"

        def frame(self, width: int, height: int) -> Frame:
            return Stretched(width, height, self.image_size)

    model = point_sam()
    model.preprocess = Stretching(SIZE)
    assert "stretched to the square" in split(model).encoder.inputs[0].meaning
    predictor = Predictor.from_model(model)
    encoding = predictor.encode(coffee)
    assert encoding.frame.to_model(np.array([600, 400])).tolist() == [SIZE, SIZE]
    assert predictor.predict(encoding, Prompt(points=[(599, 399)])).masks.shape == (3, 400, 600)


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


@pytest.mark.parametrize(
    "card", [card for card in MODELS.values() if not card.name.startswith("tiny")], ids=lambda c: c.name
)
def test_every_declared_ending_is_one_of_the_models_names(card):
    names = list(card.skeleton(card.native_size).state_dict())
    for ending in card.damped:
        assert any(name.endswith(f".{ending}") for name in names), ending
    assert card.damped
