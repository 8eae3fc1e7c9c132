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

each = pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)


def test_there_are_records():
    assert {"coco", "bsds"} == {storage.read(path).data.kind for path in RECORDS}


@each
def test_every_format_and_precision_is_there(path):
    record = storage.read(path)
    assert {one.name for one in record.subjects} == {PYTORCH, *FILES}
    assert len({one.about.weights.sha256 for one in record.subjects}) == 1
    for one in record.subjects:
        assert one.about.weights.trained
        assert not one.changed
        assert len(one.files) == (0 if one.name == PYTORCH else 2)
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


@each
def test_no_export_loses_against_pytorch(path):
    record = storage.read(path)
    assert {(one.a, one.b) for one in record.differences} == {(PYTORCH, name) for name in FILES}
    for one in record.differences:
        assert abs(one.difference) < MARGIN, one
    for name in ("coreml", "onnx", "tflite"):
        for one in within(record, f"mobile_sam {name}-float32", f"mobile_sam {name}-float16"):
            assert abs(one.difference) < MARGIN, one
