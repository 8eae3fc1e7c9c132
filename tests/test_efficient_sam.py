"""EfficientSAM: what differs from SAM in its layers, and the prompts that it does not take."""

import numpy as np
import pytest
import tiny
import torch
from torch import nn
from torch.nn import functional as F

from lightsam import Predictor, Prompt, load_model
from lightsam.metrics import psnr_db
from lightsam.models.efficient_sam import PRETRAINED_SIDE, MapNorm, PromptEncoder, ViT
from lightsam_exporters.formats import options_of
from lightsam_exporters.pipeline import ExportRequest, export

NAME = "tiny_efficient"


@pytest.fixture(scope="module")
def model():
    return load_model(NAME, weights="seeded").sam


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_map_norm_is_torchs_group_norm_of_one_group():
    norm = tiny.randomise(MapNorm(6))
    x = 3 + 2 * noise(2, 6, 8, 5)
    torch.testing.assert_close(norm(x), F.group_norm(x, 1, norm.weight, norm.bias))
    small = 1e-3 * noise(1, 6, 8, 5)  # the epsilon counts here
    torch.testing.assert_close(norm(small), F.group_norm(small, 1, norm.weight, norm.bias))


@pytest.mark.parametrize("scale", [0.01, 1, 30, 1000, 5000])
def test_the_map_norm_holds_in_float16(scale):
    """Of a map as large as the published ones, whose sum and whose squares float16 cannot hold."""
    norm = nn.GroupNorm(1, 64)
    x = scale * (noise(1, 64, 128, 128) + noise(1, 64, 1, 1, seed=1)).half()
    expected = norm(x.float()).detach().numpy()
    assert psnr_db(expected, MapNorm(64).half()(x).detach().float().numpy()) > 70


def test_a_float16_decoder_holds_large_activations(tmp_path, model):
    """From weights that make the map before the norm a thousand times as large, which changes no mask.

    In Core ML: the evaluator rounds every operation to float16, where ONNX Runtime's CPU computes some in float32.
    """
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for part in ("weight", "bias"):
        state[f"mask_decoder.final_output_upscaling_layers.0.0.{part}"] *= 1000
    torch.save(state, tmp_path / "large.pt")
    options, weights = options_of("coreml", precision="float16"), str(tmp_path / "large.pt")
    _, report = export(ExportRequest(NAME, "coreml", options, tmp_path, ("decoder",), weights=weights))
    assert report.passed, report.failures


@pytest.mark.parametrize("size", [224, 512, 1024])
def test_positions_are_those_of_the_pretraining_resampled_once_without_the_class_token(size):
    encoder = tiny.randomise(ViT(size, tiny.PLAIN_VIT))
    grid = encoder.pos_embed[:, 1:].unflatten(1, (PRETRAINED_SIDE, PRETRAINED_SIDE)).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, (size // 16, size // 16), mode="bicubic", align_corners=False)
    assert encoder.positions is None
    encoder.fold()
    torch.testing.assert_close(encoder.positions, expected.flatten(2).transpose(1, 2))
    if size == 224:
        assert torch.equal(encoder.positions, encoder.pos_embed[:, 1:])


def test_padding_points_are_outside_the_image_wherever_the_caller_puts_them():
    encoder = tiny.randomise(PromptEncoder(tiny.SIZE))
    labels = torch.tensor([[1.0, 2, 3, -1, -1, -1]])
    coords = tiny.SIZE * torch.rand(2, 6, 2, generator=torch.Generator().manual_seed(0))
    coords[1, :3] = coords[0, :3]
    first, moved = encoder.embed_points(coords, labels.expand(2, -1))
    assert torch.equal(first, moved)
    outside = encoder.pe_layer(torch.full((2,), -0.5) / tiny.SIZE) + encoder.invalid_points.weight[0]
    torch.testing.assert_close(first[3:], outside.expand(3, -1))


def test_the_mask_that_is_never_given_counts_by_its_token_alone(model):
    decoder = model.mask_decoder
    inputs = noise(1, 256, 8, 8), model.prompt_encoder.pe_layer.grid(8), noise(2, 6, 256), None, None
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    with torch.inference_mode():
        masks, ious = decoder(*inputs)
        assert masks.shape == (2, 3, 32, 32)
        assert ious.shape == (2, 3)
        decoder.output_hypernetworks_mlps[0].fc.bias += 1
        decoder.iou_prediction_head.fc.bias[0] += 1
        for found, expected in zip(decoder(*inputs), (masks, ious), strict=True):
            assert torch.equal(found, expected)
        decoder.mask_tokens.weight[0] += 1
        assert not torch.allclose(decoder(*inputs)[0], masks, atol=1e-3)
    decoder.load_state_dict(before)


def test_a_clear_prompt_is_answered_by_the_best_of_the_three_masks(model, coffee):
    predictor = Predictor.from_model(model)
    encoding = predictor.encode(coffee)
    assert predictor.predict(encoding, Prompt(points=[(300, 150)])).masks.shape == (3, 400, 600)
    for prompt in (Prompt(box=(100, 80, 400, 300)), Prompt(points=[(9, 9)] * 6)):
        three = predictor.predict(encoding, prompt, multimask=True)
        shown = predictor.predict(encoding, prompt)
        assert shown.iou_predictions.tolist() == [three.iou_predictions.max()]
        assert np.array_equal(shown.masks[0], three.masks[three.best])


def test_masks_go_straight_to_the_images_size_bicubically(model, coffee):
    predictor = Predictor.from_model(model)
    prediction = predictor.predict(predictor.encode(coffee), Prompt(points=[(300, 150)]))
    low_res = torch.from_numpy(prediction.low_res_masks)[None]
    expected = F.interpolate(low_res, (400, 600), mode="bicubic")[0] > 0
    assert np.array_equal(prediction.masks, expected.numpy())


REFUSED = {
    ("--point", "300,150", "--point", "20,20,0"): "this model takes no background points",
    ("--point", "300,150", "--mask-input", "logits.npy"): "this model takes no mask as a prompt",
    ("--point", "300,150") * 7: "this model takes at most 6 points",
    ("--box", "100,80,400,300", *("--point", "300,150") * 5): "this model takes at most 6 points",
}


@pytest.mark.parametrize("source", ["pytorch", "onnx", "coreml"])
@pytest.mark.parametrize("arguments", REFUSED, ids=["background", "mask", "seven", "box and five"])
def test_prompts_that_it_does_not_take_are_refused_in_a_line(
    lightsam, matrix_of, monkeypatch, tmp_path, photograph, source, arguments
):
    monkeypatch.chdir(tmp_path)
    np.save("logits.npy", np.zeros((32, 32), np.float32))
    model = ("--model", NAME, "--weights", "seeded")
    if source != "pytorch":
        entry = matrix_of(NAME, source, "float32")
        model = ("--artifacts", entry.model_folder, "--precision", "float32")
    done = lightsam("predict", photograph, *model, *arguments)
    assert done.status == 2
    *progress, last = done.stderr.strip().splitlines()
    assert last.startswith(f"error: {REFUSED[arguments]}")
    assert not [line for line in progress if "Traceback" in line]
    assert not done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["logits.npy"]
