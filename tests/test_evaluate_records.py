"""The evaluations that the project shows."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lightsam_benchmarks.quality import storage
from lightsam_benchmarks.quality.compare import within

ROOT = Path(__file__).parent.parent
RECORDS = sorted((ROOT / "benchmarks" / "quality" / "records").glob("*.json"))
PYTORCH = "mobile_sam torch-float32"
FILES = [
    f"mobile_sam {name}-{precision}" for name in ("coreml", "onnx", "tflite") for precision in ("float32", "float16")
]
MARGIN = 0.002
"""mIoU that an export may lose against PyTorch."""

MODELS = "animals-test-models"
"""Two models in PyTorch; the other records are of one model's exports."""

each = pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
each_of_exports = pytest.mark.parametrize(
    "path", [path for path in RECORDS if path.stem != MODELS], ids=lambda path: path.stem
)


def test_there_are_records():
    assert {"coco", "bsds"} == {storage.read(path).data.kind for path in RECORDS}


@each_of_exports
def test_every_format_and_precision_is_there(path):
    record = storage.read(path)
    assert {one.name for one in record.subjects} == {PYTORCH, *FILES}
    assert len({one.about.weights.sha256 for one in record.subjects}) == 1
    for one in record.subjects:
        assert not one.changed
        assert len(one.files) == (0 if one.name == PYTORCH else 2)


@each
def test_the_weights_are_trained_and_the_code_is_in_the_history(path):
    record = storage.read(path)
    assert all(one.about.weights.trained for one in record.subjects)
    assert record.git is not None
    assert not record.git["dirty"]


@each
def test_nothing_says_on_whose_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r'"(/|[A-Z]:\\|~)|/(home|root|tmp|work|Users)/', text)
    assert len(text) < 2_000_000


@each
def test_the_numbers_are_those_of_the_objects(path):
    record = storage.read(path)
    for result in record.results:
        assert result.miou == pytest.approx(np.mean(result.ious), abs=1e-5)
        assert result.boundary_iou == pytest.approx(np.mean(result.boundary_ious), abs=1e-5)
        assert result.not_finite == 0
        assert result.interval[0] < result.miou < result.interval[1]
        # What helps a user: more clicks, better masks.
        assert all(before < after for before, after in pairwise(result.after_click))


def test_two_models_stand_beside_each_other():
    record = storage.read(next(path for path in RECORDS if path.stem == MODELS))
    assert [one.about.model for one in record.subjects] == ["sam2_hiera_tiny", "mobile_sam"]
    assert [one.prompts for one in record.differences] == ["box", "point", "clicks"]
    for one in record.differences:
        assert one.is_lost(0.01)  # MobileSAM's


@each_of_exports
def test_no_export_loses_against_pytorch(path):
    record = storage.read(path)
    assert {(one.a, one.b) for one in record.differences} == {(PYTORCH, name) for name in FILES}
    for one in record.differences:
        assert abs(one.difference) < MARGIN, one
    for name in ("coreml", "onnx", "tflite"):
        for one in within(record, f"mobile_sam {name}-float32", f"mobile_sam {name}-float16"):
            assert abs(one.difference) < MARGIN, one
