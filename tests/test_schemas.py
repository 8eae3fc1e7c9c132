"""The published JSON Schemas are those of the code, and describe the files that there are."""

import copy
import json
import tomllib
from pathlib import Path

import pytest
from json_schema import errors

from lightsam_benchmarks.schemas import SCHEMAS, schema_text, write_schemas
from lightsam_benchmarks.sweep_results import SweepResult
from lightsam_exporters import facts, manifest
from lightsam_exporters.formats import FORMATS

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "docs" / "schemas"
FILES = {
    "latency-record": sorted((ROOT / "benchmarks" / "latency" / "records").rglob("*.json")),
    "edges-record": sorted((ROOT / "benchmarks" / "edges" / "records").glob("*.json")),
    "instances-record": sorted((ROOT / "benchmarks" / "instances" / "records").glob("*.json")),
    "quality-record": sorted((ROOT / "benchmarks" / "quality" / "records").glob("*.json")),
    "rewrites-record": sorted((ROOT / "benchmarks" / "rewrites" / "records").glob("*.json")),
    "tradeoff-record": sorted((ROOT / "benchmarks" / "tradeoff" / "records").glob("*.json")),
    "suite": sorted((ROOT / "exporters" / "parity" / "data").glob("*.json")),
}
SWEEP = """
work = "benchmark"
models = ["mobile_sam"]
formats = ["torch", "onnx"]
precisions = ["float32"]
image_sizes = [1024, 512]
[method]
rounds = 2
[evaluate]
images = "val2017"
coco = "instances.json"
"""
EACH = [pytest.param(name, path, id=f"{name}-{path.stem}") for name, paths in FILES.items() for path in paths]


def published(name):
    return json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_published_is_what_the_code_gives(name):
    """`make schemas` writes them."""
    assert (PUBLISHED / f"{name}.json").read_text(encoding="utf-8") == schema_text(name)


def test_nothing_else_is_published(tmp_path):
    assert {path.name for path in PUBLISHED.iterdir()} == {path.name for path in write_schemas(tmp_path)}


@pytest.mark.parametrize(("name", "path"), EACH)
def test_every_file_of_the_project_is_valid(name, path):
    assert errors(published(name), json.loads(path.read_text(encoding="utf-8"))) == []


def test_every_kind_of_file_is_here():
    assert all(FILES.values())
    without = {"answers", "export", "lint", "model", "manifest", "sweep", "sweep-result"}  # a file in the project
    assert set(FILES) | without == set(SCHEMAS)


@pytest.mark.parametrize("format_name", FORMATS)
def test_exports_and_their_manifest_are_valid(exports_of, format_name):
    entry = exports_of(format_name, "float32")
    for name, path in (
        ("export", entry.folder / facts.FILE_NAME),
        ("manifest", entry.model_folder / manifest.FILE_NAME),
    ):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert errors(published(name), content) == []
        content["schema"] = 99
        assert errors(published(name), content)


def test_a_sweep_and_its_results_are_valid():
    assert errors(published("sweep"), tomllib.loads(SWEEP)) == []
    line = SweepResult("mobile_sam 1024 onnx-float32", "export", "0123", "ok", "", 1.5, {"size_bytes": {}}).as_line()
    assert errors(published("sweep-result"), json.loads(line)) == []


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("latency-record", lambda it: it.update(schema=99), "$.schema is not 1"),
        ("latency-record", lambda it: it.pop("machine"), "$ lacks machine"),
        ("latency-record", lambda it: it["results"][0]["unit"].update(threads="4"), "$.results[0].unit.threads is no"),
        ("quality-record", lambda it: it["results"][0]["ious"].append(None), "is no number"),
        ("suite", lambda it: it["images"][0]["cases"][0].update(point=[1, 2]), "has the unknown key point"),
    ],
)
def test_a_damaged_file_is_not_valid(name, change, message):
    content = copy.deepcopy(json.loads(FILES[name][0].read_text(encoding="utf-8")))
    change(content)
    (found,) = errors(published(name), content)
    assert message in found


@pytest.mark.parametrize("name", SCHEMAS)
def test_fields_have_their_meaning(name):
    """Those of the code: at least half of the fields need words, and no schema is without."""
    fields = [field for one in published(name)["$defs"].values() for field in one.get("properties", {}).values()]
    assert sum("description" in field for field in fields) > len(fields) / 2
