"""The published sizes, for real: `make test-all`."""

import os
import subprocess
import sys
import tempfile

import pytest
import tiny

from lightsam.models import MODELS
from lightsam.stages import STAGE_NAMES, split
from lightsam_exporters.artifacts import size_bytes
from lightsam_exporters.formats import options_of
from lightsam_exporters.formats.mil.program import read_program
from lightsam_exporters.pipeline import ExportRequest, export

pytestmark = pytest.mark.slow

MEMORY_GB = 12


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_mobile_sam_exports_and_passes(tmp_path, precision):
    request = ExportRequest(
        "mobile_sam", "coreml", options_of("coreml", precision=precision), tmp_path, weights="seeded"
    )
    folder, report = export(request)
    assert report.passed
    sizes = {stage: size_bytes(folder / request.name / f"{stage}.mlpackage") for stage in STAGE_NAMES}
    factor = 2 if precision == "float32" else 1
    assert 10e6 * factor < sizes["encoder"] < 15e6 * factor
    assert 8e6 * factor < sizes["decoder"] < 11e6 * factor


def run_export(*arguments: object, memory_gb: float = MEMORY_GB) -> str:
    """Export in a process of its own, whose memory is measured; what it printed."""
    command = [sys.executable, "-m", "lightsam", "export", *map(str, arguments), "--weights", "seeded"]
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read()
    assert process.returncode == 0, text
    assert usage.ru_maxrss / 1e6 < memory_gb  # ru_maxrss is in kilobytes
    return text


@pytest.mark.parametrize("model", tiny.PUBLISHED)
def test_every_model_exports_and_passes_in_float16(tmp_path, model):
    printed = run_export(model, "--to", "coreml", "--output", tmp_path)
    stages = split(MODELS[model].skeleton(MODELS[model].native_size))
    # A decoder's outputs are judged alone and behind the encoder.
    assert printed.count(" pass ") == len(stages.encoder.outputs) + 2 * len(stages.decoder.outputs)
    for stage in STAGE_NAMES:
        function = read_program(tmp_path / model / "coreml-float16" / f"{stage}.mlpackage").function
        assert max(len(output.shape) for op in function.operations for output in op.outputs) <= 5


@pytest.mark.parametrize("model", [name for name in tiny.PUBLISHED if name not in ("sam_vit_l", "sam_vit_h")])
def test_every_light_model_passes_in_float32_in_every_format(tmp_path, model):
    printed = run_export(model, "--to", "coreml,onnx,tflite", "--precision", "float32", "--output", tmp_path)
    rows = [line for line in printed.splitlines() if line.startswith("│ ") and "-float32" in line]
    assert len(rows) == 3
    for row in rows:
        decibels, iou = (float(cell) for cell in row.split("│")[2:4])
        assert decibels >= 100
        assert iou >= 0.9999


def test_core_ai_at_the_published_size(tmp_path):
    assert run_export("mobile_sam", "--to", "coreai", "--output", tmp_path).count(" pass ") == 5


def test_onnx_above_two_gigabytes(tmp_path):
    arguments = ("--to", "onnx", "--precision", "float32", "--stage", "encoder", "--output", tmp_path)
    run_export("sam_vit_h", *arguments, memory_gb=14)
    path = tmp_path / "sam_vit_h" / "onnx-float32" / "encoder.onnx"
    assert size_bytes(path) > 2**31
    assert path.stat().st_size < 10e6
