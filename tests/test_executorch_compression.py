"""w8a8 for ExecuTorch: what becomes int8, what stays float, and what it costs."""

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from lightsam.errors import UsageError
from lightsam.metrics import psnr_db
from lightsam.modeling.common import LayerNorm2d
from lightsam.models import MODELS
from lightsam.stages import Stage, TensorSpec
from lightsam_exporters.formats import executorch, options_of
from lightsam_exporters.formats.executorch_compression import quantized
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.provenance import Provenance

CHANNELS = 128


class Layers(nn.Module):
    """One of each kind that is treated in a way of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, CHANNELS, 1)
        self.depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)
        self.norm = LayerNorm2d(CHANNELS)
        self.last = nn.Conv2d(CHANNELS, 64, 1)
        self.normed = nn.LayerNorm(64)
        self.linear = nn.Linear(64, CHANNELS)
        self.other = nn.Linear(64, CHANNELS)  # is given the same

    def forward(self, image):
        x = self.normed(self.last(self.norm(self.depthwise(self.first(image)))).permute(0, 2, 3, 1))
        return (self.linear(x) * self.other(x).sigmoid(),)


@pytest.fixture(scope="module")
def layers():
    torch.manual_seed(0)
    image = TensorSpec("image", (1, 3, 16, 16), "an image")
    return Stage(
        "encoder", Layers().eval(), (image,), (TensorSpec("image_embeddings", (1, 16, 16, CHANNELS), "embeddings"),)
    )


@pytest.fixture(scope="module")
def files(layers, tiny_loaded, tmp_path_factory):
    provenance = Provenance.of(MODELS[tiny.NAME], tiny.SIZE, 8, tiny_loaded.weights)
    folder = tmp_path_factory.mktemp("w8a8")
    paths = {precision: folder / f"{precision}.pte" for precision in ("float32", "w8a8")}
    for precision, path in paths.items():
        executorch.FORMAT.export([layers], path, options_of("executorch", precision=precision), provenance)
    return paths


def test_the_file_answers_nearly_as_pytorch_in_floats(files, layers):
    inputs = layers.sample_inputs(1)
    (found,) = executorch.FORMAT.load(files["w8a8"], "encoder", RunOptions())(inputs).values()
    assert found.dtype == np.float32
    assert 35 < psnr_db(layers.run(inputs)["image_embeddings"], found) < 80


def test_what_is_stored_in_8_bits_is_counted_in_the_file(files):
    module = Layers()
    small = sum(one.numel() for one in (module.first.weight, module.linear.weight, module.other.weight))
    counts = executorch.FORMAT.stored_weights(files["w8a8"])
    assert counts["int8"] == small
    whole = executorch.FORMAT.stored_weights(files["float32"])
    assert whole.keys() == {"float32"}
    assert sum(counts.values()) == whole["float32"]


def test_the_file_is_smaller_by_what_is_stored_in_8_bits(files):
    large, small = (files[precision].stat().st_size for precision in ("float32", "w8a8"))
    assert large - small > 0.8 * 3 * executorch.FORMAT.stored_weights(files["w8a8"])["int8"]


def test_depthwise_layers_and_those_after_a_norm_stay_in_float(layers):
    graph = quantized(layers.module, layers.example_tensors()).graph
    weights = [node.args[1].name for node in graph.nodes if node.target == torch.ops.aten.conv2d.default]
    assert len(weights) == 3
    assert {name for name in weights if "dequantize" not in name} == {"depthwise_weight", "last_weight"}


def test_the_share_counts_no_changes_of_dtype(files):
    shares = [executorch.FORMAT.delegation(files[precision]) for precision in ("float32", "w8a8")]
    assert shares[0].share == pytest.approx(shares[1].share, abs=0.05)
    assert all("quantize" not in name for name in shares[1].outside)


@pytest.mark.parametrize("stage", [0, 1], ids=["encoder", "decoder"])
def test_a_model_answers_nearly_as_pytorch(stage, tiny_stages, tiny_loaded, tmp_path):
    one = tuple(tiny_stages)[stage]
    provenance = Provenance.of(MODELS[tiny.NAME], tiny.SIZE, 8, tiny_loaded.weights)
    path = tmp_path / f"{one.name}.pte"
    executorch.FORMAT.export([one], path, options_of("executorch", precision="w8a8"), provenance)
    inputs = one.sample_inputs()
    found = executorch.FORMAT.load(path, one.name, RunOptions())(inputs)
    for name, expected in one.run(inputs).items():
        assert psnr_db(expected, found[name]) > 30


def test_core_ml_is_refused():
    with pytest.raises(UsageError, match="--backend coreml has no w8a8: take xnnpack"):
        options_of("executorch", precision="w8a8", backend="coreml").check()
