"""What float16 cannot hold is found on real images, and only that stays in float32."""

from dataclasses import replace

import pytest
import tiny
import torch

from lightsam.errors import ExportError
from lightsam_exporters import facts
from lightsam_exporters.formats import coreml, options_of
from lightsam_exporters.formats.mil.evaluator import dtype_name
from lightsam_exporters.formats.mil.program import read_program
from lightsam_exporters.formats.mil.risks import LARGEST, _reason, scan
from lightsam_exporters.loading import exports, find_export
from lightsam_exporters.parity.reference_image import ReferenceImage
from lightsam_exporters.parity.suite import load_suite
from lightsam_exporters.pipeline import ExportRequest, RejectedError, export
from lightsam_exporters.provenance import Provenance

MLP = "image_encoder.layers.1.blocks.0.mlp"


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory, tiny_model):
    """Weights whose network is the same function, with a hidden layer 30,000 times as large."""
    state = {name: tensor.clone() for name, tensor in tiny_model.state_dict().items()}
    state[f"{MLP}.fc1.weight"] *= 3e4
    state[f"{MLP}.fc2.weight"] /= 3e4
    path = tmp_path_factory.mktemp("weights") / "overflowing.pt"
    torch.save(state, path)
    return path


def request_for(output, weights, precision, stages=("encoder",)):
    return ExportRequest(
        tiny.NAME, "coreml", options_of("coreml", precision=precision), output, stages, weights=str(weights)
    )


def test_nan_before_and_green_after(tmp_path, overflowing):
    with pytest.raises(RejectedError, match="values are NaN or infinite"):
        export(request_for(tmp_path, overflowing, "float16"))
    folder, report = export(request_for(tmp_path, overflowing, "float16-safe"))
    assert report.passed
    assert [one.name for one in exports(folder)] == ["coreml-float16-safe"]  # the rejected one beside it is none
    rejected = facts.read(folder / "coreml-float16.rejected").parity  # and can be looked at, NaN and all
    assert not rejected.passed
    assert rejected.measurements[0].max_abs_error is None
    entry = facts.read(folder / "coreml-float16-safe").files["encoder"]
    kept = [name.removeprefix("encoder/") for name in entry.options["float32_operations"]]
    assert len(kept) == 3  # the layer, the GELU behind it, and the layer that makes it small again
    operations = read_program(folder / "coreml-float16-safe" / entry.path).function.operations
    in_float32 = {
        output.name
        for op in operations
        for output in op.outputs
        if op.op_type not in ("const", "cast") and dtype_name(output) == "fp32"
    }
    assert in_float32 == set(kept)


def test_the_command_says_what_stays_in_float32_and_what_it_costs(tmp_path, overflowing, lightsam):
    done = lightsam(
        "export", tiny.NAME, "--to", "coreml", "--precision", "float16-safe", "--stage", "encoder",
        "--weights", overflowing, "--output", tmp_path,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    lines = done.stderr.splitlines()
    assert any("encoder: 3 of" in line and "operations stay in float32" in line for line in lines)
    assert sum("overflows" in line for line in lines) == 3
    assert any("gelu" in line and "overflows" in line for line in lines)


def test_an_operation_that_did_not_stay_in_float32_is_told(tmp_path, tiny_stages, tiny_loaded):
    """The converter ignores a name that it does not know."""
    options = replace(
        options_of("coreml", precision="float16-safe"), float32_operations=("decoder/x", "encoder/nothing")
    )
    provenance = Provenance.of(tiny.CARD, tiny.SIZE, 8, tiny_loaded.weights)
    with pytest.raises(ExportError, match=r"encoder\.mlpackage does not compute nothing in float32"):
        coreml.FORMAT.export([tiny_stages.encoder], tmp_path / "encoder.mlpackage", options, provenance)


def test_a_network_that_fits_stays_whole(tmp_path):
    folder, _ = export(request_for(tmp_path, "seeded", "float16-safe"))
    entry = find_export(folder, "coreml", "float16-safe")
    assert entry.facts.files["encoder"].options["float32_operations"] == []


def test_every_operation_is_looked_at(exports_of, tiny_stages):
    reference_image = ReferenceImage(tiny_stages, load_suite("quick").images[0])
    path = exports_of("coreml", "float32").path("decoder")
    found = scan(path, reference_image.stage_inputs("decoder", 8))
    computing = [op for op in read_program(path).function.operations if op.op_type != "const"]
    assert 0.9 * len(computing) < found.operations <= len(computing)
    # the mask over empty slots is meant to be large, and stays in range
    assert {risk.reason for risk in found.risks} <= {"within a factor of 4 of the largest float16"}


@pytest.mark.parametrize(
    ("magnitude", "own", "reason"),
    [
        (LARGEST * 1.01, 1.0, "overflows"),
        (float("inf"), 1.0, "overflows"),
        (float("nan"), 1.0, "overflows"),
        (LARGEST / 3, 1.0, "within a factor of 4 of the largest float16"),
        (LARGEST / 5, 1.0, ""),
        (1.0, 1e-5, "flushes to zero"),
        (1.0, 0.0, ""),
        (1.0, 1e-4, ""),
    ],
)
def test_reasons(magnitude, own, reason):
    assert _reason(magnitude, {"it": own}, "it") == reason
