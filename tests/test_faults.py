"""Ten faults, planted one at a time: every one is caught, and located where it has a place."""

from copy import deepcopy
from dataclasses import replace

import faults
import numpy as np
import pytest
import tiny
import torch

from lightsam import load_model, split
from lightsam.errors import ContractError
from lightsam.geometry import Preprocess
from lightsam.rules import Rules
from lightsam_exporters.facts import ExportFacts, FileFacts
from lightsam_exporters.formats import describe_format, find_format, options_of
from lightsam_exporters.formats.running import LoadedStage, check_pair
from lightsam_exporters.loading import Export
from lightsam_exporters.parity.bisect import Step, bisect
from lightsam_exporters.parity.judge import judge
from lightsam_exporters.parity.measurement import ParityReport
from lightsam_exporters.parity.reference import Reference
from lightsam_exporters.parity.suite import load_suite

OPTIONS = options_of("coreml", precision="float32")


@pytest.fixture(scope="module")
def reference(tiny_loaded):
    return Reference(tiny_loaded)


@pytest.fixture(scope="module")
def reference_image(reference):
    return reference.reference_images(load_suite("quick"), OPTIONS)[0]


@pytest.fixture
def faulty(tmp_path, provenance, tiny_model):
    """Convert one stage of a model that was tampered with; the file says that it is the true one."""

    def make(stage_name, tamper, format_name="coreml", precision="float32") -> Export:
        model = deepcopy(tiny_model)
        stage = split(model)[stage_name]
        tamper(stage.module)
        backend = find_format(format_name)
        slots = None if backend.dynamic_prompts else 8
        path = tmp_path / backend.file_name(stage_name)
        options = backend.options(precision=precision)
        origin = replace(provenance, point_slots=slots)
        backend.export([stage], path, options, origin)
        files = {stage_name: FileFacts.of(path, stage, backend, options, origin)}
        nobody = ParityReport("", "", backend.gates[precision])
        return Export(
            tmp_path,
            ExportFacts(
                format=format_name,
                precision=precision,
                rules=Rules(Preprocess(tiny.SIZE)),
                files=files,
                parity=nobody,
            ),
        )

    return make


def failures_of(reference_image, loaded: LoadedStage, precision="float32") -> list[str]:
    stages = (loaded, None) if loaded.stage == "encoder" else (None, loaded)
    return judge([reference_image], "quick 1", *stages, describe_format("coreml").gates[precision]).failures


def culprit_of(entry, reference, reference_image, threshold=100) -> tuple[Step | None, Step]:
    (found,) = bisect(entry, reference, reference_image, threshold)
    assert found.culprit is not None
    return found.before, found.steps[found.culprit]


@pytest.mark.parametrize("format_name", ["coreml", "onnx"])
def test_a_scaled_weight(faulty, reference, reference_image, format_name):
    entry = faulty("encoder", faults.scaled_weight, format_name)
    assert any("PSNR" in line for line in failures_of(reference_image, entry.load("encoder")))
    before, culprit = culprit_of(entry, reference, reference_image)
    assert culprit.module == faults.SCALED
    assert culprit.op_type in ("conv", "Conv", "linear", "MatMul", "Gemm", "Add")
    assert before is not None
    assert before.psnr_db > 110 > 60 > culprit.psnr_db


def test_swapped_mean_channels(faulty, reference, reference_image):
    entry = faulty("encoder", faults.swapped_mean_channels)
    assert failures_of(reference_image, entry.load("encoder"))
    _, culprit = culprit_of(entry, reference, reference_image)
    assert culprit.module == ""  # the stage's own arithmetic: normalisation
    assert culprit.op_type == "sub"


def test_bgr_for_rgb(faulty, reference, reference_image):
    entry = faulty("encoder", faults.bgr_for_rgb)
    assert failures_of(reference_image, entry.load("encoder"))
    _, culprit = culprit_of(entry, reference, reference_image)
    assert culprit.module.startswith("image_encoder.patch_embed.seq.0")


def test_padding_with_black(exports_of, reference_image):
    encoder = exports_of("coreml", "float32").load("encoder")
    colour = np.array(Preprocess(tiny.SIZE).padding_colour, np.float32)[None, :, None, None]

    def padded_with_black(inputs):
        image = inputs["image"]
        return encoder.run({"image": np.where((image == colour).all(1, keepdims=True), 0, image)})

    assert not failures_of(reference_image, encoder)
    assert failures_of(reference_image, replace(encoder, run=padded_with_black))


def test_a_shift_of_half_a_pixel(faulty, reference, reference_image):
    entry = faulty("decoder", faults.half_a_pixel_off)
    assert failures_of(reference_image, entry.load("decoder"))
    _, culprit = culprit_of(entry, reference, reference_image, threshold=90)
    assert culprit.op_type in ("add", "sub", "mul", "linear", "matmul")


def test_empty_slots_that_are_attended_to(faulty, reference, reference_image):
    entry = faulty("decoder", faults.attended_empty_slots)
    assert failures_of(reference_image, entry.load("decoder"))
    _, culprit = culprit_of(entry, reference, reference_image)
    assert culprit.module == "mask_decoder.transformer.layers.0.self_attn"  # the first that has tokens to attend to


def test_gelu_by_tanh(faulty, reference, reference_image):
    # In ONNX: coremltools 9.0 converts both to the exact GELU, so there is no fault in its file.
    entry = faulty("encoder", faults.gelu_by_tanh, "onnx")
    assert failures_of(reference_image, entry.load("encoder"))
    _, culprit = culprit_of(entry, reference, reference_image)
    assert culprit.op_type == "Gelu"
    assert culprit.module == "image_encoder.patch_embed.seq.1"


def test_transposed_points(faulty, reference, reference_image):
    entry = faulty("decoder", faults.transposed_points)
    assert failures_of(reference_image, entry.load("decoder"))
    before, culprit = culprit_of(entry, reference, reference_image, threshold=90)
    assert before is None or before.psnr_db > 90
    assert "mask_decoder" not in culprit.module


def test_a_wrong_pair(exports_of, tiny_model):
    encoder, decoder = (exports_of("coreml", "float32").load(name) for name in ("encoder", "decoder"))
    other = replace(decoder, provenance=replace(decoder.provenance, weights_sha256="0" * 64, weights="other.pt"))
    check_pair(encoder, decoder)
    with pytest.raises(ContractError, match=r"not a pair: weights seeded and other\.pt"):
        check_pair(encoder, other)


@pytest.mark.parametrize("format_name", ["coreml", "onnx"])
def test_nan(faulty, reference, reference_image, format_name):
    """An overflow in float16, as from a customer's weights; the place is where it begins, not where it is seen."""

    entry = faulty("encoder", faults.overflow_in_float16, format_name, "float16")
    assert any("NaN or infinite" in line for line in failures_of(reference_image, entry.load("encoder"), "float16"))
    _, culprit = culprit_of(entry, reference, reference_image, threshold=40)
    assert culprit.module == faults.OVERFLOWING
    assert not culprit.psnr_db > 0


def test_a_true_file_has_no_culprit(exports_of, reference, reference_image):
    for format_name in ("coreml", "onnx"):
        for found in bisect(exports_of(format_name, "float32"), reference, reference_image, 100):
            assert found.culprit is None
            assert len(found.steps) > 100


def test_the_command_names_the_operation(own_export, lightsam, tmp_path, tiny_model):
    state = load_model(tiny.NAME, weights="seeded").sam.state_dict()
    assert torch.equal(state["mask_decoder.iou_token.weight"], tiny_model.state_dict()["mask_decoder.iou_token.weight"])
    options = ("--suite", "quick", "--precision", "float16", "--bisect")
    done = lightsam("parity", own_export, *options)
    assert done.status == 0, done.stderr
    assert done.stdout.count("values compared with torch; none stays below 50 dB") == 2
    done = lightsam("parity", own_export, *options, "--threshold", "70", "--against", "float32")
    assert "values compared with float32" in done.stdout
    row = next(line for line in done.stdout.splitlines() if "first off" in line)
    assert float(row.split("│")[5]) < 70


def test_formats_that_cannot_be_looked_into_say_so(exports_of, lightsam):
    folder = exports_of("tflite", "float32").model_folder
    done = lightsam("parity", folder, "--suite", "quick", "--format", "tflite", "--precision", "float32", "--bisect")
    assert done.status == 2
    assert "--bisect reads coreml, onnx" in done.stderr
    onnx = exports_of("onnx", "float32").model_folder
    done = lightsam("parity", onnx, "--suite", "quick", "--format", "onnx", "--bisect", "--against", "float32")
    assert done.status == 2
    assert "cannot be compared with 'float32': give torch" in done.stderr
