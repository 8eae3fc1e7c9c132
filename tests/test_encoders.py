"""The encoders of the other models: branches that fold away, positions that are resampled, and their exports."""

import numpy as np
import pytest
import tiny
import torch
from torch import nn
from torch.nn import functional as F

from lightsam import load_model
from lightsam.errors import UsageError
from lightsam.modeling.common import fold
from lightsam.modeling.repvit import RepVGGDepthwise, SqueezeExcite
from lightsam.models import MODELS
from lightsam.models.edge_sam import BicubicDoubling
from lightsam.models.sam_vit import TRAINED_SIDE, ViT, WindowAttention
from lightsam.stages import split


@pytest.mark.parametrize("outer_norm", [True, False])
def test_branches_fold_into_one_depthwise_convolution(outer_norm):
    block = tiny.randomise(RepVGGDepthwise(8, outer_norm=outer_norm))
    x = torch.randn(2, 8, 9, 7, generator=torch.Generator().manual_seed(0))
    conv = block.reparametrize()
    assert (conv.kernel_size, conv.groups, conv.in_channels, conv.out_channels) == ((3, 3), 8, 8, 8)
    with torch.inference_mode():
        expected = block(x)
        torch.testing.assert_close(conv(x), expected, rtol=1e-5, atol=1e-5)
    assert any(isinstance(module, nn.BatchNorm2d) for module in block.modules())  # the block keeps its branches


@pytest.mark.parametrize("name", ["tiny_repvit", "tiny_edge"])
def test_a_folded_repvit_has_one_convolution_where_three_branches_were(name):
    encoder = load_model(name, weights="seeded").sam.image_encoder
    branches = sum(isinstance(module, RepVGGDepthwise) for module in encoder.modules())
    x = torch.randn(1, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = encoder(x)
        folded = fold(encoder)
        torch.testing.assert_close(folded(x), expected, rtol=1e-4, atol=1e-4)
    modules = list(folded.modules())
    assert not any(isinstance(module, nn.BatchNorm2d | RepVGGDepthwise) for module in modules)
    depthwise = [m for m in modules if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1]
    assert branches == 7
    assert len(depthwise) == branches + 3  # and those that change the width
    assert all(module.kernel_size == (3, 3) for module in depthwise)


@pytest.mark.parametrize(("channels", "hidden"), [(16, 8), (80, 24), (48, 16), (320, 80), (640, 160)])
def test_gates_are_a_quarter_wide_to_a_multiple_of_eight(channels, hidden):
    assert SqueezeExcite(channels).fc1.out_channels == hidden


def test_doubling_is_torchs_bicubic():
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
    torch.testing.assert_close(BicubicDoubling(6)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [256, 512, 768, 1024])
def test_positions_are_resampled_bicubically_once(size):
    encoder = tiny.randomise(ViT(size, tiny.VIT))
    side = size // 16
    expected = F.interpolate(
        encoder.pos_embed.permute(0, 3, 1, 2), (side, side), mode="bicubic", align_corners=False
    ).permute(0, 2, 3, 1)
    bilinear = F.interpolate(encoder.pos_embed.permute(0, 3, 1, 2), (side, side), mode="bilinear").permute(0, 2, 3, 1)
    assert encoder.positions is None
    fold(encoder)
    torch.testing.assert_close(encoder.positions, expected)
    if side == TRAINED_SIDE:
        assert torch.equal(encoder.positions, encoder.pos_embed)
    else:
        assert (encoder.positions - bilinear).abs().max() > 1e-2


def test_relative_positions_are_added_by_row_and_by_column():
    """Against the definition, one query and key at a time."""
    attention = tiny.randomise(WindowAttention(8, 2, window=3, trained_window=3))
    x = torch.randn(1, 9, 8, generator=torch.Generator().manual_seed(0))
    qkv = attention.qkv(x).reshape(9, 3, 2, 4)
    expected = torch.zeros(9, 8)
    for head in range(2):
        q, k, v = qkv[:, 0, head], qkv[:, 1, head], qkv[:, 2, head]
        logits = torch.zeros(9, 9)
        for i in range(9):
            for j in range(9):
                row, column = i // 3 - j // 3 + 2, i % 3 - j % 3 + 2
                bias = q[i] @ attention.rel_pos_h[row] + q[i] @ attention.rel_pos_w[column]
                logits[i, j] = q[i] @ k[j] / 2 + bias
        expected[:, 4 * head : 4 * head + 4] = logits.softmax(-1) @ v
    torch.testing.assert_close(attention(x)[0], attention.proj(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sam_vit_b", "sam_vit_l", "sam_vit_h"])
def test_sizes_that_an_architecture_does_not_allow_are_refused(name):
    with pytest.raises(UsageError, match=f"{name} does not run at image size 512; it runs at 1024"):
        load_model(name, weights="seeded", image_size=512)


@pytest.mark.parametrize("name", ["mobile_sam", "repvit_sam", "edge_sam", "efficient_sam_ti", "efficient_sam_s"])
@pytest.mark.parametrize("size", [512, 768])
def test_smaller_sizes_where_the_architecture_allows(name, size):
    with torch.device("meta"):
        stages = split(MODELS[name].build(MODELS[name].resolve_image_size(size)))
        embeddings = stages.encoder.module(torch.empty(1, 3, size, size))[0]
    assert embeddings.shape == (1, 256, size // 16, size // 16) == stages.decoder.inputs[0].shape


def test_architectures_differ():
    """The matrix of the formats judges that many networks, not one many times."""
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, tiny.SIZE, tiny.SIZE)).astype(np.float32)
    predictions = [
        split(load_model(card.name, weights="seeded").sam).encoder.run({"image": image})["image_embeddings"]
        for card in tiny.CARDS
    ]
    for i, first in enumerate(predictions):
        for second in predictions[:i]:
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.5
