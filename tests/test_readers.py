"""Whatever is in a file, its reader takes it or ends in one of lightsam's own errors."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from annotated import coco, write_images
from mutation import damaged_bytes, mutations

from lightsam.errors import LightSamError
from lightsam.geometry import Preprocess
from lightsam.prompts import Prompt
from lightsam.rules import MaskRules, Rules, StabilityFallback
from lightsam.stages import STAGE_NAMES
from lightsam_benchmarks.journals import opened, path_of
from lightsam_benchmarks.latency import record as latency
from lightsam_benchmarks.latency.report import markdown
from lightsam_benchmarks.quality import ground_truth, storage
from lightsam_benchmarks.quality.dataset import DataSet, Sample, Truth
from lightsam_benchmarks.quality.journal import Head, Line, form, worst
from lightsam_benchmarks.quality.page import as_html
from lightsam_benchmarks.quality.predictions import Scores
from lightsam_benchmarks.quality.report import markdown as quality_markdown
from lightsam_benchmarks.quality.worst import Worst
from lightsam_benchmarks.sweep import Executor, run_sweep
from lightsam_benchmarks.sweep_file import Sweep, load_sweep
from lightsam_benchmarks.sweep_results import SweepResult
from lightsam_exporters import facts as entry_facts
from lightsam_exporters.facts import ExportFacts, FileFacts, Tensor
from lightsam_exporters.formats import describe_format, options_of
from lightsam_exporters.lint.check import FileLint, Finding
from lightsam_exporters.lint.memory import Peak
from lightsam_exporters.lint.rule import Severity
from lightsam_exporters.manifest import index
from lightsam_exporters.parity.baseline import read_baseline
from lightsam_exporters.parity.masks import MaskErrors, MaskGroups
from lightsam_exporters.parity.measurement import Measurement, ParityReport
from lightsam_exporters.parity.suite import load_suite
from lightsam_exporters.provenance import Provenance

ROOT = Path(__file__).parent.parent
SUBJECT = f"{tiny.NAME} torch-float32"
LINT = FileLint(
    ["onnxruntime-cpu"],
    2,
    Peak(64, "main", "Add", "add", "block.0", ["(1, 8) float16"]),
    [Finding("a-rule", "xnnpack", Severity.NOTE, "main", 1, "Add add", {"block.0": 1}, "wrong", "remedy", "source")],
    ["a note"],
)


def json_of(*path: str) -> Any:
    return json.loads(ROOT.joinpath(*path).read_text(encoding="utf-8"))


def latency_record() -> dict:
    content = json_of("benchmarks", "latency", "records", "amd-epyc-2-cores.json")
    return {**content, "results": content["results"][:3]}


def quality_record() -> dict:
    return json_of("benchmarks", "quality", "records", "animals-test.json")


def results_of(name: str, content: dict) -> list[dict]:
    work = {"record": "benchmark", "evaluation": "evaluate", "size_bytes": "export"}[name]
    sweep = Sweep("export", ()).digest
    return [asdict(SweepResult(f"point {n}", work, sweep, "ok", "", 1.5, {name: content})) for n in range(2)]


def sweep_file() -> dict:
    return {
        "work": "evaluate", "models": [tiny.NAME], "formats": ["onnx", "torch"], "precisions": ["float32"],
        "image_sizes": [tiny.SIZE], "weights": "seeded", "output": "artifacts", "suite": "quick",
        "accept_license": True, "units": ["CPU"], "method": {"rounds": 2, "min_time_s": 0.5, "threads": 1},
        "evaluate": {"coco": "truth.json", "images": "images", "prompts": ["box"], "clicks": 2, "limit": 3},
    }  # fmt: skip


def suite_file() -> dict:
    content = json_of("exporters", "parity", "data", "default.json")
    folder = ROOT / "exporters" / "parity" / "data"
    few = [{**image, "file": str(folder / image["file"]), "resize": [90, 60]} for image in content["images"][:2]]
    cases = [*few[0]["cases"][:2], {"name": "grid", "grid": 2}]
    return {**content, "images": [{**image, "crop": [0, 0, 200, 150], "cases": cases} for image in few]}


def export_facts() -> dict:
    """Of two files of one format, with a judgement of each kind of output."""
    shown = MaskErrors(1, 0.99, 0.98, 1.0, 1.0, 3, 2, 0.97)
    errors = (80.0, 75.5, 1.0, 0.1, 0.01)
    masks = MaskGroups(shown, None, shown)
    measurements = (
        Measurement("encoder", "coffee", "", "image_embeddings", False, *errors, None, None, None, ""),
        Measurement("chain", "coffee", "box", "low_res_masks", True, None, None, 1.0, 0.0, 0.0, masks, None, None, ""),
        Measurement("chain", "coffee", "box", "iou_predictions", False, *errors, None, True, False, ""),
    )
    report = ParityReport("somebody", "quick 1", describe_format("onnx").gates["float32"], measurements)
    origin = Provenance(tiny.NAME, tiny.SIZE, None, "MIT", "", "", True, "", "", "seeded", "0" * 64, "nobody", False)
    tensor = Tensor("image", [1, 3, "height", 128], "float32", "RGB")
    options, tools = options_of("onnx", precision="float32").recorded(), {"onnx": "1.18"}
    files = {
        stage: FileFacts(
            f"{stage}.onnx", "0" * 64, 7, [tensor], [tensor], options, tools, origin, origin.pairing_id, LINT
        )
        for stage in STAGE_NAMES
    }
    rules = Rules(Preprocess(1024), masks=MaskRules(fallback=StabilityFallback(0.05, 0.98)))
    return ExportFacts(format="onnx", precision="float32", rules=rules, files=files, parity=report).as_json()


def manifest_file() -> dict:
    one = entry_facts.parse(export_facts(), Path("export.json"))
    return index({"onnx-float32": one})


MASK = np.zeros((120, 160), bool)
MASK[20:60, 30:90] = True
DATA = DataSet(
    "truth.json",
    "coco",
    (Sample("cat.png", Path("cat.png"), (160, 120), (Truth("1", "", 9),), "", lambda: lambda index: MASK),),
    {},
)


def journal() -> list[dict]:
    case = Worst(SUBJECT, ()).offer("cat.png", "box", 0, 0.5, MASK, Prompt(points=[(3, 4)], box=(1, 2, 30, 40)))
    scores = {"box": Scores([0.5], [0.25]), "clicks": Scores([0.5], [0.25], [[0.1, 0.5]])}
    return [asdict(Head("run")), asdict(Line(SUBJECT, "0" * 64, "cat.png", scores, (case,)))]


def read_journal(path: Path) -> None:
    output = path.with_name("journal.json")
    path.replace(path_of(output))
    try:
        found = opened(path_of(output), form("run", DATA), [SUBJECT], overwrite=False)
        found.check(SUBJECT, "0" * 64)
        found.line(SUBJECT, "cat.png")
        assert all(case.prompt for case in Worst(SUBJECT, worst(found, SUBJECT, DATA)).cases)
    finally:
        path_of(output).unlink(missing_ok=True)


@pytest.fixture(scope="module", autouse=True)
def images(tmp_path_factory) -> Path:
    """What the annotations and the sweep name lies beside them."""
    folder = tmp_path_factory.mktemp("read")
    write_images(folder / "images")
    return folder


@dataclass(frozen=True)
class Reader:
    """A kind of file."""

    name: str
    """Of the file; its suffix says how the content is written."""
    content: Callable[[], Any]
    """Of a good one."""
    read: Callable[[Path], object]
    """All that is done with it before anything is computed."""


READERS = {
    "latency record": Reader("run.json", latency_record, lambda path: markdown(latency.read_all(path))),
    "latency records of a sweep": Reader(
        "run.jsonl", lambda: results_of("record", latency_record()), lambda path: markdown(latency.read_all(path))
    ),
    "quality record": Reader("run.json", quality_record, lambda path: quality_markdown(storage.read_all(path))),
    "quality page": Reader("run.json", quality_record, lambda path: as_html(storage.read_all(path))),
    "quality records of a sweep": Reader(
        "run.jsonl",
        lambda: results_of("evaluation", quality_record()),
        lambda path: quality_markdown(storage.read_all(path)),
    ),
    "results of a sweep": Reader(
        "results.jsonl",
        lambda: results_of("size_bytes", {"encoder": 5}),
        lambda path: run_sweep(Sweep("export", ()), path, Executor()),
    ),
    "facts of an export": Reader("export.json", export_facts, lambda path: entry_facts.read(path.parent)),
    "manifest": Reader("manifest.json", manifest_file, read_baseline),
    "sweep": Reader("sweep.toml", sweep_file, load_sweep),
    "suite": Reader("suite.json", suite_file, load_suite),
    "journal": Reader("journal.partial.jsonl", journal, read_journal),
    "annotations": Reader(
        "truth.json",
        coco,
        lambda path: [
            sample.read()(index)
            for sample in ground_truth.load(ground_truth.Evaluation("coco", path, path.parent / "images")).samples
            for index in range(len(sample.objects))
        ],
    ),
}  # one line a kind of file: its name, a good one, and its reader


def toml_of(value: Any) -> str:
    """One value; TOML has no null, so that one is a word that is no TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml_of(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_of, value)) + "]"
    return json.dumps(value)


def as_text(content: Any, suffix: str) -> str:
    if suffix == ".toml":
        return "".join(f"{key} = {toml_of(value)}\n" for key, value in content.items())
    if suffix == ".jsonl":
        return "".join(json.dumps(line) + "\n" for line in content)
    return json.dumps(content)


@pytest.mark.parametrize("name", READERS)
def test_a_good_file_is_read(name, images):
    reader = READERS[name]
    path = images / reader.name
    path.write_text(as_text(reader.content(), path.suffix), encoding="utf-8")
    reader.read(path)


def refused(reader: Reader, path: Path, count: int, seed: int) -> int:
    """How many of ``count`` damaged files are refused; fails if one ends in anything but an error of lightsam's."""
    good = reader.content()
    values = ((what, as_text(one, path.suffix).encode()) for what, one in mutations(good, count - count // 5, seed))
    places = damaged_bytes(as_text(good, path.suffix).encode(), count // 5, seed)
    messages = []
    for damage in (values, places):
        for what, content in damage:
            path.write_bytes(content)
            try:
                reader.read(path)
            except LightSamError as error:
                messages.append(str(error))
            except Exception as error:
                pytest.fail(f"{what}: {error!r}")
    assert not any("\n" in message for message in messages)
    return len(messages)


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_refused_or_read_and_nothing_else(name, images):
    assert refused(READERS[name], images / READERS[name].name, 100, 0) > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_ten_thousand_damaged_files(name, images):
    count = -(-10_000 // len(READERS))
    assert refused(READERS[name], images / READERS[name].name, count, 1) > count / 5
