"""What only trained weights tell: that every format keeps their masks at 1024, and that faults are caught in them."""

from copy import deepcopy
from dataclasses import replace

import faults
import numpy as np
import pytest
import trained as weights

from lightsam import split
from lightsam.errors import ContractError
from lightsam.geometry import Preprocess
from lightsam.models import MODELS
from lightsam.stages import STAGE_NAMES
from lightsam_exporters.formats import FORMATS, describe_format, find_format, options_of
from lightsam_exporters.formats.running import LoadedStage, RunOptions, check_pair
from lightsam_exporters.parity.judge import judge
from lightsam_exporters.parity.suite import load_suite
from lightsam_exporters.provenance import Provenance

pytestmark = pytest.mark.trained

EXPORTS = [
    (name, precision)
    for name in FORMATS
    for precision in find_format(name).options.precisions()
    if precision != "float16-safe" and precision not in find_format(name).options.compressed
]
COMPRESSED = [
    ("coreml", "w8"),
    ("coreml", "palette6"),
    *((name, "w8a8") for name in ("coreml", "onnx", "tflite", "executorch")),
]
"""One of each kind; the others are in the records."""
FLOAT16, FLOAT32 = describe_format("coreml").gates["float16"], describe_format("coreml").gates["float32"]


def masks_of(parity, group):
    """What a manifest says of a group of masks, for every case that has some."""
    found = [one["masks"][group] for one in parity["measurements"] if one["masks"]]
    return [errors for errors in found if errors]


@pytest.mark.parametrize(("format_name", "precision"), EXPORTS)
def test_every_format_passes_with_trained_weights(trained, format_name, precision):
    entry = trained.export(format_name, precision)
    assert entry.weights.name == weights.WEIGHTS
    assert entry.weights.trained is True
    parity = entry.facts.parity.as_dict()
    assert parity["passed"]
    # By the quick suite; the gates are lower, for the default one. XNNPACK adds up in float16, which costs decibels.
    in_float16 = 55 if format_name == "executorch" else 60
    least_db = 110 if precision == "float32" else in_float16
    assert all(one["exact"] or one["psnr_db"] >= least_db for one in parity["measurements"] if one["scope"] != "chain")
    for errors in (*masks_of(parity, "shown"), *masks_of(parity, "decided")):
        assert errors["real_mask_iou"] >= (0.9999 if precision == "float32" else 0.995)
    assert masks_of(parity, "decided")  # and some are: nothing would be held otherwise
    assert masks_of(parity, "undecided")


@pytest.mark.parametrize(("format_name", "precision"), COMPRESSED)
def test_compressed_encoders_pass_with_trained_weights(trained, format_name, precision):
    """Beside a decoder in float16, which is held to float16's own gate."""
    entry = trained.export(format_name, precision)
    encoder, decoder = (entry.facts.files[name] for name in STAGE_NAMES)
    assert entry.facts.parity.passed
    assert entry.facts.parity.decoder_gate == describe_format(format_name).gates["float16"]
    assert encoder.coverage > 0.7  # XNNPACK leaves tables and depthwise convolutions in floats
    assert decoder.coverage == 0
    in_float32 = 4 * sum(encoder.stored_weights.values())
    assert encoder.size_bytes < 0.5 * in_float32
    shown = masks_of(entry.facts.parity.as_dict(), "shown")
    # One shown mask has no opinion of its own, and flips within rounding.
    assert np.median([errors["mask_iou"] for errors in shown]) > 0.97
    assert np.mean([errors["real_mask_iou"] for errors in shown]) > 0.99


@pytest.fixture(scope="module")
def reference_image(trained):
    return trained.reference.reference_images(load_suite("quick"), options_of("onnx", precision="float32"))[0]


@pytest.fixture
def failures_of(trained, reference_image):
    """Judge one of PyTorch's own stages, tampered with: the fault alone, without what a conversion adds."""
    provenance = Provenance.of(MODELS[weights.MODEL], weights.SIZE, 8, trained.reference.weights)

    def run(stage_name, gate, tamper=None, through=None):
        stage = split(deepcopy(trained.reference.model))[stage_name]
        if tamper is not None:
            tamper(stage.module)
        loaded = LoadedStage(stage_name, stage.run if through is None else through(stage.run), provenance, "PyTorch")
        pair = (loaded, None) if stage_name == "encoder" else (None, loaded)
        return judge([reference_image], "quick 1", *pair, gate).failures

    return run


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_without_a_fault_nothing_fails(failures_of, stage):
    assert not failures_of(stage, FLOAT32)


@pytest.mark.parametrize(
    ("stage", "tamper", "gate"),
    [
        ("encoder", faults.scaled_weight, FLOAT32),
        ("encoder", faults.swapped_mean_channels, FLOAT16),
        ("encoder", faults.bgr_for_rgb, FLOAT16),
        ("encoder", faults.gelu_by_tanh, FLOAT32),
        ("decoder", faults.half_a_pixel_off, FLOAT16),
        ("decoder", faults.attended_empty_slots, FLOAT16),
        ("decoder", faults.transposed_points, FLOAT16),
    ],
)
def test_a_fault_is_caught(failures_of, stage, tamper, gate):
    """By the loosest gate that there is, but for what is less than float16's own errors."""
    assert failures_of(stage, gate, tamper)


def test_padding_with_black_is_caught(failures_of):
    colour = np.array(Preprocess(1024).padding_colour, np.float32)[None, :, None, None]

    def padded_with_black(encode):
        def run(given):
            image = given["image"]
            return encode({"image": np.where((image == colour).all(1, keepdims=True), 0, image)})

        return run

    assert failures_of("encoder", FLOAT16, through=padded_with_black)


def test_an_overflow_in_float16_is_caught(trained, reference_image, tmp_path):
    """By a file, as only a conversion overflows."""
    model = deepcopy(trained.reference.model)
    stage = split(model).encoder
    faults.overflow_in_float16(stage.module)
    onnx = find_format("onnx")
    path = tmp_path / onnx.file_name("encoder")
    provenance = Provenance.of(MODELS[weights.MODEL], weights.SIZE, None, trained.reference.weights)
    onnx.export([stage], path, options_of("onnx", precision="float16"), provenance)
    report = judge(
        [reference_image],
        "quick 1",
        onnx.load(path, "encoder", RunOptions()),
        None,
        describe_format("onnx").gates["float16"],
    )
    assert any("NaN or infinite" in line for line in report.failures)


def test_a_wrong_pair_is_refused(trained):
    encoder, decoder = (trained.export("onnx", "float32").load(name) for name in STAGE_NAMES)
    check_pair(encoder, decoder)
    other = replace(decoder, provenance=replace(decoder.provenance, weights_sha256="0" * 64, weights="other.pt"))
    with pytest.raises(ContractError, match="not a pair"):
        check_pair(encoder, other)
