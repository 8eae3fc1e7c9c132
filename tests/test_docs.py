"""The site's pages say what the code does: they are generated from it, or compared with it here."""

import json
import re
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main

from lightsam.cli import app
from lightsam.models import MODELS
from lightsam.stages import POINT_SLOTS, split
from lightsam_benchmarks.edges import record as edges
from lightsam_benchmarks.edges import report as edges_report
from lightsam_benchmarks.instances import report as instances_report
from lightsam_benchmarks.instances import storage as instances_storage
from lightsam_benchmarks.latency import record as latency
from lightsam_benchmarks.latency import report as latency_report
from lightsam_benchmarks.latency.record import DEFAULT_SCOPES
from lightsam_benchmarks.latency.timing import Method
from lightsam_benchmarks.quality import report as quality_report
from lightsam_benchmarks.quality import storage
from lightsam_benchmarks.rewrites import record as rewrites
from lightsam_benchmarks.rewrites import report as rewrites_report
from lightsam_benchmarks.schemas import SCHEMAS
from lightsam_benchmarks.tradeoff import record as tradeoff
from lightsam_benchmarks.tradeoff import report as tradeoff_report
from lightsam_exporters.formats import FORMATS, describe_format
from lightsam_exporters.formats.gate import Gate
from lightsam_exporters.formats.mil.registry import OPERATIONS
from lightsam_exporters.formats.onnx import OPSETS
from lightsam_exporters.lint.rule import RULES
from lightsam_exporters.parity.baseline import Margin

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
RECORDS = sorted((ROOT / "benchmarks").glob("*/records/*.json"))

sys.path.insert(0, str(DOCS))
import generate  # noqa: E402

page_of = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())


def text_of(name: str) -> str:
    """A page as it is written."""
    return (DOCS / name).read_text(encoding="utf-8")


def built(name: str) -> str:
    """A page as the site shows it."""
    return generate.fill(text_of(name))


def rows_of(markdown: str) -> list[list[str]]:
    """The cells of all tables; a pipe in code belongs to its cell."""
    lines = (line for line in markdown.splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in re.findall(r"((?:`[^`]*`|\\\||[^|`])*)\|", line[1:])] for line in lines]


def commands() -> dict[str, Any]:
    """Every command by its whole name, groups too."""

    def walk(command: Any, path: str) -> dict[str, Any]:
        inner = getattr(command, "commands", {}).items()
        return {path: command} | {k: v for name, one in inner for k, v in walk(one, f"{path} {name}").items()}

    return walk(typer.main.get_command(app), "lightsam")


@page_of
def test_every_page_is_in_the_navigation_and_asks_for_what_is_generated(page):
    assert f": {page.relative_to(DOCS).as_posix()}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not re.search(r"^\s*<!--\s*generate", generate.fill(page.read_text(encoding="utf-8")), re.MULTILINE)


def test_what_nobody_generates_is_an_error():
    with pytest.raises(KeyError, match="weather"):
        generate.fill("<!-- generate: weather -->")


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_no_page_promises_too_much_or_speaks_in_other_words(page):
    """The field's terms and one spelling; a check is not a proof of equality."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"proved equal|no stopwatch|licence|\bpictures?\b", text, re.IGNORECASE)


# The command line


@pytest.mark.parametrize("path", commands())
def test_every_option_of_every_command_is_there(path):
    section = built("cli.md").split(f"\n## `{path}`\n")[1].split("\n## ")[0]
    command = commands()[path]
    assert generate._prose(command.help) in section
    found = {cells[0]: cells[1:] for cells in rows_of(section)}
    for one in generate.parameters_of(command):
        if one.param_type_name == "argument":
            assert found[f"`{one.metavar or one.name.upper()}`"][1] == one.help
            continue
        (row,) = [key for key in found if f"`{one.opts[0]}`" in key]
        assert all(f"`{name}`" in row for name in (*one.opts, *one.secondary_opts))
        default, meaning = found[row]
        assert meaning == one.help
        if one.default not in (None, True, False) and not callable(one.default):
            assert default == f"`{one.default}`"


def test_examples_are_commands():
    examples = re.findall(r"```sh\n(.*?)```", built("cli.md"), re.DOTALL)
    assert len(examples) > 10
    for line in "".join(examples).splitlines():
        assert any(line == path or line.startswith(f"{path} ") for path in commands() if path != "lightsam"), line


@page_of
def test_no_option_is_made_up(page):
    known = {
        name
        for one in commands().values()
        for p in generate.parameters_of(one)
        for name in (*p.opts, *p.secondary_opts)
    }
    known |= {"--help", "--nthreads"}  # the latter is Dask's own
    known |= {"--index-url", "--wheel", "--image-size"}  # pip's, build's
    known |= {"--graph", "--num", "--use", "--filter"}  # of LiteRT's benchmark_model and of swift test
    swift = (ROOT / "swift" / "Sources" / "LightSAMCommand").glob("*.swift")
    known |= {name for path in swift for name in re.findall(r"--[a-z][a-z-]+", path.read_text(encoding="utf-8"))}
    found = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text(encoding="utf-8").replace("<!--", "").replace("-->", ""))
    )
    assert found <= known


def test_the_helps_numbers_and_names_are_those_of_the_code():
    given = {path: {p.name: p for p in generate.parameters_of(one)} for path, one in commands().items()}
    timed = {name: p.default for name, p in given["lightsam benchmark run"].items()}
    for option, field in (("min_time", "min_time_s"), ("max_time", "max_time_s"), ("timeout", "timeout_s")):
        assert timed[option] == getattr(Method(), field)
    for option in ("warmup", "min_count", "rounds", "threads"):
        assert timed[option] == getattr(Method(), option)
    assert timed["stage"] == ",".join(DEFAULT_SCOPES)
    parity, export = given["lightsam parity"], given["lightsam export"]
    assert parity["margin_db"].default == Margin().decibels
    assert parity["margin_iou"].default == Margin().iou
    assert f"{POINT_SLOTS} by default" in export["point_slots"].help
    assert f"{OPSETS.start} to {OPSETS.stop - 1}" in export["opset"].help
    for name in FORMATS:
        for option in describe_format(name).options.described():
            assert option.help in export[option.name].help
    assert ", ".join(FORMATS) in export["to"].help
    for field in fields(Gate):
        assert field.name == "origin" or field.name in parity["gate"].help


# Contract, gates, operations, targets


def test_the_contract_is_the_one_of_the_code():
    rows = rows_of(built("contract.md"))
    for stage in split(MODELS["mobile_sam"].build(1024)):
        for direction, specs in (("in", stage.inputs), ("out", stage.outputs)):
            for spec in specs:
                dynamic = ", ".join(spec.dynamic.values())
                assert [f"{stage.name} {direction}", f"`{spec.name}`", str(spec.shape), dynamic, spec.meaning] in rows


def test_the_gates_are_those_of_the_code():
    rows = rows_of(built("parity.md"))
    for name in FORMATS:
        assert set(describe_format(name).gates) == set(describe_format(name).options.precisions())
        for precision, gate in describe_format(name).gates.items():
            ious = [f"{gate.mask_iou:g}", f"{gate.boundary_iou:g}", f"{gate.iou_tolerance:g}"]
            assert [name, precision, f"{gate.psnr_db:g} dB", *ious, f"{gate.rounding:.1e}", gate.origin] in rows


def test_every_operation_of_the_evaluator_is_there():
    page = built("evaluator.md")
    assert len(OPERATIONS) > 50
    assert all(f"`{name}`" in page for name in OPERATIONS)


def test_every_rule_of_the_lint_has_a_row_with_its_source():
    rows = {row[0]: row for row in rows_of(built("lint.md")) if len(row) == 6}
    assert len(RULES) > 30
    for rule in RULES.values():
        row = rows[f"`{rule.id}`"]
        assert row[1:3] == [f"`{rule.device}`", rule.severity.value]
        assert row[-1] == f"<{rule.source}>"


def test_every_target_is_there():
    rows = dict(rows_of(built("install.md").split("## Make targets")[1]))
    for name in ("setup", "test", "test-trained", "docs", "export-%"):
        assert rows[f"`make {name}`"]


# Records and their tables


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_tables_of_every_record_are_on_its_page(path):
    kind = path.parent.parent.name
    markdown = {
        "edges": lambda: edges_report.markdown([edges.read(path)]),
        "instances": lambda: instances_report.markdown([instances_storage.read(path)]),
        "latency": lambda: latency_report.markdown([latency.read(path)]),
        "quality": lambda: quality_report.markdown([storage.read(path)]),
        "rewrites": lambda: rewrites_report.markdown([rewrites.read(path)]),
        "tradeoff": lambda: tradeoff_report.markdown([tradeoff.read(path)]),
    }[kind]()
    assert len(markdown) > 1000
    page = {"tradeoff": "compression"}.get(kind, kind)
    assert markdown.strip() in built(f"{page}.md")


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_of_a_document_has_a_row(name):
    assert f"(schemas/{name}.json)" in text_of("schemas.md")
    rows = {row[0] for row in rows_of(generate.schema(name))}
    parts = json.loads((DOCS / "schemas" / f"{name}.json").read_text(encoding="utf-8"))["$defs"].values()
    fields = {f"`{field}`" for part in parts for field in part.get("properties", {})}
    assert len(fields) > 5
    assert fields <= rows
    assert generate.schema(name).strip() in built("schemas.md")


# The site itself


def test_the_site_is_built_by_ci_and_from_pinned_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    for requirement in project["dependency-groups"]["docs"]:
        assert re.split(r"[\[><=]", requirement)[0] in pins
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    apart = "make test-swift test-swift-bundle test-kotlin test-web"
    assert run[-5:] == ["make lint", "make docs", "make test", apart, "make test-trained"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "mkdocs build --strict" in makefile
    assert "--group docs" in makefile
