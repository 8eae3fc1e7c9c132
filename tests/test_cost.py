"""What `lightsam models` counts."""

import math

import golden
import pytest
import tiny
import torch
from torch import nn

from lightsam.catalogue import read
from lightsam.models import MODELS
from lightsam.stages import Stage, TensorSpec
from lightsam_exporters.cost import _cost, count, describe


def test_the_catalogue_is_in_the_order_of_the_registry():
    """`make models` writes it."""
    assert [entry.name for entry in read()] == list(tiny.PUBLISHED)


@pytest.mark.parametrize("name", tiny.PUBLISHED)
def test_the_catalogue_holds_what_is_counted_and_what_the_card_says(name):
    """`make models` writes it."""
    assert next((entry for entry in read() if entry.name == name), None) == describe(MODELS[name])


def test_parameters_are_those_of_the_published_checkpoint():
    published = golden.read("mobile_sam.state_dict")
    decoder = sum(
        math.prod(shape)
        for name, (shape, _) in published.items()
        if name.startswith(("prompt_encoder", "mask_decoder")) and "gaussian" not in name  # a buffer, no parameter
    )
    cost = count(MODELS["mobile_sam"])
    assert cost["decoder"].parameters == decoder
    # folding drops the ImageNet head and the BatchNorms' scales, and adds the convolutions' biases
    assert 5.5e6 < cost["encoder"].parameters < 6.07e6


def test_multiply_accumulates_of_a_known_layer():
    with torch.device("meta"):
        module = nn.Conv2d(3, 8, 3, padding=1).eval()
    stage = Stage("encoder", module, (TensorSpec("x", (1, 3, 10, 20), ""),), ())
    with torch.device("meta"):
        cost = _cost(stage)
    assert cost.gmacs == pytest.approx(3 * 9 * 8 * 10 * 20 / 1e9)
    assert cost.parameters == 3 * 9 * 8 + 8


def test_a_larger_image_costs_more():
    small, large = (count(tiny.CARD, size)["encoder"] for size in tiny.CARD.image_sizes)
    assert large.gmacs > 1.5 * small.gmacs
    assert large.parameters == small.parameters
