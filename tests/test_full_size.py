"""The published sizes, for real: `make test-all`."""

import resource
import subprocess
import sys

import pytest

from lightsam.stages import STAGE_NAMES
from lightsam_exporters.artifacts import size_bytes
from lightsam_exporters.base import ExportOptions
from lightsam_exporters.mil.program import read_program
from lightsam_exporters.pipeline import ExportRequest, export

pytestmark = pytest.mark.slow

MEMORY_GB = 12


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_mobile_sam_exports_and_passes(tmp_path, precision):
    request = ExportRequest("mobile_sam", "coreml", ExportOptions(precision=precision), tmp_path, weights="seeded")
    folder, report = export(request)
    assert report.passed
    sizes = {stage: size_bytes(folder / request.name / f"{stage}.mlpackage") for stage in STAGE_NAMES}
    factor = 2 if precision == "float32" else 1
    assert 10e6 * factor < sizes["encoder"] < 15e6 * factor
    assert 8e6 * factor < sizes["decoder"] < 11e6 * factor


@pytest.mark.parametrize("model", ["repvit_sam", "edge_sam", "sam_vit_b", "sam_vit_l", "sam_vit_h"])
def test_every_model_exports_and_passes_in_float16(tmp_path, model):
    """In a process of its own, whose memory is measured."""
    command = [
        sys.executable, "-m", "lightsam", "export", model,
        "--to", "coreml", "--weights", "seeded", "--output", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" pass ") == 5
    for stage in STAGE_NAMES:
        function = read_program(tmp_path / model / "coreml-float16" / f"{stage}.mlpackage").function
        assert max(len(output.shape) for op in function.operations for output in op.outputs) <= 5
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6  # kilobytes, of the largest child so far
    assert peak_gb < MEMORY_GB
