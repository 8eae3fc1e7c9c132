"""Seeded weights: the same everywhere, and fit to be exported."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from lightsam import load_model
from lightsam.stages import split
from lightsam.weights.seeded import image
from lightsam.weights.state import digest


@pytest.fixture(scope="module")
def mobile_sam():
    return load_model("mobile_sam", weights="seeded", image_size=512)


@pytest.mark.parametrize(
    ("threads", "instructions"),
    [
        (1, {}),
        (4, {}),
        (1, {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}),
    ],
    ids=["one thread", "four threads", "an older CPU"],
)
def test_the_same_on_any_machine(mobile_sam, monkeypatch, threads, instructions):
    """Files that were exported elsewhere are known by it."""
    for name, value in instructions.items():
        monkeypatch.setenv(name, value)
    code = (
        f"import torch; torch.set_num_threads({threads}); from lightsam import load_model; "
        "print(load_model('mobile_sam', weights='seeded', image_size=512).weights.sha256)"
    )
    alone = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout.strip()
    assert alone == mobile_sam.weights.sha256 == digest(mobile_sam.sam.state_dict())
    assert not mobile_sam.weights.trained


def test_no_tensor_is_left_at_its_initial_value(mobile_sam):
    for name, tensor in mobile_sam.sam.state_dict().items():
        if tensor.is_floating_point() and tensor.numel() > 1:
            assert tensor.std() > 0, name  # constant tensors are folded away by converters


def test_activations_neither_vanish_nor_explode(mobile_sam):
    largest = {}
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: largest.update({name: output.abs().max()}))
        for name, module in mobile_sam.sam.image_encoder.named_modules()
        if not list(module.children()) and not name.startswith(("head", "norm_head"))
    ]
    pixels = torch.from_numpy(image(512, 512)).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        mobile_sam.sam.image_encoder((pixels - 120) / 58)
    for hook in hooks:
        hook.remove()
    assert len(largest) > 100
    assert all(0.1 < value < 200 for value in largest.values()), largest  # float16 ends at 65504


def test_masks_are_neither_empty_nor_full(mobile_sam, coffee):
    from lightsam import Predictor, Prompt

    predictor = Predictor.from_model(mobile_sam)
    encoding = predictor.encode(coffee)
    for prompt in (Prompt(points=[(300, 150)]), Prompt(box=(100, 100, 300, 300))):
        for multimask in (False, True):
            prediction = predictor.predict(encoding, prompt, multimask=multimask)
            assert ((prediction.masks.mean((1, 2)) > 0.5) & (prediction.masks.mean((1, 2)) < 0.97)).all()


def test_the_image_matters(mobile_sam):
    encoder = split(mobile_sam.sam).encoder
    first = encoder.run(encoder.sample_inputs(0))["image_embeddings"]
    second = encoder.run(encoder.sample_inputs(1))["image_embeddings"]
    assert np.abs(first - second).mean() > 0.1
