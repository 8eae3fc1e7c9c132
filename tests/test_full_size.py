"""The published sizes, for real: `make test-all`."""

import pytest

from lightsam.stages import STAGE_NAMES
from lightsam_exporters.artifacts import size_bytes
from lightsam_exporters.base import ExportOptions
from lightsam_exporters.pipeline import ExportRequest, export


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_mobile_sam_exports_and_passes(tmp_path, precision):
    request = ExportRequest("mobile_sam", "coreml", ExportOptions(precision=precision), tmp_path, weights="seeded")
    folder, report = export(request)
    assert report.passed
    sizes = {stage: size_bytes(folder / request.name / f"{stage}.mlpackage") for stage in STAGE_NAMES}
    factor = 2 if precision == "float32" else 1
    assert 12e6 * factor < sizes["encoder"] < 15e6 * factor
    assert 8e6 * factor < sizes["decoder"] < 11e6 * factor
