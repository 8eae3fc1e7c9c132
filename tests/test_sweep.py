"""`lightsam sweep`: many points from one TOML file, resumable, over several processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import annotated
import psutil
import pytest
import tiny
from editing import edit_facts

from lightsam.errors import ContractError, UsageError
from lightsam_benchmarks import executor, points, sweep_file
from lightsam_benchmarks import sweep as sweeping
from lightsam_benchmarks.executor import Executor
from lightsam_benchmarks.latency import record
from lightsam_benchmarks.latency.timing import Method
from lightsam_benchmarks.points import do
from lightsam_benchmarks.quality import storage
from lightsam_benchmarks.sweep import run_sweep, warning
from lightsam_benchmarks.sweep_file import Point, Sweep, load_sweep
from lightsam_benchmarks.sweep_results import SweepResult
from lightsam_exporters.loading import find_export

BASE = {"work": "export", "models": [tiny.NAME], "formats": ["onnx"], "precisions": ["float32"]}


def toml(folder: Path, **changes: object) -> Path:
    content = {**BASE, "weights": "seeded", "output": str(folder / "artifacts"), **changes}
    tables = {name: content.pop(name, None) for name in ("method", "evaluate")}
    lines = [f"{key} = {json.dumps(value)}" for key, value in content.items() if value is not None]
    for name, table in tables.items():
        if table:
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path = folder / "sweep.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_every_combination_is_a_point(tmp_path):
    path = toml(tmp_path, models=["mobile_sam", "edge_sam"], precisions=["float32", "float16"], image_sizes=[1024, 512])
    found = load_sweep(path)
    assert len(found.points) == 8
    assert found.points[0] == Point("mobile_sam", "onnx", "float32", 1024)
    assert len({point.key for point in found.points}) == 8
    assert load_sweep(toml(tmp_path)).points == (Point(tiny.NAME, "onnx", "float32", tiny.SIZE),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": None}, "missing required field `models`"),
        ({"models": []}, "of length >= 1 - at `$.models`"),
        ({"models": ["no_sam"]}, "no model 'no_sam'"),
        ({"formats": ["torch"]}, "names 'torch' among formats; there are: coreml, onnx"),
        ({"formats": "onnx"}, "Expected `array`, got `str` - at `$.formats`"),
        ({"precisions": ["int4"]}, "names 'int4' among precisions; there are: float16, float32, float16-safe"),
        ({"models": [["mobile_sam"]]}, "Expected `str`, got `array` - at `$.models[0]`"),
        ({"image_sizes": ["512"]}, "Expected `int`, got `str` - at `$.image_sizes[0]`"),
        ({"image_sizes": [511]}, "does not run at image size 511"),
        ({"image_sizes": 512}, "Expected `array`, got `int` - at `$.image_sizes`"),
        ({"models": [tiny.NAME, tiny.NAME]}, "names something twice"),
        ({"output": 5}, "Expected `str`, got `int` - at `$.output`"),
        ({"accept_license": "false"}, "Expected `bool`, got `str` - at `$.accept_license`"),
        ({"units": ["TPU"]}, "no unit 'TPU'"),
        ({"suite": "gone.json"}, "gone.json"),
        ({"method": {"rounds": "3"}}, "Expected `int`, got `str` - at `$.method.rounds`"),
        ({"work": "dance"}, "work = one of export, parity, benchmark, evaluate"),
        ({"thread": 2}, "no key 'thread'; there are: "),
        ({"method": {"round": 2}}, "no key 'round'"),
        ({"method": {"rounds": 0}}, "rounds is at least 1"),
        ({"work": "evaluate"}, "must say what to evaluate on: a table [evaluate]"),
        ({"work": "evaluate", "evaluate": {"coco": "a.json"}}, "missing required field `images`"),
        ({"work": "evaluate", "evaluate": {"images": "a"}}, "must say one of coco, masks, bsds in [evaluate]"),
        (
            {"work": "evaluate", "evaluate": {"coco": "a.json", "image": "b"}},
            "no key 'image'; there are: annotator, bsds",
        ),
        (
            {"work": "evaluate", "evaluate": {"coco": "a.json", "images": 3}},
            "Expected `str`, got `int` - at `$.evaluate.images`",
        ),
        ({"work": "evaluate", "evaluate": {"coco": "a", "images": "b", "protocol": "x"}}, "no protocol 'x'"),
    ],
)
def test_what_a_file_cannot_say(tmp_path, lightsam, changes, message):
    done = lightsam("sweep", toml(tmp_path, **changes))
    assert done.status == 2
    assert message in done.stderr


def test_a_file_that_is_none(tmp_path, lightsam):
    (tmp_path / "sweep.toml").write_text("models = [", encoding="utf-8")
    for name in ("sweep.toml", "gone.toml"):
        done = lightsam("sweep", tmp_path / name)
        assert done.status == 2
        assert "cannot be read" in done.stderr


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_failures_are_recorded_the_rest_goes_on_and_it_resumes(tmp_path, lightsam, own_processes):
    """One point that a format cannot do before one that it can; then again, with what is done left out."""
    path = toml(tmp_path, precisions=["float16-safe", "float32"])
    done = lightsam("sweep", path)
    assert done.status == 1
    assert "1 of 2 points failed" in done.stderr
    assert "float16-safe" in done.stdout
    failed, fine = lines_of(tmp_path / "sweep.jsonl")
    assert (failed["status"], fine["status"]) == ("failed", "ok")
    assert "onnx: there is no precision 'float16-safe'" in failed["message"]
    assert fine["found"]["parity"]["passed"] is True
    assert set(fine["found"]["size_bytes"]) == {"encoder", "decoder"}
    assert fine["seconds"] > 0
    folder = tmp_path / "artifacts" / tiny.NAME
    assert find_export(folder, "onnx", "float32").changed_files() == []

    before = (folder / "manifest.json").stat().st_mtime_ns
    assert lightsam("sweep", path).status == 1
    lines = lines_of(tmp_path / "sweep.jsonl")
    assert [line["status"] for line in lines] == ["failed", "ok", "failed"]  # what failed was tried again
    assert (folder / "manifest.json").stat().st_mtime_ns == before


def test_two_workers_of_a_cluster_judge_and_time(tmp_path, lightsam, own_processes):
    """The same by Dask, on loopback; both export to one model's folder, and wait for one another."""
    path = toml(tmp_path, formats=["onnx", "tflite"], work="parity", precisions=["float32", "float16-safe"])
    done = lightsam("sweep", path, "--jobs", 2)
    assert done.status == 1
    assert "2 of 4 points failed" in done.stderr
    lines = {line["key"]: line for line in lines_of(tmp_path / "sweep.jsonl")}
    assert len(lines) == 4
    for name in ("onnx", "tflite"):
        good, bad = (lines[f"{tiny.NAME} {tiny.SIZE} {name}-{precision}"] for precision in ("float32", "float16-safe"))
        assert good["status"] == "ok", good["message"]
        assert good["found"]["parity"]["worst_psnr_db"] > 100
        assert bad["status"] == "failed"
        assert "there is no precision 'float16-safe'" in bad["message"]

    method = {"rounds": 1, "min_count": 2, "min_time_s": 0, "warmup": 0, "threads": 1}
    path = toml(tmp_path, formats=["onnx", "torch"], work="benchmark", method=method)
    done = lightsam("sweep", path, "--jobs", 2, "--output", tmp_path / "times.jsonl")
    assert done.status == 0, done.stdout
    assert "jobs on one machine disturb one another's timings" in done.stderr
    found = record.read(tmp_path / "times.jsonl")
    assert {(r.subject.export, r.scope) for r in found.results} == {
        (name, scope) for name in ("onnx-float32", "torch-float32") for scope in ("encoder", "decoder", "pair")
    }
    done = lightsam("benchmark", "report", tmp_path / "times.jsonl", "--output", tmp_path / "times.md")
    assert done.status == 0, done.stderr
    assert "| tiny_sam | onnx-float32 | encoder | CPU |" in (tmp_path / "times.md").read_text(encoding="utf-8")


def test_points_are_evaluated(tmp_path, lightsam, own_processes):
    """PyTorch and an export, each in a process of its own; their results are one record."""
    images, truth = annotated.write_images(tmp_path / "images"), annotated.write_coco(tmp_path / "truth.json")
    sweep = {"coco": str(truth), "images": str(images), "prompts": ["box"], "clicks": 2, "limit": 2}
    path = toml(tmp_path, work="evaluate", formats=["torch", "onnx"], evaluate=sweep)
    done = lightsam("sweep", path)
    assert done.status == 0, done.stdout
    (found,) = storage.read_all(tmp_path / "sweep.jsonl")
    names = [f"{tiny.NAME} {name}-float32" for name in ("torch", "onnx")]
    assert [one.name for one in found.subjects] == names
    assert [(one.subject, one.prompts) for one in found.results] == [
        (name, prompts) for name in names for prompts in ("box", "clicks")
    ]
    assert found.data.images == 2
    assert found.results[0].miou == pytest.approx(found.results[2].miou, abs=0.01)
    done = lightsam("evaluate", "report", tmp_path / "sweep.jsonl")
    assert done.status == 0, done.stderr
    assert all(name in done.stdout for name in names)
    with pytest.raises(ContractError, match="holds no benchmark"):
        record.read(tmp_path / "sweep.jsonl")
    done = lightsam("evaluate", "report", tmp_path / "gone.jsonl")
    assert (done.status, "cannot be read" in done.stderr) == (1, True)


def dies(sweep: Sweep, point: Point) -> SweepResult:
    """In the place of `do`: one point ends its process, as a converter that aborts would."""
    if point.precision == "float16":
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    return SweepResult(point.key, sweep.work, sweep.digest, "ok", "", 0.1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_dies_is_a_result(tmp_path, monkeypatch, own_processes, jobs):
    monkeypatch.setattr(sweeping, "do", dies)
    of = tuple(Point(tiny.NAME, "onnx", precision, tiny.SIZE) for precision in ("float16", "float32"))
    found = run_sweep(Sweep("export", of), tmp_path / "results.jsonl", Executor(jobs))
    assert [done.status for done in found] == ["failed", "ok"]
    assert "its process was ended" in found[0].message or "its worker died" in found[0].message
    assert len(lines_of(tmp_path / "results.jsonl")) == 2


KILLED = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from lightsam_benchmarks.executor import end_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600).result()
"""


def test_a_killed_sweep_takes_its_point_along(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED, encoding="utf-8")
    command = [sys.executable, tmp_path / "killed.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as parent:
        point = int(parent.stdout.readline())
        os.kill(point, 0)  # it is there
        parent.kill()
    deadline = time.monotonic() + 30
    while psutil.pid_exists(point) and psutil.Process(point).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the process of the point goes on"
        time.sleep(0.1)


def test_a_line_that_was_left_unfinished_is_dropped(tmp_path):
    results = tmp_path / "results.jsonl"
    point = Point(tiny.NAME, "onnx", "float32", tiny.SIZE)
    sweep = Sweep("export", (point,))
    results.write_text(
        SweepResult(point.key, "export", sweep.digest, "ok", "", 1.0).as_line() + '{"key": "tiny', encoding="utf-8"
    )
    (done,) = run_sweep(sweep, results, Executor())
    assert done.status == "ok"
    assert len(lines_of(results)) == 1


@pytest.mark.parametrize("characters", [1, 5, 40])
def test_a_run_killed_in_its_first_line_goes_on(tmp_path, monkeypatch, own_processes, characters):
    monkeypatch.setattr(sweeping, "do", dies)  # of a float32 point it says ok
    point = Point(tiny.NAME, "onnx", "float32", tiny.SIZE)
    sweep = Sweep("export", (point,))
    results = tmp_path / "results.jsonl"
    results.write_text(
        SweepResult(point.key, "export", sweep.digest, "ok", "", 1.0).as_line()[:characters], encoding="utf-8"
    )
    (done,) = run_sweep(sweep, results, Executor())
    assert done.seconds == 0.1
    assert len(lines_of(results)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema": 1}\n', "line 1, is damaged or not a sweep's result: Object missing required field `key`"),
        ("my notes, without an end of line", "is no result of a sweep"),
        (
            SweepResult("k", "export", Sweep("export", (), weights="seeded").digest, "ok", "", 1.0).as_line(),
            "other settings",
        ),
    ],
)
def test_results_of_something_else_are_not_added_to(tmp_path, content, message):
    results = tmp_path / "results.jsonl"
    results.write_text(content, encoding="utf-8")
    with pytest.raises(ContractError, match=message):
        run_sweep(Sweep("export", ()), results, Executor())
    assert results.read_text(encoding="utf-8") == content


def test_a_scheduler_that_does_not_answer(tmp_path, monkeypatch):
    sweep = Sweep("export", (Point(tiny.NAME, "onnx", "float32", tiny.SIZE),))
    monkeypatch.setattr(executor, "PATIENCE", 1.0)
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run_sweep(sweep, tmp_path / "results.jsonl", Executor(scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(UsageError, match="no Dask scheduler answers"):
        run_sweep(sweep, tmp_path / "results.jsonl", Executor(scheduler="nowhere"))
    with pytest.raises(UsageError, match="a job at least"):
        Executor(0)
    with pytest.raises(UsageError, match=r"must end in \.jsonl"):
        run_sweep(sweep, tmp_path / "results.csv", Executor())


def test_a_scheduler_without_workers_is_told(tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(executor, "PATIENCE", 1.0)
    sweep = Sweep("export", (Point(tiny.NAME, "onnx", "float32", tiny.SIZE),))
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        of = Executor(scheduler=cluster.scheduler_address)
        with pytest.raises(UsageError, match="has no workers"):
            run_sweep(sweep, tmp_path / "results.jsonl", of)


def test_what_is_exported_already_is_done(exports_of):
    """By another run, or by one that was killed before it could say so."""
    entry = exports_of("onnx", "float32")
    sweep = Sweep("export", (), weights="seeded", output=entry.model_folder.parent)
    found = do(sweep, Point(tiny.NAME, "onnx", "float32", tiny.SIZE))
    assert (found.status, found.message) == ("ok", "")
    assert found.found["parity"]["passed"] is True


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda facts: facts["files"]["decoder"]["provenance"].update(weights_sha256="0" * 64), "weights"),
        (lambda facts: facts["files"]["encoder"]["options"].update(opset=19), "options"),
        (lambda facts: facts["files"].pop("decoder"), "missing decoder"),
        (lambda facts: facts["files"]["encoder"]["provenance"].update(lightsam_version="0.0.1"), "lightsam"),
    ],
)
def test_another_export_is_not_passed_off_for_the_sweeps(exports_of, tmp_path, change, what):
    entry = exports_of("onnx", "float32")
    folder = shutil.copytree(entry.model_folder, tmp_path / entry.model_folder.name)
    changed = edit_facts(folder / "onnx-float32", change)
    sweep = Sweep("export", (), weights="seeded", output=tmp_path)
    found = do(sweep, Point(tiny.NAME, "onnx", "float32", tiny.SIZE))
    assert found.status == "failed"
    assert f"is another export than this sweep makes (its {what})" in found.message
    assert json.loads((folder / "onnx-float32" / "export.json").read_text(encoding="utf-8")) == changed


def test_results_of_another_suite_or_release_are_others(monkeypatch, tmp_path, coffee):
    coffee.save(tmp_path / "one.png")
    before = Sweep("parity", (), suite=str(tmp_path)).digest
    coffee.rotate(90).save(tmp_path / "one.png")
    after = Sweep("parity", (), suite=str(tmp_path)).digest
    assert before != after
    monkeypatch.setattr(sweep_file, "__version__", "0.0.1")
    assert Sweep("parity", (), suite=str(tmp_path)).digest != after


def test_a_librarys_own_error_is_a_result(monkeypatch, tmp_path):
    def broken(request):
        raise RuntimeError("a converter\nraised this")

    monkeypatch.setattr(points, "export", broken)
    sweep = Sweep("export", (), output=tmp_path, weights="seeded")
    found = do(sweep, Point(tiny.NAME, "onnx", "float32", tiny.SIZE))
    assert (found.status, found.message) == ("failed", "RuntimeError: a converter raised this")


def test_who_shares_a_machine_is_warned():
    timed = Sweep("benchmark", (), method=Method())
    assert warning(timed, Executor(2))
    assert not warning(timed, Executor(1))
    assert not warning(timed, Executor(2, "tcp://10.0.0.1:8786"))
    assert not warning(replace(timed, work="export"), Executor(2))


def test_a_sweep_without_a_benchmark_has_no_record(tmp_path):
    results = tmp_path / "results.jsonl"
    results.write_text(SweepResult("k", "export", "", "ok", "", 1.0).as_line(), encoding="utf-8")
    with pytest.raises(ContractError, match="holds no benchmark"):
        record.read(results)
