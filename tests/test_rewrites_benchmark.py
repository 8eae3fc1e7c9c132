"""`lightsam benchmark rewrites`: which files, in which turns, and what is made of their times."""

import dataclasses
import json
import math
import os
import sys
import textwrap
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tiny
from command import OWN_PROCESSES, run_command
from json_schema import errors
from torch import nn

from lightsam.errors import BenchmarkError, ContractError, FormatUnavailableError, UsageError
from lightsam_benchmarks.rewrites import authors, measuring, memory, record, report, rounds, table, writers
from lightsam_benchmarks.rewrites.process import in_a_process
from lightsam_benchmarks.rewrites.rounds import Method, Subject
from lightsam_exporters.graphs import FORMS

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "rewrites-record.json").read_text(encoding="utf-8"))

THEIR_PACKAGE = {
    "__init__.py": """
        import tiny

        def build():
            sam = tiny.build(tiny.SIZE)
            sam.image_encoder.img_size = tiny.SIZE
            return sam

        sam_model_registry = {"tiny": build}
        """,
    "utils/__init__.py": "",
    "utils/onnx.py": """
        from torch import nn
        from lightsam.stages import split

        class SamOnnxModel(nn.Module):
            def __init__(self, sam, return_single_mask):
                super().__init__()
                self.decoder = split(sam).decoder.module

            def forward(self, embeddings, coords, labels, mask, has_mask, size):
                low_res_masks, iou_predictions = self.decoder(embeddings, coords, labels, mask, has_mask)
                return low_res_masks * size[0], iou_predictions, low_res_masks
        """,
}


class Longer(nn.Module):
    """Computes the same in one more step."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image):
        return tuple(one + 0 * image.mean() for one in self.module(image))


def longer(module):
    """A rewrite of encoders."""
    return Longer(module) if hasattr(module, "image_encoder") else None


@pytest.fixture(scope="module")
def clones(tmp_path_factory) -> Path:
    """A folder with the repository of the tiny model's authors."""
    folder = tmp_path_factory.mktemp("clones")
    for name, text in THEIR_PACKAGE.items():
        path = folder / "Tiny" / "inside" / "tiny_authors" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


REPOSITORY = authors.Repository("https://example.org/authors/Tiny", "inside", "tiny_authors", "tiny")


@pytest.fixture(scope="module")
def run(clones, tmp_path_factory):
    """One run of the command over a part of the rows: how it ended, and its folder."""
    output = tmp_path_factory.mktemp("rewrites") / "out"
    with (
        mock.patch.dict(os.environ, OWN_PROCESSES),
        mock.patch.dict(authors.REPOSITORIES, {tiny.NAME: REPOSITORY}),
        mock.patch.dict(FORMS, {"onnx": (longer,)}, clear=True),
        mock.patch.object(measuring, "CONVERTED", ("onnx",)),
    ):
        done = run_command(
            *("benchmark", "rewrites", "--model", tiny.NAME, "--weights", "seeded", "--authors", clones, "--quick"),
            *("--row", f"{tiny.NAME} encoder,one point,of the encoder onnx,conversion", "--each"),
            *("--rounds", 2, "--min-time", 0, "--threads", 1, "--output", output),
        )
    return done, output


def test_every_row_has_a_number(run):
    done, output = run
    assert done.status == 0, done.stderr
    found = record.read(output / "rewrites.json")
    numbers = {(one.what, one.format, one.against): one.value for one in found.results}
    assert all(one.status == record.OK and one.value > 0 for one in found.results), found.results
    assert set(numbers) == {
        *(("encoder", "onnx", against) for against in ("authors", "faithful", "without longer")),
        *(("encoder", "tflite", against) for against in ("authors", "faithful")),
        *(("decoder with one point", "onnx", against) for against in ("authors", "faithful")),
        *(("peak memory of the encoder", "onnx", against) for against in ("authors", "faithful")),
        *(("peak activations by liveness of the encoder", "onnx", against) for against in ("authors", "faithful")),
        ("conversion to coreml, onnx, tflite", "", ""),
    }
    assert set(found.models[0].conversion_s) == {"weights and contract", "onnx encoder", "onnx decoder"}
    assert found.models[0].rewrites["encoder onnx"] == ("longer",)
    assert found.models[0].rewrites["decoder onnx"] == found.models[0].rewrites["encoder tflite"] == ()


def test_ratios_are_those_of_pairs_of_the_same_round(run):
    found = record.read(run[1] / "rewrites.json")
    for one in found.results:
        if one.kind != table.TIME:
            continue
        (group,) = [group for group in found.groups if group.case == one.what]
        times = {(timed.subject, timed.format): timed.ms for timed in group.subjects}
        ours = times["ours", one.format]
        baseline = times[one.against, "onnx" if one.against == "authors" else one.format]
        assert len(ours) == len(baseline) == 2
        ratios = [b / a for a, b in zip(ours, baseline, strict=True)]
        assert one.value == pytest.approx(math.sqrt(ratios[0] * ratios[1]))
        assert one.interval == pytest.approx((min(ratios), max(ratios)))
        assert one.ours == pytest.approx(np.median(ours))


def test_the_files_are_what_they_are_called_and_agree(run):
    found = record.read(run[1] / "rewrites.json")
    (group,) = [group for group in found.groups if group.case == "encoder"]
    by_name = {(one.subject, one.format): one for one in group.subjects}
    assert set(by_name) == {
        *((name, "onnx") for name in ("ours", "faithful", "authors", "without longer")),
        *((name, "tflite") for name in ("ours", "faithful")),
    }
    assert by_name["ours", "onnx"].psnr_db is None
    assert all(one.psnr_db is None or one.psnr_db > 100 for one in by_name.values())
    # The rewrite of the form is in ours alone.
    sizes = {name: by_name[name, "onnx"].size_bytes for name in ("ours", "faithful", "without longer")}
    assert sizes["faithful"] == sizes["without longer"] < sizes["ours"]


def test_operations_are_told_before_and_after(run):
    found = record.read(run[1] / "rewrites.json")
    pairs = report.profile_pairs(found)
    assert [(before.subject, after.subject) for before, after in pairs] == [("authors", "ours")] * 2
    for before, after in pairs:
        assert {"Conv", "Softmax"} < set(before.ms) & set(after.ms)
        assert list(after.ms.values()) == sorted(after.ms.values(), reverse=True)


def test_the_record_is_valid_and_shown(run):
    done, output = run
    assert errors(SCHEMA, json.loads((output / "rewrites.json").read_text(encoding="utf-8"))) == []
    markdown, html = ((output / f"rewrites.{kind}").read_text(encoding="utf-8") for kind in ("md", "html"))
    for text in (markdown, html, done.stdout):
        assert "decoder with one point" in text
        assert "without" in text
    assert html.count("<svg") == 2
    assert "<script" not in html
    assert sorted(path.suffix for path in output.iterdir()) == [".html", ".json", ".md", ".svg", ".svg"]
    assert str(Path.home()) not in (output / "rewrites.json").read_text(encoding="utf-8")


def test_a_record_is_not_replaced_unasked(run, lightsam):
    done = lightsam("benchmark", "rewrites", "--output", run[1])
    assert done.status == 2
    assert "is there already" in done.stderr


def test_without_matplotlib_there_is_still_a_record(run, tmp_path, monkeypatch):
    def no_plots(records):
        raise FormatUnavailableError("plots needs the package 'matplotlib'")

    monkeypatch.setattr(writers, "as_html", no_plots)
    paths, missing = writers.write(record.read(run[1] / "rewrites.json"), tmp_path)
    assert [path.name for path in paths] == ["rewrites.json", "rewrites.md"]
    assert missing == "no page and no plot was written: plots needs the package 'matplotlib'"


def test_what_is_damaged_is_refused(run, tmp_path):
    content = json.loads((run[1] / "rewrites.json").read_text(encoding="utf-8"))
    path = tmp_path / "record.json"
    for change, message in (
        ({"schema": 0}, "not a record of rewrites of schema 1"),
        ({"results": [{**content["results"][0], "value": None}]}, "is damaged"),
        ({"groups": 3}, "is damaged or not a record of rewrites"),
    ):
        path.write_text(json.dumps({**content, **change}), encoding="utf-8")
        with pytest.raises(ContractError, match=message):
            record.read(path)


# The turns


class Machine:
    """A clock that calls and pauses move on."""

    def __init__(self) -> None:
        self.now = 0
        self.said: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)
        self.said.append("pause")

    def call(self, name: str, ms: list[float]):
        def once():
            self.said.append(name)
            self.now += int(1e6 * ms[self.said.count(name) % len(ms)])

        return once


def test_every_call_that_counts_follows_a_pause_and_one_that_does_not():
    machine = Machine()
    calls = [machine.call("a", [3, 50]), machine.call("b", [7, 90]), machine.call("c", [1, 70])]
    found = rounds.take_rounds(calls, Method(rounds=6, min_time_s=0), lambda: machine.now, machine.sleep)
    assert found == [[3, 7, 1]] * 6
    turns = [machine.said[index : index + 3] for index in range(0, len(machine.said), 3)]
    assert all(turn[0] == "pause" and turn[1] == turn[2] for turn in turns)
    orders = ["".join(turn[1] for turn in turns[index : index + 3]) for index in range(0, len(turns), 3)]
    assert {"".join(sorted(order)) for order in orders} == {"abc"}
    assert len(set(orders)) > 1


def test_short_calls_get_more_rounds():
    machine = Machine()
    found = rounds.take_rounds([machine.call("a", [10])], Method(2, 1.0, 0.0), lambda: machine.now, machine.sleep)
    assert len(found) == 50


def test_what_slows_a_round_does_not_change_the_ratio():
    slowed = [1.0, 1.1, 3.0, 1.0, 1.7, 1.0, 1.2]
    ratio = rounds.ratio_of([10 * one for one in slowed], [15 * one for one in slowed])
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1.5, 1.5, 1.5))


def test_files_that_compute_something_else_are_not_timed(monkeypatch, tmp_path):
    outputs = {"a": np.ones(9, np.float32), "b": np.full(9, 1.01, np.float32), "c": np.full(9, np.nan, np.float32)}
    monkeypatch.setattr(rounds, "started", lambda subject, threads: lambda: {"masks": outputs[subject.name]})
    subjects = {name: Subject(name, "onnx", "decoder", tmp_path / f"{name}.onnx", {}) for name in outputs}
    same, _ = rounds.measure_here([subjects["a"]] * 2, Method(1, 0, 0))
    assert same.psnr_db is None
    for name in ("b", "c"):
        with pytest.raises(BenchmarkError, match=f"{name}.onnx does not compute what the first file does"):
            rounds.measure_here([subjects["a"], subjects[name]], Method(1, 0, 0))


@pytest.mark.parametrize("changes", [{"rounds": 0}, {"threads": 0}, {"min_time_s": math.inf}, {"pause_s": -1}])
def test_a_method_that_makes_no_sense_is_refused(changes):
    with pytest.raises(UsageError, match=f"{next(iter(changes))} is at least"):
        Method(**changes)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is told by Linux alone")
def test_the_peak_is_that_of_the_calls(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "started", lambda subject, threads: lambda: np.ones(8_000_000))
    found = memory.peak_of(Subject("ours", "onnx", "encoder", tmp_path / "a.onnx", {}), 1)
    assert 50e6 < found.running < 150e6
    assert found.running < found.total


def test_a_process_that_ends_is_told():
    with pytest.raises(BenchmarkError, match="the process of _exit ended before"):
        in_a_process(os._exit, 3)
    with pytest.raises(BenchmarkError, match="ValueError"):
        in_a_process(math.sqrt, -1)


# The rows


def test_the_rows_hold_what_was_promised():
    rows = {row.name: row.target for row in table.rows_of(["mobile_sam", "repvit_sam"])}
    assert rows["mobile_sam encoder onnx vs authors"] == 1.25
    assert rows["mobile_sam encoder tflite vs authors"] == 1.4
    assert rows["repvit_sam encoder onnx vs authors"] == rows["repvit_sam encoder tflite vs authors"] == 1.18
    assert rows["mobile_sam decoder with one point onnx vs authors"] == 2.1
    assert rows["mobile_sam decoder with 16 prompts in one call onnx vs faithful"] == 2.2
    assert {rows[f"mobile_sam decoder with 8 slots {name} vs faithful"] for name in table.FORMATS} == {1.7}
    assert rows["mobile_sam conversion to coreml, onnx, tflite"] == 45
    assert {target for name, target in rows.items() if "peak " in name} == {0.7}


def test_rows_are_chosen_by_their_names():
    named = [row.name for row in table.rows_of([tiny.NAME], ["one point", "conversion"])]
    assert named == [
        f"{tiny.NAME} decoder with one point onnx vs authors",
        f"{tiny.NAME} decoder with one point onnx vs faithful",
        f"{tiny.NAME} conversion to coreml, onnx, tflite",
    ]
    assert all(row.target is None for row in table.rows_of([tiny.NAME]))
    with pytest.raises(UsageError, match=r"no row is called neck; there are: mobile_sam encoder onnx vs authors; "):
        table.rows_of(["mobile_sam"], ["neck"])
    with pytest.raises(UsageError, match="named twice"):
        table.rows_of(["mobile_sam", "mobile_sam"])
    with pytest.raises(UsageError, match="no model"):
        table.rows_of(["mobile_sum"])


@pytest.mark.parametrize(
    ("kind", "value", "target", "met"),
    [
        (table.TIME, 1.3, 1.25, True),
        (table.TIME, 1.2, 1.25, False),
        (table.MEMORY, 0.6, 0.7, True),
        (table.MEMORY, 0.8, 0.7, False),
        (table.CONVERSION, 50.0, 45.0, False),
        (table.TIME, 1.3, None, None),
        (table.TIME, None, 1.25, None),
    ],
)
def test_a_target_is_reached_from_its_own_side(kind, value, target, met):
    one = record.Result("a row", "m", "encoder", "onnx", "faithful", kind, record.OK, "", target, value=value)
    assert one.met is met


# The authors' code


def reason(folder, card=tiny.CARD, size=tiny.SIZE, **repositories):
    with (
        mock.patch.dict(authors.REPOSITORIES, repositories),
        pytest.raises(BenchmarkError) as caught,
        mock.patch.dict(os.environ, OWN_PROCESSES),
    ):
        authors.Authors(folder).export(card, size, Path("weights.pt"), Path("out"))
    return type(caught.value), str(caught.value)


def test_why_there_is_nothing_of_the_authors_is_said(clones, tmp_path):
    known = {tiny.NAME: REPOSITORY}
    left_out = authors.NotGivenError
    assert reason(clones)[0] is left_out
    assert reason(None, **known) == (
        left_out,
        "without --authors DIR, a folder with clones of the authors' repositories",
    )
    kind, message = reason(tmp_path, **known)
    assert kind is left_out
    assert message.endswith(f"is not there: git clone {REPOSITORY.url}")
    assert reason(clones, size=192, **known) == (left_out, "the authors' code takes images of 128 pixels, not 192")


def test_the_authors_own_error_is_passed_on(clones):
    broken = dataclasses.replace(REPOSITORY, key="huge")
    assert reason(clones, **{tiny.NAME: broken}) == (BenchmarkError, "the authors' code failed: KeyError: 'huge'")


def test_no_weights_of_ours_are_lacking_in_the_repositories_table():
    assert set(authors.REPOSITORIES) == set(table.ROWS)
