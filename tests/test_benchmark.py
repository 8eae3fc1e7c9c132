"""`lightsam benchmark`: from exports to a record, in processes of their own."""

import contextlib
import copy
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tiny
import torch
from ai_edge_litert import hardware_accelerator
from command import OWN_PROCESSES, run_command
from editing import edit_facts

from lightsam import Everything, load_model
from lightsam.errors import BenchmarkError, ContractError, UsageError
from lightsam.installation import install_command
from lightsam.stages import STAGE_NAMES, split
from lightsam_benchmarks import machine
from lightsam_benchmarks.latency import pytorch, record, report, units, worker
from lightsam_benchmarks.latency.compare import SAME, compare
from lightsam_benchmarks.latency.interleaved import take_turns, versus
from lightsam_benchmarks.latency.plan import Selection, export_tasks, photograph, planned, torch_tasks
from lightsam_benchmarks.latency.record import (
    CALL,
    EVERYTHING,
    FIRST_MASK,
    IMAGE,
    IN_RUNTIMES,
    OK,
    PAIR,
    PROMPTS,
    SCOPES,
)
from lightsam_benchmarks.latency.run import benchmark, in_a_fresh_process
from lightsam_benchmarks.latency.summary import Summary, paired_ratio
from lightsam_benchmarks.latency.timing import Method
from lightsam_benchmarks.latency.worker import inputs_of
from lightsam_exporters import formats
from lightsam_exporters.formats import coreml, describe_format, onnx, tflite
from lightsam_exporters.formats.base import shares
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.loading import find_export, load_predictor
from lightsam_exporters.parity.reference import References

QUICK = ("--rounds", "2", "--min-count", "3", "--min-time", "0", "--warmup", "1", "--threads", "1")
SHORT = Method(warmup=1, min_count=3, min_time_s=0, rounds=1, threads=1)


@pytest.fixture(scope="module")
def artifacts(exports_of, tmp_path_factory) -> Path:
    """The tiny model in ONNX, LiteRT and Core ML, in one folder."""
    folder = tmp_path_factory.mktemp("artifacts") / tiny.NAME
    exports = [exports_of(name, "float16") for name in ("onnx", "tflite", "coreml")]
    for entry in exports:
        shutil.copytree(entry.folder, folder / entry.name)
    return folder


@pytest.fixture(scope="module")
def run(artifacts, tmp_path_factory):
    """One run of the command over everything: how it ended, and the record."""
    output = tmp_path_factory.mktemp("records") / "run.json"
    with mock.patch.dict(os.environ, OWN_PROCESSES):
        done = run_command("benchmark", artifacts, *QUICK, "--stage", f"{SCOPES[0]},{PAIR}", "--output", output)
    return done, output


def test_the_command_measures_what_is_there(run):
    done, output = run
    assert done.status == 0, done.stderr
    found = record.read(output)
    measured = [result for result in found.results if result.status == OK]
    assert {(r.subject.export, r.scope) for r in measured} == {
        (name, scope) for name in ("torch-float32", "onnx-float16", "tflite-float16") for scope in (SCOPES[0], PAIR)
    }
    for result in measured:
        assert (result.unit.requested, result.unit.actual, result.unit.threads) == ("CPU", "CPU", 1)
        assert len(result.rounds) == 2
        names = (FIRST_MASK, *PROMPTS) if result.scope == PAIR else (CALL,)
        assert tuple(result.summaries) == names
        for one in result.rounds:
            assert one.load_cold_ms > 0 < one.load_warm_ms
            assert one.first_call_ms > 0
            assert one.peak_memory_bytes > one.memory_before_bytes > 50e6
            assert {name: len(samples) for name, samples in one.ms.items()} == dict.fromkeys(names, 3)
            assert {name: len(samples) for name, samples in one.warmup_ms.items()} == dict.fromkeys(names, 1)
        for name, summary in result.summaries.items():
            samples = [sample for one in result.rounds for sample in one.ms[name]]
            assert summary.count == 6
            assert min(samples) == summary.min_ms <= summary.median_ms <= summary.p90_ms <= max(samples)
            assert summary.interval_ms[0] <= summary.median_ms <= summary.interval_ms[1]


@pytest.mark.parametrize(("format_name", "together"), [("onnx", True), ("tflite", False)])
def test_more_prompts_are_more_work(artifacts, format_name, together):
    """As many prompts reach the decoder as a name says: in one call where it takes several, else one by one."""
    (task,) = tasks_of(artifacts, format_name, scope=PAIR)
    loaded = worker._load_all(task.job)
    batches = []

    def counting(inputs):
        batches.append(len(inputs["point_labels"]))
        return loaded["decoder"].prepare(inputs)

    calls = worker._calls(task.job, {**loaded, "decoder": loaded["decoder"]._replace(prepare=counting)})
    assert tuple(calls) == (FIRST_MASK, *PROMPTS)
    calls[FIRST_MASK]()
    assert batches == [1]
    for name, count in PROMPTS.items():
        batches.clear()
        calls[name]()
        assert batches == ([count] if together else [1] * count)


def test_everything_in_an_image_is_timed_with_what_the_runtimes_took(artifacts, tmp_path):
    output = tmp_path / "run.json"
    done = run_command(
        "benchmark", artifacts, *("--format", "onnx,tflite"), *("--stage", EVERYTHING), *QUICK, *("--rounds", 1),
        "--output", output,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    found = record.read(output)
    assert {(one.subject.format, one.scope) for one in found.results} == {("onnx", EVERYTHING), ("tflite", EVERYTHING)}
    (table,) = [one for one in report.tables([found]) if one.title == "Everything in an image"]
    for result in found.results:
        (measured,) = result.rounds
        assert {name: len(ms) for name, ms in measured.ms.items()} == {IMAGE: 3, IN_RUNTIMES: 3}
        assert {name: len(ms) for name, ms in measured.warmup_ms.items()} == {IMAGE: 1, IN_RUNTIMES: 1}
        for whole, inside in zip(measured.ms[IMAGE], measured.ms[IN_RUNTIMES], strict=True):
            assert 0 < inside < whole
        how = Everything()
        calls = how.points_per_side**2 // (1 if result.subject.point_slots else how.points_per_batch)
        assert measured.counts["points"] == how.points_per_side**2
        assert measured.counts["decoder_calls"] == calls
        outside = 1 - sum(measured.ms[IN_RUNTIMES]) / sum(measured.ms[IMAGE])
        (row,) = [dict(zip(table.columns, row, strict=True)) for row in table.rows if row[1] == result.subject.export]
        assert row["outside the runtimes"] == f"{outside:.1%}"
        assert float(row["images a minute"]) == pytest.approx(60000 / result.summaries[IMAGE].median_ms, abs=0.06)
        assert row["decoder calls"] == str(calls)


def test_the_masks_that_are_timed_are_those_that_are_found(artifacts):
    (task,) = tasks_of(artifacts, "onnx", scope=EVERYTHING)
    (whole,) = worker._calls(task.job, worker._load_all(task.job)).values()
    whole._how = Everything(points_per_side=6, points_per_batch=5, pred_iou_thresh=-9, stability_score_thresh=0.3)
    whole()
    predictor = load_predictor(artifacts, format_name="onnx")
    found = predictor.segment_everything(predictor.encode(task.job.image), whole._how)
    assert whole.counts == {"points": 36, "decoder_calls": 8, "masks": len(found)}
    assert found


def test_the_record_says_what_was_timed(run, artifacts):
    found = record.read(run[1])
    by_export = {(r.subject.export, r.scope): r for r in found.results if r.status == OK}
    entry = find_export(artifacts, "onnx")
    onnx = by_export["onnx-float16", "encoder"]
    assert onnx.sha256 == entry.facts.files["encoder"].sha256
    assert onnx.size_bytes == entry.path("encoder").stat().st_size
    assert onnx.parity.passed
    decibels = [one.psnr_db for one in entry.facts.parity.measurements if one.psnr_db is not None]
    assert onnx.parity.worst_psnr_db == min(decibels)
    assert onnx.subject.weights.trained is False
    assert onnx.unit.runtime.startswith("ONNX Runtime 1.")
    assert by_export["tflite-float16", PAIR].subject.point_slots == 8
    assert onnx.subject.point_slots is None
    assert by_export["torch-float32", "encoder"].parity is None
    assert found.versions["torch"] == torch.__version__.split("+")[0] or found.versions["torch"] == torch.__version__
    assert found.git is None or len(found.git["commit"]) == 40
    assert found.machine.usable_cores >= 1
    assert len(found.machine.load_before) == len(found.machine.load_after) == 3
    assert str(Path.home()) not in run[1].read_text(encoding="utf-8")
    assert str(artifacts) not in run[1].read_text(encoding="utf-8")


@pytest.mark.skipif(platform.system() == "Darwin", reason="there Core ML is timed")
def test_core_ml_is_refused_with_a_sentence(run, artifacts, lightsam):
    done, output = run
    (refused, *_) = [r for r in record.read(output).results if r.status == record.UNAVAILABLE]
    assert refused.subject.export == "coreml-float16"
    assert refused.message == coreml.NOT_HERE
    assert "Core ML runs on macOS alone" in done.stdout
    done = lightsam("benchmark", artifacts, "--format", "coreml")
    assert done.status == 2
    assert "there is nothing to be timed here: Core ML runs on macOS alone" in done.stderr


def redrawn(found: record.Record, seed: int) -> record.Record:
    """The same record by a machine whose speed is known: 5 ms a call, 2 % of noise, whatever else is running here."""
    rng = np.random.default_rng(seed)

    def again(result):
        rounds = tuple(
            replace(one, ms={name: tuple(5 * np.exp(rng.normal(0, 0.02, len(ms)))) for name, ms in one.ms.items()})
            for one in result.rounds
        )
        summaries = {name: Summary.of([one.ms[name] for one in rounds]) for name in result.summaries}
        return replace(result, rounds=rounds, summaries=summaries)

    return replace(found, results=tuple(map(again, found.results)))


def test_a_second_run_is_paired_with_the_first(run, artifacts, lightsam, own_processes, tmp_path):
    second = tmp_path / "second.json"
    done = lightsam("benchmark", artifacts, "--format", "onnx", *QUICK, "--stage", "encoder,pair", "--output", second)
    assert done.status == 0, done.stderr
    before, after = record.read(run[1]), record.read(second)
    assert [change.name for change in compare(before, after) if change.name] == [CALL, FIRST_MASK, *PROMPTS]
    # Two rounds of three calls each: a wide interval, that hardly anything leaves.
    verdicts = [
        change.verdict
        for seed in range(20)
        for change in compare(redrawn(before, seed), redrawn(after, seed + 100))
        if change.name
    ]
    assert len(verdicts) == 100
    assert verdicts.count(SAME) >= 95
    done = lightsam("benchmark", "compare", run[1], second, "--margin", "100")
    assert done.status == 0, done.stdout
    assert done.stdout.count("not measured") == 4  # torch and LiteRT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "caffe"), "no format 'caffe' to be timed"),
        (("--unit", "TPU"), "no unit 'TPU' to be timed"),
        (("--stage", "neck"), "no stage 'neck' to be timed"),
        (("--unit", "CUDA", "--format", "torch"), "torch finds no CUDA device"),
        (("--unit", "CUDA", "--format", "onnx"), "this build of ONNX Runtime has no CUDA"),
        (("--format", "coreai"), "holds no coreai export"),
        (("--precision", "int4"), "no export is what was asked for"),
        (("--min-count", "0"), "min_count is at least 1"),
        (("--output", "run.txt"), "must end in .json"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(artifacts, lightsam, arguments, message):
    done = lightsam("benchmark", artifacts, *arguments)
    assert done.status == 2
    assert message in done.stderr


def test_a_record_is_not_lost(run, artifacts, lightsam):
    before = run[1].read_bytes()
    done = lightsam("benchmark", artifacts, *QUICK, "--output", run[1])
    assert done.status == 2
    assert "is there already" in done.stderr
    assert run[1].read_bytes() == before


def test_weights_of_the_users_own_must_be_given_for_pytorch(exported, lightsam, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / exported.name))
    for export in folder.glob("coreml-*"):
        edit_facts(export, lambda facts: [f["provenance"].update(weights="mine.pt") for f in facts["files"].values()])
    done = lightsam("benchmark", folder)
    assert done.status == 2
    assert "say where it is with --weights" in done.stderr


def tasks_of(artifacts, *formats, scope="encoder", method=SHORT):
    selection = Selection(formats=formats, scopes=(scope,))
    with photograph() as image:
        return [
            task for name in formats for task in export_tasks(find_export(artifacts, name), selection, method, image)
        ]


class Bomb:
    """Goes off when the worker reads its job."""

    def __init__(self, function, *arguments):
        self.effect = (function, arguments)

    def __reduce__(self):
        return self.effect


def test_a_crash_is_a_result_and_the_rest_goes_on(artifacts):
    good, bad = tasks_of(artifacts, "onnx", "tflite")
    bad = replace(bad, job=replace(bad.job, model=Bomb(os.abort)))
    found = benchmark([bad, good], replace(SHORT, rounds=2))
    crashed, fine = found.results
    assert crashed.status == record.CRASHED
    assert "it was ended by SIGABRT" in crashed.message
    assert (crashed.rounds, crashed.summaries) == ((), {})
    assert fine.status == OK
    assert len(fine.rounds) == 2


def test_a_runtime_that_exits_cleanly_is_a_result(artifacts):
    (task,) = tasks_of(artifacts, "onnx")
    found = in_a_fresh_process(replace(task.job, model=Bomb(os._exit, 0)))
    assert (found.status, found.message) == (record.CRASHED, "it ended with status 0 and no result")


def test_exports_of_two_sets_of_weights_are_not_one_row_of_pytorch(artifacts, tmp_path):
    folder = Path(shutil.copytree(artifacts, tmp_path / artifacts.name))
    edit_facts(
        folder / "onnx-float16",
        lambda facts: [
            file["provenance"].update(weights="mine.pt", weights_sha256="0" * 64) for file in facts["files"].values()
        ],
    )
    with (
        pytest.raises(UsageError, match=r"exports of different weights \(seeded, mine\.pt\)"),
        planned([folder], Selection(formats=("torch",)), SHORT, References()),
    ):
        pass
    with planned([folder], Selection(formats=("onnx",)), SHORT, References()) as (tasks, _):
        assert tasks


def test_what_takes_too_long_is_stopped(artifacts, monkeypatch):
    killed = []

    class Watched(subprocess.Popen):
        def kill(self):
            killed.append(self.pid)
            super().kill()

    monkeypatch.setattr(subprocess, "Popen", Watched)
    (task,) = tasks_of(artifacts, "onnx")
    job = replace(task.job, model=Bomb(time.sleep, 300), method=replace(SHORT, timeout_s=1))
    found = in_a_fresh_process(job)
    assert (found.status, found.message) == (record.TIMED_OUT, "it was stopped after 1 s")
    assert len(killed) == 1


def test_a_damaged_file_is_a_result(artifacts, tmp_path):
    (task,) = tasks_of(artifacts, "onnx")
    broken = tmp_path / "encoder.onnx"
    broken.write_bytes(task.job.files["encoder"].read_bytes()[:500])
    found = in_a_fresh_process(replace(task.job, files={"encoder": broken}))
    assert found.status == record.FAILED
    assert "cannot be read as ONNX" in found.message


def test_a_file_that_changed_does_not_look_good(artifacts, tmp_path):
    folder = Path(shutil.copytree(artifacts, tmp_path / artifacts.name))
    with (folder / "onnx-float16" / "encoder.onnx").open("ab") as file:
        file.write(b"\0")
    (task,) = tasks_of(folder, "onnx")
    assert task.parity.passed is False


def test_a_then_b_then_b_then_a():
    order = []

    def block(name):
        order.append(name)
        return [1.0]

    now = iter(range(0, 10**12, 10**9))
    method = Method(min_count=1, min_time_s=0)
    turns = take_turns([lambda: block("a"), lambda: block("b")], method, lambda: next(now), 0)
    assert "".join(order).startswith("abbaabba")
    assert len(turns) == 15


def test_few_turns_when_they_take_long():
    now = iter(range(0, 10**15, 30 * 10**9))
    turns = take_turns([lambda: [1.0]] * 2, Method(max_time_s=60), lambda: next(now), 0)
    assert len(turns) == 6


def test_two_files_against_one_another(artifacts, lightsam):
    a, b = (f"{artifacts}/{name}-float16" for name in ("onnx", "tflite"))
    done = lightsam("benchmark", a, "--vs", b, *QUICK, "--stage", "decoder")
    assert done.status == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("│ tiny_sam onnx-float16 ("))
    cells = [cell.strip() for cell in row.split("│")]
    assert cells[2].startswith("tiny_sam tflite-float16 (")
    assert cells[3:6] == ["decoder", "CPU", "call"]
    low, high = map(float, cells[9].split(" to "))
    assert low <= float(cells[8]) <= high


def test_a_file_against_itself_is_measured_on_both_sides(artifacts):
    (task,) = tasks_of(artifacts, "onnx")
    (found,) = versus(task, task, replace(SHORT, min_count=16))
    assert (found.scope, found.name, found.turns) == ("encoder", CALL, 16)
    assert min(found.a.count, found.b.count) >= 16
    assert 0 < found.ratio.low <= found.ratio.value <= found.ratio.high


def test_two_sides_alike_differ_by_noise_however_busy_the_machine_is():
    """By a clock of our own: the machine gets slower and faster, for both sides of a turn alike."""
    rng = np.random.default_rng(0)
    now, slow = 0, 1.0

    def block():
        nonlocal now, slow
        slow *= np.exp(rng.normal(0, 0.1))
        samples = [slow * 5 * np.exp(rng.normal(0, 0.02)) for _ in range(4)]
        now += int(sum(samples) * 1e6)
        return samples

    found = paired_ratio(take_turns([block, block], Method(min_count=40, min_time_s=0), lambda: now, 0))
    assert found.is_noise
    assert found.high / found.low < 1.2


def test_a_side_that_dies_is_told(artifacts):
    (task,) = tasks_of(artifacts, "onnx")
    with pytest.raises(BenchmarkError, match="ended with status"):
        versus(task, replace(task, job=replace(task.job, model=Bomb(os.abort))), SHORT)
    with pytest.raises(BenchmarkError, match="cannot be read as ONNX"):
        versus(task, replace(task, job=replace(task.job, files={"encoder": Path("gone.onnx")})), SHORT)


def test_what_has_nothing_in_common_is_refused(artifacts, exported, lightsam):
    done = lightsam("benchmark", f"{artifacts}/onnx-float16", "--vs", f"{artifacts}/coreml-float16")
    assert done.status == 2
    assert "no stage and unit in common" in done.stderr
    done = lightsam("benchmark", artifacts, "--vs", artifacts, "--output", "run.json")
    assert done.status == 2
    assert "--output changes nothing with --vs" in done.stderr


def test_the_same_twice_is_refused(artifacts, lightsam):
    """A record could not tell them apart."""
    done = lightsam("benchmark", artifacts, artifacts, "--format", "onnx")
    assert done.status == 2
    assert "is there more than once: compare two with --vs" in done.stderr
    done = lightsam("benchmark", artifacts, "--stage", "encoder,encoder")
    assert done.status == 2
    assert "a stage is asked for twice" in done.stderr


def test_a_folder_that_is_none_is_refused_and_not_made(lightsam, tmp_path):
    done = lightsam("benchmark", tmp_path / "typo" / "mobile_sam")
    assert done.status == 1
    assert "holds no export" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_found_out_beside_the_time_may_fail(artifacts, monkeypatch):
    """A compute plan that a system does not give costs no measurement."""
    (task,) = tasks_of(artifacts, "onnx")

    def broken(*_):
        raise ValueError("no plan\non this system")

    monkeypatch.setattr(worker, "_residency", broken)
    found = worker.work(task.job)
    assert (found.status, found.message) == (OK, "ValueError: no plan on this system")
    assert found.round is not None
    again = worker.work(replace(task.job, first=False))
    assert (again.status, again.message) == (OK, "")


def test_a_runtimes_own_error_is_a_result_without_folders(artifacts, monkeypatch):
    (task,) = tasks_of(artifacts, "onnx")

    def broken(job):
        raise RuntimeError(f"{job.files['encoder']}: out of memory")

    monkeypatch.setattr(worker, "_load_all", broken)
    found = worker.work(task.job)
    assert (found.status, found.message) == (record.FAILED, "RuntimeError: encoder.onnx: out of memory")


@pytest.mark.parametrize("mode", [pytorch.EAGER, pytorch.CHANNELS_LAST])
def test_pytorch_answers_as_the_model_does(tmp_path, mode):
    """float16 with channels last is an optimisation, not another model."""
    model = load_model(tiny.NAME, weights="seeded").sam
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    stages = split(model)
    for name in STAGE_NAMES:
        ours = pytorch.TorchStage(tmp_path / "weights.pt", tiny.NAME, tiny.SIZE, name, "CPU", mode)
        inputs = stages[name].sample_inputs()
        expected, found = stages[name].run(inputs), ours.session.run(inputs)
        for key, array in expected.items():
            assert abs(found[key] - array).max() <= (0 if mode == pytorch.EAGER else 0.05 * abs(array).max())
        ours.prepare(inputs)()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("card", tiny.CARDS, ids=lambda card: card.name)
def test_a_model_moves_to_another_device_whole(card, half):
    """No GPU is needed to find a tensor that would stay behind on the CPU: the meta device refuses it as CUDA would."""
    for stage in split(load_model(card.name, weights="seeded").sam):
        module = pytorch.in_half(stage).module if half else stage.module
        outputs = copy.deepcopy(module).to("meta")(*(tensor.to("meta") for tensor in stage.example_tensors()))
        for output in outputs if isinstance(outputs, tuple) else (outputs,):
            assert output.device.type == "meta"


def test_other_modes_of_pytorch_are_judged(tmp_path):
    model = load_model(tiny.NAME, weights="seeded").sam
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    report = pytorch.judged(tmp_path / "weights.pt", tiny.NAME, tiny.SIZE, "CPU", pytorch.CHANNELS_LAST)
    assert report.passed, report.failures
    assert 50 < min(m.psnr_db for m in report.measurements if m.psnr_db is not None) < 100


def test_a_judged_mode_has_its_parity_in_the_record(own_processes, tmp_path):
    selection = Selection(formats=("torch",), precision=pytorch.CHANNELS_LAST, scopes=("encoder", PAIR))
    reference = References().load(tiny.NAME, "seeded", tiny.SIZE, True)
    with photograph() as image:
        tasks = torch_tasks(reference, tiny.NAME, tmp_path / "weights.pt", selection, SHORT, image)
        found = benchmark(tasks, SHORT)
    for result in found.results:
        assert result.status == OK, result.message
        assert result.parity.passed
        assert result.parity.suite.startswith("quick")


@pytest.mark.slow
def test_compiled_pytorch_answers_as_the_model_does(tmp_path):
    model = load_model(tiny.NAME, weights="seeded").sam
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    assert pytorch.judged(tmp_path / "weights.pt", tiny.NAME, tiny.SIZE, "CPU", pytorch.COMPILED).passed


def test_a_cuda_graph_is_recorded_once_a_shape_and_replayed(monkeypatch):
    """By a stand-in: what CUDA would replay is computed again, from the held inputs to where the results lie."""
    module = torch.nn.Linear(3, 2)
    graphs = pytorch.Graphs(lambda x: module(x))

    class Graph:
        def replay(self):
            ((buffers, outputs),) = [
                (buffers, outputs) for graph, buffers, outputs in graphs.recorded.values() if graph is self
            ]
            outputs.copy_(module(buffers["x"]))

    class Stream:
        def wait_stream(self, other): ...

    for name, stand_in in (("CUDAGraph", Graph), ("Stream", Stream), ("current_stream", Stream)):
        monkeypatch.setattr(torch.cuda, name, stand_in)
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, contextlib.nullcontext)
    with torch.inference_mode():
        for size in (1, 4, 1):
            x = torch.randn(size, 3)
            assert torch.equal(graphs(x=x), module(x))
    assert len(graphs.recorded) == 2


def test_a_cuda_graph_needs_cuda(tmp_path):
    with pytest.raises(UsageError, match="needs CUDA, not CPU"):
        pytorch.TorchStage(tmp_path / "w.pt", tiny.NAME, tiny.SIZE, "encoder", "CPU", pytorch.CUDA_GRAPH)
    assert pytorch.modes_on("CUDA") == pytorch.MODES


def test_onnx_runtime_says_which_unit_took_which_share(artifacts):
    (task,) = tasks_of(artifacts, "onnx", scope="decoder")
    path, inputs = task.job.files["decoder"], inputs_of(task.job)
    assert onnx.FORMAT.residency(path, "CPU", inputs) == []  # there is nothing to tell
    times = onnx.node_times(path, inputs, RunOptions(threads=1))
    whole = sum(one.microseconds for one in times)
    (share,) = shares((one.unit, one.microseconds / whole) for one in times)
    assert share.device == "CPU"
    assert share.operations > 50
    assert {"Conv", "Add", "Cos"} < {one.op_type for one in times}
    assert share.cost == pytest.approx(1)


def test_litert_on_another_accelerator_answers_the_same(artifacts, monkeypatch):
    """What runs on a GPU, with the CPU in its place: there is none here."""

    class Stand:
        GPU = CPU = hardware_accelerator.HardwareAccelerator.CPU

    monkeypatch.setattr(hardware_accelerator, "HardwareAccelerator", Stand)
    (task,) = tasks_of(artifacts, "tflite", scope="decoder")
    inputs, path = inputs_of(task.job), task.job.files["decoder"]
    expected = tflite.FORMAT.start(path, "decoder", RunOptions()).run(inputs)
    session = tflite.FORMAT.start(path, "decoder", RunOptions(unit="GPU"))
    assert session.unit == "GPU and CPU"
    for name, array in session.run(inputs).items():
        assert abs(array - expected[name]).max() < 1e-3
    with pytest.raises(UsageError, match="no unit 'NPU'"):
        tflite.FORMAT.start(path, "decoder", RunOptions(unit="NPU"))


@pytest.mark.parametrize("name", units.TIMED)
def test_every_runtime_is_imported_before_its_clock_runs(name):
    units.import_runtime(name)
    assert (name if name == "torch" else describe_format(name).runtime) in sys.modules
    assert isinstance(units.is_threaded(name), bool)


def test_every_unit_that_is_not_here_says_why():
    assert units.why_not("torch", "CPU") == ""
    assert "no unit GPU" in units.why_not("torch", "GPU")
    assert units.why_not("onnx", "CPU") == units.why_not("tflite", "CPU") == ""
    assert "torch finds no MPS device" in units.why_not("torch", "MPS") or platform.system() == "Darwin"
    assert "CPU" in units.default_units("onnx")


@pytest.mark.skipif(platform.system() == "Darwin", reason="there it is fast")
def test_core_ai_is_not_timed_by_default_where_it_is_slow():
    ((unit, why_not),) = Selection().units_of("coreai")
    assert unit == "CPU"
    assert "time it by --format coreai" in why_not
    assert Selection(formats=("coreai",)).units_of("coreai") == [("CPU", "")]


def test_a_missing_package_is_named(artifacts, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    assert install_command("onnx") in units.why_not("onnx", "CPU")
    with planned([artifacts], Selection(), SHORT, References()) as (tasks, refused):
        assert {task.subject.format for task in tasks} == {"torch"}
        assert {task.subject.format for task in refused} == {"onnx", "tflite", "coreml"}


def test_a_containers_quota_counts(tmp_path, monkeypatch):
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(machine, "_LINUX_QUOTA", quota)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    for content, cores in (("200000 100000", 2), ("150000 100000", 2), ("max 100000", 64)):
        quota.write_text(content, encoding="utf-8")
        assert machine.usable_cores() == cores


def test_the_machine_is_described():
    found = machine.describe()
    assert found.chip
    assert found.memory_bytes > 2**30
    assert found.power_source in ("battery", "mains", "unknown")
    assert 1 <= found.usable_cores <= os.cpu_count()
    assert len(found.load_before) == 3
    assert machine.versions(("torch", "no-such-package")).keys() == {"torch"}


def test_a_record_comes_back_as_it_was(run, tmp_path):
    found = record.read(run[1])
    record.write(found, tmp_path / "copy.json")
    assert record.read(tmp_path / "copy.json") == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "cannot be read"),
        ("[]", "not a benchmark record of schema 1"),
        ('{"schema": 99}', "not a benchmark record of schema 1"),
        ('{"schema": 1, "results": []}', "is damaged"),
    ],
)
def test_what_is_no_record_is_refused(lightsam, tmp_path, content, message):
    path = tmp_path / "run.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ContractError, match=message):
        record.read(path)
    done = lightsam("benchmark", "report", path)
    assert done.status == 1
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_the_packages_of_every_runtime_are_named():
    named = machine.ran_by()
    assert {"torch", "numpy", "pillow", "onnxruntime", "ai-edge-litert", "coremltools", "coreai-core"} <= set(named)
    assert len(set(named)) == len(named)
    assert set(machine.versions(named)) == set(named)
