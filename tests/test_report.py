"""Judgements for machines, and what got worse since the last release."""

import base64
import html
import io
import json
import math
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from lightsam.errors import ContractError, UsageError
from lightsam_exporters.facts import ExportFacts
from lightsam_exporters.formats import describe_format
from lightsam_exporters.manifest import read
from lightsam_exporters.parity.baseline import Margin, find_regressions, read_baseline
from lightsam_exporters.parity.judge import Measurement, ParityReport
from lightsam_exporters.parity.report import Judged
from lightsam_exporters.parity.writers import write_report

QUICK = ("--suite", "quick", "--precision", "float32")


def test_json_and_junit_hold_every_measurement(exported, lightsam, tmp_path):
    paths = tmp_path / "deep" / "report.json", tmp_path / "junit.xml"
    done = lightsam("parity", exported, *QUICK, "--report", paths[0], "--report", paths[1])
    assert done.status == 0, done.stderr
    content = json.loads(paths[0].read_text(encoding="utf-8"))
    assert (content["schema"], content["passed"]) == (2, True)
    (entry,) = content["exports"]
    assert (entry["name"], entry["model"]) == ("coreml-float32", "tiny_sam")
    files = read(exported / "manifest.json").exports["coreml-float32"].files
    assert entry["sha256"] == {stage: file.sha256 for stage, file in files.items()}
    assert len(entry["parity"]["measurements"]) == 21
    (suite,) = ET.parse(paths[1]).getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("tiny_sam.coreml-float32", "21", "0")
    assert len(suite.findall("testcase")) == 21
    assert not suite.findall("testcase/failure")


def test_a_failure_is_in_both(exported, lightsam, tmp_path):
    paths = tmp_path / "report.json", tmp_path / "junit.xml"
    options = ("--gate", "psnr_db=500", "--report", paths[0], "--report", paths[1])
    done = lightsam("parity", exported, *QUICK, *options)
    assert done.status == 1
    content = json.loads(paths[0].read_text(encoding="utf-8"))
    assert content["passed"] is False
    (suite,) = ET.parse(paths[1]).getroot()
    failures = [failure.get("message") for failure in suite.findall("testcase/failure")]
    assert failures == content["exports"][0]["parity"]["failures"]
    assert int(suite.get("failures")) == len(failures) > 5


def test_nan_is_no_number_in_json(tmp_path):
    measurement = Measurement(
        "encoder", "coffee", "", "image_embeddings", False, math.nan, math.nan, math.nan, math.nan, math.nan,
        None, None, None, "encoder: 3 values are NaN & <infinite>",
    )  # fmt: skip
    found = ParityReport("somebody", "quick 1", describe_format("coreml").gates["float32"], (measurement,))
    for name in ("report.json", "report.xml"):
        write_report(tmp_path / name, [Judged("coreml-float32", "tiny_sam", found)])
    entry = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["exports"][0]
    assert entry["parity"]["measurements"][0]["psnr_db"] is None
    assert entry["parity"]["measurements"][0]["exact"] is False
    assert entry["passed"] is False
    (suite,) = ET.parse(tmp_path / "report.xml").getroot()
    assert suite.find("testcase/failure").get("message") == "encoder: 3 values are NaN & <infinite>"


def test_a_report_of_another_kind_is_refused_before_any_work(lightsam, tmp_path):
    done = lightsam("parity", tmp_path / "nowhere", "--report", tmp_path / "report.pdf")
    assert done.status == 2
    assert "must end in .html or .json or .xml" in done.stderr


def test_the_same_files_are_no_worse(exported, lightsam):
    done = lightsam("parity", exported, *QUICK, "--baseline", exported / "manifest.json")
    assert done.status == 0, done.stdout


def test_what_got_worse_fails_and_is_told(exported, lightsam, tmp_path):
    manifest = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))
    for measurement in manifest["exports"]["coreml-float16"]["parity"]["measurements"]:
        if measurement["scope"] == "encoder":
            measurement["psnr_db"] += 10
        if measurement["scope"] == "chain" and measurement["prompt"] == "box" and measurement["masks"]:
            measurement["masks"]["shown"]["real_mask_iou"] += 0.01
    path, report = tmp_path / "old.json", tmp_path / "junit.xml"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    done = lightsam(
        "parity", exported, "--suite", "quick", "--precision", "float16", "--baseline", path, "--report", report
    )
    assert done.status == 1
    worse = [line for line in done.stdout.splitlines() if line.startswith("WORSE")]
    assert len(worse) == 2
    assert worse[0].startswith("WORSE encoder, coffee: image_embeddings: PSNR was ")
    assert worse[1].startswith("WORSE chain, coffee, box: low_res_masks: mask IoU (shown) was 1.0")
    assert len(ET.parse(report).getroot().findall("testsuite/testcase/failure")) == 2
    margins = ("--margin-db", "11", "--margin-iou", "0.02")
    assert (
        lightsam("parity", exported, "--suite", "quick", "--precision", "float16", "--baseline", path, *margins).status
        == 0
    )


def test_a_baseline_of_another_suite_or_export_is_refused(exported, lightsam, tmp_path):
    baseline = ("--baseline", exported / "manifest.json")
    done = lightsam("parity", exported, "--precision", "float32", *baseline)
    assert done.status == 2
    assert "was judged by the suite quick 1, not default 1: --suite quick" in done.stderr
    found = ParityReport("somebody", "quick 1", describe_format("coreml").gates["float32"])
    with pytest.raises(UsageError, match="no export onnx-float32; it has: coreml"):
        find_regressions("onnx-float32", found, read_baseline(exported / "manifest.json"), Margin())
    (tmp_path / "old.json").write_text('{"schema": 1}', encoding="utf-8")
    with pytest.raises(ContractError, match="is of schema 1 and this lightsam reads 6"):
        read_baseline(tmp_path / "old.json")
    with pytest.raises(ContractError, match="cannot be read"):
        read_baseline(tmp_path / "gone.json")


def test_an_exact_match_is_no_worse_for_being_finite_now(exported):
    baseline = read_baseline(exported / "manifest.json")
    old = baseline["coreml-float32"]
    entry = old.parity.measurements[0]

    def before(**changes) -> dict[str, ExportFacts]:
        parity = replace(old.parity, measurements=(replace(entry, **changes),))
        return {"coreml-float32": replace(old, parity=parity)}

    found = replace(old.parity, measurements=(entry,))
    baseline = before()
    assert find_regressions("coreml-float32", found, baseline, Margin()) == []
    baseline = before(psnr_db=None, exact=True)
    assert find_regressions("coreml-float32", found, baseline, Margin()) == []
    far = replace(found, measurements=(replace(found.measurements[0], psnr_db=55.0),))
    assert find_regressions("coreml-float32", far, baseline, Margin())
    nan = replace(found, measurements=(replace(found.measurements[0], psnr_db=math.nan),))
    baseline = before(psnr_db=120.0, exact=False)
    assert find_regressions("coreml-float32", nan, baseline, Margin())


def test_what_is_no_longer_measured_is_told(exported):
    baseline = read_baseline(exported / "manifest.json")
    found = ParityReport("somebody", "quick 1", describe_format("coreml").gates["float32"])
    lines = find_regressions("coreml-float32", found, baseline, Margin())
    assert len(lines) == len(baseline["coreml-float32"].parity.measurements)
    assert all("was measured, and no longer is" in line for line in lines)


@pytest.fixture(scope="module")
def page(exported, tmp_path_factory):
    """The page of a failing export, with everything on it."""
    import sys
    from unittest import mock

    from lightsam.cli import main

    folder = tmp_path_factory.mktemp("page")
    arguments = [
        "lightsam", "parity", str(exported), *QUICK, "--bisect", "--threshold", "135", "--gate", "psnr_db=125",
        "--report", str(folder / "report.html"), "--report", str(folder / "report.json"),
    ]  # fmt: skip
    with mock.patch.object(sys, "argv", arguments), pytest.raises(SystemExit):
        main()
    return (folder / "report.html").read_text(encoding="utf-8"), json.loads(
        (folder / "report.json").read_text(encoding="utf-8")
    )["exports"][0]


def test_the_page_is_self_contained(page):
    text, _ = page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "<script" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_the_page_says_what_the_json_says(page):
    text, entry = page
    rows = re.findall(r"<tr><td>(?:encoder|decoder|chain)</td>.*?</tr>", text, re.DOTALL)
    assert len(rows) == len(entry["parity"]["measurements"]) == 21
    for row, measurement in zip(rows, entry["parity"]["measurements"], strict=True):
        assert f">{measurement['psnr_db']:.1f}<" in row
        assert ("FAIL" in row) == bool(measurement["failure"])
    for failure in entry["parity"]["failures"]:
        assert f"<li>{html.escape(failure, quote=False)}</li>" in text
    for digest in (*entry["sha256"].values(), entry["tools"]["coremltools"]):
        assert digest in text


def test_the_page_shows_answers_and_errors_by_operation(page):
    text, entry = page
    images = re.findall(r'src="data:image/webp;base64,([^"]+)"', text)
    assert len(images) == 3 * 5
    for image in images:
        shown = Image.open(io.BytesIO(base64.b64decode(image)))
        assert shown.size == (360, 240)
        assert np.asarray(shown).std() > 10
    assert text.count("<svg") == 2
    assert text.count("<polyline") == 2
    culprits = [found["culprit"]["name"] for found in entry["bisections"] if found["culprit"]]
    assert culprits
    for name in culprits:
        assert f"First off: <code>{name}</code>" in text


def test_a_mismatch_is_seen(tiny_stages):
    from lightsam_exporters.parity.illustrate import illustrate
    from lightsam_exporters.parity.reference_image import ReferenceImage
    from lightsam_exporters.parity.suite import load_suite

    reference_image = ReferenceImage(tiny_stages, load_suite("quick").images[0])
    (expected,) = reference_image.expected(reference_image.cases[0])
    flipped = {**expected, "low_res_masks": expected["low_res_masks"].copy()}
    flipped["low_res_masks"][:, :, 4:10, 4:12] *= -1
    same, other = (
        illustrate(reference_image, reference_image.cases[0], expected, found) for found in (expected, flipped)
    )
    assert (same.flipped, same.largest_error) == (0, 0)
    assert other.flipped > 1000
    red = np.asarray(Image.open(io.BytesIO(base64.b64decode(other.mismatch.split(",")[1]))).convert("RGB"), int)
    assert ((red[..., 0] > 200) & (red[..., 1] < 90)).sum() > 500
    assert (
        illustrate(
            reference_image, reference_image.cases[0], expected, {"low_res_masks": flipped["low_res_masks"] * np.nan}
        )
        is None
    )
