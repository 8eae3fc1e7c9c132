"""The trained weights against ground truth of our own: the photographs of exporters/data, outlined by hand."""

from pathlib import Path

import pytest
from trained import MODEL, WEIGHTS

from lightsam_benchmarks.quality import storage

ROOT = Path(__file__).parent.parent
TRUTH = Path(__file__).parent / "data" / "photographs.coco.json"
IMAGES = ROOT / "exporters" / "parity" / "data"
LEVEL = 0.85
"""Box mIoU: these weights reach .90 on these ten objects, seeded ones .09."""
MARGIN = 0.002
"""mIoU that float16 may lose."""


@pytest.mark.trained
def test_masks_of_trained_weights_are_good_and_float16_costs_nothing(lightsam, trained, tmp_path):
    """Both subjects see the same objects; the exported file is compared with PyTorch in float32."""
    exported = trained.export("onnx", "float16")
    done = lightsam(
        "evaluate", MODEL, "--weights", WEIGHTS, "--vs", exported.folder,
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
