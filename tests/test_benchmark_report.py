"""Records for people: tables, page, and comparison."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lightsam.catalogue import IPHONE_12, M1_PRO
from lightsam.errors import FormatUnavailableError, UsageError
from lightsam_benchmarks.latency import plots, record
from lightsam_benchmarks.latency.compare import BROKEN, LEFT_OUT, SAME, SLOWER, compare, differing_settings
from lightsam_benchmarks.latency.record import CRASHED, OK, PAIR
from lightsam_benchmarks.latency.report import milliseconds, notes, parity, tables
from lightsam_benchmarks.latency.summary import Summary
from lightsam_exporters.formats.base import Share

ROOT = Path(__file__).parent.parent
RECORDS = sorted((ROOT / "benchmarks" / "latency" / "records").glob("*.json"))
OURS = ROOT / "benchmarks" / "latency" / "records" / "amd-epyc-2-cores.json"
BROWSERS = [path for path in RECORDS if "browser" in path.stem]


@pytest.fixture(scope="module")
def ours() -> record.Record:
    """The record of every format, which the docs show."""
    return record.read(OURS)


def test_the_record_of_the_project_holds_every_model_format_and_stage(ours):
    measured = {(r.subject.model, r.subject.format, r.scope) for r in ours.results if r.status == OK}
    for model in ("mobile_sam", "repvit_sam"):
        for format_name in ("torch", "onnx", "tflite"):
            for scope in ("encoder", "decoder", PAIR):
                assert (model, format_name, scope) in measured


@pytest.mark.parametrize("path", BROWSERS, ids=lambda path: path.stem)
def test_a_record_of_a_browser_holds_both_stages_beside_python(path):
    measured = {(r.subject.format, r.scope, r.unit.requested) for r in record.read(path).results if r.status == OK}
    assert {("onnx", scope, unit) for scope in ("encoder", "decoder") for unit in ("CPU", "BROWSER_WASM")} <= measured


def test_there_are_records_of_a_browser():
    assert BROWSERS


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_nothing_in_a_record_was_typed_in(path):
    found = record.read(path)
    for result in found.results:
        assert result.parity is None or result.parity.passed
        for name, summary in result.summaries.items():
            assert Summary.of([one.ms[name] for one in result.rounds]) == summary  # nothing was typed in
    assert found.git is not None
    assert found.git["dirty"] is False


class Cells(HTMLParser):
    """The tables of a page."""

    def __init__(self):
        super().__init__()
        self.tables, self.inside = [], False

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.inside = True
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from command import run_command

    folder = tmp_path_factory.mktemp("page")
    (folder / "run.json").write_bytes(OURS.read_bytes())
    done = run_command("benchmark", "report", folder / "run.json")
    assert done.status == 0, done.stderr
    return (folder / "run.html").read_text(encoding="utf-8"), done.stdout


def test_the_numbers_on_the_page_are_those_of_the_record(page, ours):
    parser = Cells()
    parser.feed(page[0])
    stages = parser.tables[0]
    columns = stages[0]
    rows = {tuple(row[:4]): dict(zip(columns, row, strict=True)) for row in stages[1:]}
    content = json.loads(OURS.read_text(encoding="utf-8"))  # as a reader of the file would
    expected = [r for r in content["results"] if r["status"] == "ok" and r["scope"] != "pair"]
    assert len(rows) == len(expected) > 10
    for result in expected:
        row = rows[
            result["subject"]["model"], result["subject"]["export"], result["scope"], result["unit"]["requested"]
        ]
        summary = result["summaries"]["call"]
        for column, value in (
            ("median", summary["median_ms"]),
            ("min", summary["min_ms"]),
            ("p90", summary["p90_ms"]),
            ("p99", summary["p99_ms"]),
            ("load cold", sum(one["load_cold_ms"] for one in result["rounds"]) / len(result["rounds"])),
            ("first call", sum(one["first_call_ms"] for one in result["rounds"]) / len(result["rounds"])),
        ):
            assert float(row[column]) == pytest.approx(value, rel=0.006)
        assert [float(bound) for bound in row["95 % interval"].split(" to ")] == pytest.approx(
            summary["interval_ms"], rel=0.006
        )
        assert float(row["size MB"]) == pytest.approx(result["size_bytes"] / 1e6, abs=0.051)
        assert row["n"] == str(summary["count"])
    pairs = parser.tables[1]
    expected = [r for r in content["results"] if r["status"] == "ok" and r["scope"] == "pair"]
    assert len(pairs) - 1 == len(expected)
    shown = {(row[0], row[1]): row[4:8] for row in pairs[1:]}
    for result in expected:
        medians = [result["summaries"][name]["median_ms"] for name in result["summaries"]]
        row = shown[result["subject"]["model"], result["subject"]["export"]]
        assert [float(cell) for cell in row] == pytest.approx(medians, rel=0.006)


def test_the_page_is_self_contained_and_well_formed(page):
    html = page[0]
    assert "<script" not in html
    assert not re.search(r'(src|href)="https?:', html.replace("http://www.w3.org", ""))
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(drawings) == 6  # latency, latency against size and distribution, of both stages
    for drawing in drawings:
        ET.fromstring(drawing)


def test_the_plots_show_every_export(page, ours):
    for drawing in re.findall(r"<svg.*?</svg>", page[0], re.S):
        for result in ours.results:
            if result.status == OK:
                assert f"{result.subject.model} {result.subject.export}" in drawing


def test_the_same_record_gives_the_same_drawing(ours):
    assert plots.latency(ours.results, "decoder") == plots.latency(ours.results, "decoder")


def test_published_figures_stand_beside_ours(page, ours):
    published = next(table for table in tables([ours]) if any("published" in column for column in table.columns))
    rows = [dict(zip(published.columns, row, strict=True)) for row in published.rows]
    for row in rows:
        decoder = row["stage"] == "decoder"
        expected = {"mobile_sam": ("out of memory", "482.2"), "repvit_sam": ("48.9", "44.8")}[row["model"]]
        assert (row[f"published, {IPHONE_12}"], row[f"published, {M1_PRO}"]) == (
            ("11.6", "11.8") if decoder else expected
        )
        if row["model"] == "mobile_sam":
            assert row["published, one GPU"] == ("4" if decoder else "8")
    assert "https://github.com/THU-MIG/RepViT/tree/main/sam" in page[0]
    assert "https://arxiv.org/abs/2306.14289" in page[1]


def test_untrained_weights_are_never_hidden(ours, page):
    assert any("useless for masks" in line for line in notes(ours))
    assert "useless for masks" in page[1]


def test_a_fast_wrong_file_does_not_look_good(ours):
    wrong = replace(ours.results[-1], parity=replace(_with_parity(ours).parity, passed=False, worst_psnr_db=9.0))
    (table, *_) = tables([replace(ours, results=(wrong,))])
    assert any(cell == "FAILED, 9 dB" for cell in table.rows[0])


def test_what_nobody_judged_says_so(ours):
    result = next(r for r in ours.results if r.subject.export == "torch-float32")
    assert parity(result) == "reference"
    assert parity(replace(result, subject=replace(result.subject, precision="float16"))) == "not judged"
    assert parity(replace(result, unit=replace(result.unit, requested="CUDA"))) == "not judged"
    exact = replace(_with_parity(ours).parity, worst_psnr_db=None)
    assert parity(replace(result, parity=replace(exact, passed=False))) == "FAILED"
    on_gpu = replace(_with_parity(ours), unit=replace(result.unit, actual="CUDA"))
    assert parity(on_gpu).endswith(f", judged by {on_gpu.parity.judge}")


def test_a_file_that_no_longer_passes_is_broken(ours):
    wrong = [r if r.parity is None else replace(r, parity=replace(r.parity, passed=False)) for r in ours.results]
    changes = compare(ours, replace(ours, results=tuple(wrong)))
    assert all(c.is_past(100) for c in changes if c.old.parity is not None)
    assert {c.message for c in changes if c.verdict == BROKEN} == {"it no longer passes the judge"}


def _with_parity(found):
    return next(result for result in found.results if result.parity is not None)


def test_what_ran_elsewhere_and_where_it_ran_is_shown(ours):
    result = next(r for r in ours.results if r.scope == "encoder")
    fallen = replace(
        result,
        unit=replace(result.unit, requested="CUDA", actual="CPU"),
        residency=(Share("CUDA", 10, 0.75), Share("CPU", 3, 0.25)),
    )
    (table, *_) = tables([replace(ours, results=(fallen,))])
    assert "CUDA (ran on CPU): 75% CUDA, 25% CPU" in table.rows[0]


def test_two_machines_are_told_apart(ours):
    other = replace(ours, machine=replace(ours.machine, chip="Apple M9"))
    table = tables([ours, other])[0]
    assert table.columns[0] == "run"
    assert {row[0] for row in table.rows} == {f"{chip}, {ours.created}" for chip in (ours.machine.chip, "Apple M9")}


def test_other_sizes_have_no_published_figures(ours):
    small = [replace(r, subject=replace(r.subject, image_size=512)) for r in ours.results]
    assert not any("published" in column for t in tables([replace(ours, results=tuple(small))]) for column in t.columns)


def test_numbers_have_three_digits():
    assert [milliseconds(value) for value in (1234.5, 99.96, 12.34, 1.234)] == ["1234", "100.0", "12.3", "1.23"]


def test_without_matplotlib_the_extra_is_named(ours, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FormatUnavailableError, match=r"pip install .*\[plots\]"):
        plots.latency(ours.results, "encoder")


def slower(found: record.Record, factor: float) -> record.Record:
    """The same run on a machine that takes so many times as long for encoders."""

    def changed(result):
        if result.scope != "encoder" or result.status != OK:
            return result
        rounds = [
            replace(one, ms={name: tuple(s * factor for s in samples) for name, samples in one.ms.items()})
            for one in result.rounds
        ]
        return replace(
            result,
            rounds=tuple(rounds),
            summaries={name: Summary.of([one.ms[name] for one in rounds]) for name in result.summaries},
        )

    return replace(found, results=tuple(map(changed, found.results)))


def test_what_became_slower_beyond_noise_is_said(ours, lightsam, tmp_path):
    record.write(slower(ours, 5), tmp_path / "new.json")
    done = lightsam("benchmark", "compare", OURS, tmp_path / "new.json")
    encoders = sum(r.scope == "encoder" and r.status == OK for r in ours.results)
    assert done.status == 1
    assert done.stdout.count("slower") == encoders
    assert f"{encoders} of " in done.stderr
    assert "became slower by more than 10%" in done.stderr
    done = lightsam("benchmark", "compare", OURS, tmp_path / "new.json", "--margin", "5")
    assert done.status == 0
    done = lightsam("benchmark", "compare", tmp_path / "new.json", OURS)
    assert done.status == 0
    assert done.stdout.count("faster") == encoders


def test_a_record_is_as_fast_as_itself(ours):
    changes = compare(ours, ours)
    assert {change.verdict for change in changes} == {SAME}
    assert not any(change.is_past(0) for change in changes)
    assert differing_settings(ours, ours) == []


def test_the_run_after_the_records_agrees_as_the_docs_say(ours):
    """The same command again, the stages alone: of twenty medians one may be beyond the intervals of both."""
    again = record.read(OURS.parent / "again" / OURS.name)
    verdicts = [change.verdict for change in compare(ours, again) if change.name]
    counts = f"(of the {len(verdicts)} stages above, {verdicts.count(SAME)} did"
    page = (ROOT / "docs" / "latency.md").read_text(encoding="utf-8")
    assert counts in page.replace("\n  ", " ")
    assert verdicts.count(SAME) / len(verdicts) >= 0.95


def test_what_no_longer_runs_fails_and_what_was_left_out_is_listed(ours):
    first = ours.results[0]
    broken = replace(first, status=CRASHED, message="SIGABRT", rounds=(), summaries={})
    (change, *_) = compare(ours, replace(ours, results=(broken, *ours.results[1:])))
    assert (change.verdict, change.message) == (BROKEN, "crashed: SIGABRT")
    assert change.is_past(100)
    (change, *_) = compare(ours, replace(ours, results=ours.results[1:]))
    assert change.verdict == LEFT_OUT
    assert not change.is_past(0)


def test_slower_within_the_margin_passes(ours):
    changes = [change for change in compare(ours, slower(ours, 5)) if change.verdict == SLOWER]
    assert all(change.is_past(0.1) and not change.is_past(9) for change in changes)


def test_records_with_nothing_in_common_are_refused(ours):
    others = tuple(replace(r, subject=replace(r.subject, model="edge_sam")) for r in ours.results)
    with pytest.raises(UsageError, match="nothing in common"):
        compare(ours, replace(ours, results=others))


def test_another_machine_is_said(ours):
    other = replace(ours, machine=replace(ours.machine, chip="Apple M9"), versions={**ours.versions, "torch": "3.0"})
    lines = differing_settings(ours, other)
    assert any("Apple M9" in line for line in lines)
    assert any(line.endswith("now 3.0") for line in lines)


def test_a_report_of_no_known_kind_is_refused(lightsam, tmp_path):
    done = lightsam("benchmark", "report", OURS, "--output", tmp_path / "page.pdf")
    assert done.status == 2
    assert "must end in .html or .md" in done.stderr
    assert list(tmp_path.iterdir()) == []
