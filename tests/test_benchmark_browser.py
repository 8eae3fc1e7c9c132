"""`lightsam benchmark --unit BROWSER_WASM`: ONNX files timed by a page in Chromium."""

import os
import shutil
from unittest import mock

import numpy as np
import pytest
import tiny
from command import OWN_PROCESSES, run_command

from lightsam.errors import ContractError, UsageError
from lightsam.installation import install_command
from lightsam_benchmarks.latency import browser, record, units
from lightsam_benchmarks.latency.plan import Selection, export_tasks, photograph
from lightsam_benchmarks.latency.record import CALL, OK
from lightsam_benchmarks.latency.timing import Method
from lightsam_benchmarks.latency.worker import inputs_of
from lightsam_exporters.browser import chromium, server
from lightsam_exporters.browser.runtime import VERSION

SHORT = Method(warmup=1, min_count=3, min_time_s=0, rounds=1, threads=1)


@pytest.fixture(scope="module")
def artifacts(exports_of, tmp_path_factory):
    """The tiny model in ONNX, in a folder of its own."""
    entry = exports_of("onnx", "float32")
    folder = tmp_path_factory.mktemp("artifacts") / tiny.NAME
    shutil.copytree(entry.folder, folder / entry.name)
    return folder


@pytest.fixture
def job(exports_of):
    """What the worker is given for the decoder, which runs in one call of a browser."""
    asked = Selection(formats=("onnx",), units=(browser.WASM,), scopes=("decoder",))
    with photograph() as image:
        (task,) = export_tasks(exports_of("onnx", "float32"), asked, SHORT, image)
        yield task.job


@pytest.mark.browser
def test_a_record_of_a_browser_is_one_like_any_other(artifacts, tmp_path):
    output = tmp_path / "run.json"
    options = ("--rounds", "2", "--min-count", "3", "--min-time", "0", "--warmup", "1", "--threads", "2")
    with mock.patch.dict(os.environ, OWN_PROCESSES):
        done = run_command(
            "benchmark", artifacts, "--format", "onnx", "--unit", browser.WASM, *options, "--output", output
        )
    assert done.status == 0, done.stdout + done.stderr
    found = record.read(output)
    assert [result.scope for result in found.results] == ["encoder", "decoder"]  # both together are for an app
    for result in found.results:
        assert (result.status, result.message) == (OK, "")
        assert (result.unit.requested, result.unit.threads) == (browser.WASM, 2)
        assert result.unit.actual.startswith("WASM in Chromium ")
        assert result.unit.runtime == f"ONNX Runtime Web {VERSION}"
        assert result.parity is not None
        assert result.parity.passed
        assert len(result.rounds) == 2
        for one in result.rounds:
            assert len(one.warmup_ms[CALL]) == 1
            assert len(one.ms[CALL]) == 3
            assert one.complete
            assert min(one.ms[CALL]) > 0.1  # a million multiplications are not done in less
            assert one.load_cold_ms > 1
            assert one.load_warm_ms > 1
            assert one.first_call_ms > 0.1
            if one.peak_memory_bytes is not None:  # told by Linux alone
                assert one.peak_memory_bytes > one.memory_before_bytes > 20e6
    assert "Not measured" not in done.stdout


@pytest.mark.browser
def test_a_page_without_the_headers_has_no_threads_and_says_so(job, monkeypatch):
    monkeypatch.setattr(server, "HEADERS", {})
    with pytest.raises(ContractError, match="not cross-origin isolated, so there are no 2 threads"):
        browser.measure(job.files["decoder"], inputs_of(job), 2, SHORT)


@pytest.mark.browser
def test_times_of_a_page_that_computes_something_else_do_not_count(job, monkeypatch):
    true = browser.reference_of(job.files["decoder"], inputs_of(job))
    outputs = {**true.outputs, "iou_predictions": true.outputs["iou_predictions"] + 1}
    monkeypatch.setattr(browser, "reference_of", lambda *_: true._replace(outputs=outputs))
    with pytest.raises(ContractError, match="computes iou_predictions otherwise in Chromium than in Python"):
        browser.measure(job.files["decoder"], inputs_of(job), 1, SHORT)


@pytest.mark.parametrize("wrong", ["zeros", "nan", "shape", "missing"])
def test_what_does_not_count(job, wrong):
    reference = browser.reference_of(job.files["decoder"], inputs_of(job))
    browser.check(reference.outputs, reference, "decoder.onnx")
    masks = reference.outputs["low_res_masks"]
    bad = {"zeros": np.zeros_like(masks), "nan": np.full_like(masks, np.nan), "shape": masks[:, :1]}
    outputs = {name: array for name, array in reference.outputs.items() if name != "low_res_masks"}
    if wrong in bad:
        outputs["low_res_masks"] = bad[wrong]
    with pytest.raises(ContractError, match=r"decoder\.onnx .*low_res_masks"):
        browser.check(outputs, reference, "decoder.onnx")


def test_a_reference_is_the_gate_of_its_precision(exports_of, job):
    assert browser.reference_of(job.files["decoder"], inputs_of(job)).least_db == 110
    half = exports_of("onnx", "float16").path("decoder")
    assert browser.reference_of(half, inputs_of(job)).least_db == 50


def test_without_playwright_a_line_says_what_to_install(artifacts, monkeypatch):
    monkeypatch.setattr(chromium, "find_spec", lambda name: None)
    done = run_command("benchmark", artifacts, "--format", "onnx", "--unit", browser.WASM)
    assert done.status == 2
    assert install_command("browser") in " ".join(done.stderr.split())


def test_without_chromium_a_line_says_what_to_install(artifacts, monkeypatch, tmp_path):
    monkeypatch.delenv(chromium.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    done = run_command("benchmark", artifacts, "--format", "onnx", "--unit", browser.WASM)
    assert done.status == 2
    assert "no Chromium is here" in done.stderr
    assert "apt-get install chromium" in " ".join(done.stderr.split())


def test_chromium_is_the_one_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv(chromium.VARIABLE, "no-such-browser")
    with pytest.raises(UsageError, match="LIGHTSAM_CHROMIUM names no-such-browser, which is no program"):
        chromium.find_chromium()
    own = tmp_path / "mine"
    own.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    own.chmod(0o755)
    monkeypatch.setenv(chromium.VARIABLE, str(own))
    assert chromium.find_chromium() == own
    with pytest.raises(UsageError, match="mine does not start"), chromium.opened("http://127.0.0.1:9/"):
        pytest.fail("it opened")


def test_chromium_is_found_on_the_path(monkeypatch, tmp_path):
    monkeypatch.delenv(chromium.VARIABLE, raising=False)
    for name in ("google-chrome", "chromium-browser"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chromium.find_chromium() == tmp_path / "chromium-browser"


def test_a_browser_is_timed_when_it_is_asked_for(artifacts):
    assert browser.WASM in units.units_of("onnx")
    assert browser.WASM not in units.default_units("onnx")
    assert "tflite has no unit BROWSER_WASM" in units.why_not("tflite", browser.WASM)


def test_two_files_cannot_take_turns_in_a_browser(artifacts):
    export = artifacts / "onnx-float32"
    done = run_command("benchmark", export, "--vs", export, "--format", "onnx", "--unit", browser.WASM)
    assert done.status == 2
    assert "time each by itself, and compare the records" in " ".join(done.stderr.split())
