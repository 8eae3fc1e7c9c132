"""Layers: folding, tracing, and the shapes that formats can hold."""

import pytest
import tiny
import torch
from torch import nn

from lightsam.modeling.common import ConvBN, LayerNorm2d, fold
from lightsam.modeling.windows import attend_in_windows
from lightsam.models import MODELS
from lightsam.models.mobile_sam import TinyViTBlock, WindowAttention
from lightsam.stages import split


def test_layer_norm_2d_is_layer_norm_over_channels():
    norm = tiny.randomise(LayerNorm2d(6))
    x = torch.randn(2, 6, 5, 4)
    expected = nn.functional.layer_norm(x.permute(0, 2, 3, 1), (6,), norm.weight, norm.bias, 1e-6).permute(0, 3, 1, 2)
    torch.testing.assert_close(norm(x), expected)


def test_fused_convolution_equals_convolution_and_norm():
    pair = tiny.randomise(ConvBN(4, 6, 3, stride=2, padding=1, groups=2))
    x = torch.randn(1, 4, 9, 9)
    torch.testing.assert_close(pair.reparametrize()(x), pair(x))


def test_windows_are_padded_before_the_norm_as_upstream():
    """Padding tokens are zeros that become keys; leaving them out would give another answer."""
    block = tiny.randomise(TinyViTBlock(8, 2, window=4, resolution=6))
    x = torch.randn(1, 6, 6, 8)
    padded = nn.functional.pad(x, (0, 0, 0, 2, 0, 2))
    corner = padded[:, 4:8, 4:8].reshape(1, 16, 8)
    found = attend_in_windows(x, block.attn, side=6, window=4)
    torch.testing.assert_close(found[0, 4:6, 4:6], block.attn(corner).reshape(4, 4, 8)[:2, :2])


def test_attention_bias_depends_on_distance_alone():
    attention = tiny.randomise(WindowAttention(8, 2, window=3))
    attention.fold()
    y, x = torch.arange(9) // 3, torch.arange(9) % 3
    for i in range(9):
        for j in range(9):
            index = int((y[i] - y[j]).abs() * 3 + (x[i] - x[j]).abs())
            assert torch.equal(attention.bias[:, i, j], attention.attention_biases[:, index])


def test_folding_changes_nothing_but_the_form(tiny_stages):
    for stage in tiny_stages:
        folded = stage.folded()
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.module.modules())
        inputs = stage.sample_inputs()
        for name, expected in stage.run(inputs).items():
            torch.testing.assert_close(
                torch.from_numpy(folded.run(inputs)[name]), torch.from_numpy(expected), atol=2e-5, rtol=1e-4
            )
    assert any(isinstance(module, nn.BatchNorm2d) for module in tiny_stages.encoder.module.modules())


def test_folding_a_module_in_training_is_refused():
    with pytest.raises(RuntimeError, match="evaluation mode"):
        fold(ConvBN(1, 1))


@pytest.mark.parametrize("size", [1024, 512])
def test_both_tracers_take_the_stages_with_static_shapes(size):
    model = MODELS["mobile_sam"].build(size)
    for stage in split(model):
        folded = stage.folded()
        graph = torch.export.export(folded.module, folded.example_tensors(), strict=False)
        shapes = [
            node.meta["val"].shape for node in graph.graph.nodes if isinstance(node.meta.get("val"), torch.Tensor)
        ]
        assert all(isinstance(size, int) for shape in shapes for size in shape)
        assert max(map(len, shapes)) <= 5  # the Neural Engine takes no tensor of a higher rank


def test_jit_trace_sees_no_data_dependent_value(tiny_stages):
    for stage in tiny_stages:
        folded = stage.folded()
        with torch.inference_mode():
            traced = torch.jit.trace(folded.module, folded.example_tensors())
            other = tuple(torch.from_numpy(array) for array in stage.sample_inputs(seed=1).values())
            for found, expected in zip(traced(*other), folded.module(*other), strict=True):
                torch.testing.assert_close(found, expected)
