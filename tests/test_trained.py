"""What only trained weights tell: that every format keeps their masks at 1024, and that faults are caught in them."""

from copy import deepcopy
from dataclasses import replace

import faults
import numpy as np
import pytest
import trained as weights

from lightsam import split
from lightsam.errors import ContractError
from lightsam.models import MODELS
from lightsam.stages import STAGE_NAMES
from lightsam.transforms import PADDING_COLOUR
from lightsam_exporters import FORMATS, find_format
from lightsam_exporters.base import ExportOptions, LoadedStage, Provenance, RunOptions, check_pair
from lightsam_exporters.gates import GATES
from lightsam_exporters.parity import judge
from lightsam_exporters.suite import load_suite

pytestmark = pytest.mark.trained

EXPORTS = [
    (name, precision) for name in FORMATS for precision in find_format(name).PRECISIONS if precision != "float16-safe"
]
FLOAT16, FLOAT32 = GATES["coreml", "float16"], GATES["coreml", "float32"]


def masks_of(parity, group):
    """What a manifest says of a group of masks, for every case that has some."""
    found = [one["masks"][group] for one in parity["measurements"] if one["masks"]]
    return [errors for errors in found if errors]


@pytest.mark.parametrize(("format_name", "precision"), EXPORTS)
def test_every_format_passes_with_trained_weights(trained, format_name, precision):
    entry = trained.export(format_name, precision).entry
    assert entry["weights"]["name"] == weights.WEIGHTS
    assert entry["weights"]["trained"] is True
    parity = entry["parity"]
    assert parity["passed"]
    least_db = 110 if precision == "float32" else 50
    assert all(one["exact"] or one["psnr_db"] >= least_db for one in parity["measurements"] if one["scope"] != "chain")
    for errors in (*masks_of(parity, "shown"), *masks_of(parity, "decided")):
        assert errors["real_mask_iou"] >= (0.9999 if precision == "float32" else 0.995)
    assert masks_of(parity, "decided")  # and some are: nothing would be held otherwise
    assert masks_of(parity, "undecided")


@pytest.fixture(scope="module")
def trial(trained):
    return trained.reference.trials(load_suite("quick"), ExportOptions("float32"))[0]


@pytest.fixture
def judged(trained, trial):
    """Judge PyTorch's own stages, of which one was tampered with, by a gate: the fault alone, without a conversion."""
    provenance = Provenance.of(MODELS[weights.MODEL], weights.SIZE, 8, trained.reference.weights)

    def run(gate, stage_name=None, tamper=None, **changed):
        stages = split(deepcopy(trained.reference.model))
        if tamper is not None:
            tamper(stages[stage_name].module)
        encoder, decoder = (
            LoadedStage(stage.name, changed.get(stage.name, stage.run), provenance, "PyTorch") for stage in stages
        )
        return judge([trial], "quick 1", encoder, decoder, gate)

    return run


def test_without_a_fault_nothing_fails(judged):
    assert judged(FLOAT32).passed


@pytest.mark.parametrize(
    ("stage", "tamper"),
    [
        ("encoder", faults.scaled_weight),
        ("encoder", faults.swapped_mean_channels),
        ("encoder", faults.bgr_for_rgb),
        ("encoder", faults.gelu_by_tanh),
        ("decoder", faults.half_a_pixel_off),
        ("decoder", faults.attended_empty_slots),
        ("decoder", faults.transposed_points),
    ],
)
def test_a_fault_is_caught(judged, stage, tamper):
    report = judged(FLOAT32, stage, tamper)
    assert any(line.startswith(stage) for line in report.failures)


def test_padding_with_black_is_caught(judged, trained):
    colour = np.array(PADDING_COLOUR, np.float32)[None, :, None, None]
    encode = split(trained.reference.model).encoder.run

    def padded_with_black(inputs):
        image = inputs["image"]
        return encode({"image": np.where((image == colour).all(1, keepdims=True), 0, image)})

    assert any(line.startswith("encoder") for line in judged(FLOAT16, encoder=padded_with_black).failures)


def test_an_overflow_in_float16_is_caught(trained, trial, tmp_path):
    """By a file, as only a conversion overflows."""
    model = deepcopy(trained.reference.model)
    stage = split(model).encoder
    faults.overflow_in_float16(stage.module)
    onnx = find_format("onnx")
    path = tmp_path / onnx.file_name("encoder")
    provenance = Provenance.of(MODELS[weights.MODEL], weights.SIZE, None, trained.reference.weights)
    onnx.export([stage], path, ExportOptions("float16"), provenance)
    report = judge([trial], "quick 1", onnx.load(path, "encoder", RunOptions()), None, GATES["onnx", "float16"])
    assert any("NaN or infinite" in line for line in report.failures)


def test_a_wrong_pair_is_refused(trained):
    encoder, decoder = (trained.export("onnx", "float32").load(name) for name in STAGE_NAMES)
    check_pair(encoder, decoder)
    other = replace(decoder, provenance=replace(decoder.provenance, weights_sha256="0" * 64, weights="other.pt"))
    with pytest.raises(ContractError, match="not a pair"):
        check_pair(encoder, other)
