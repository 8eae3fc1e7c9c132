"""The README says what the code does."""

import ast
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import click
import pytest
import typer.main

from lightsam.cli import app
from lightsam.models import MODELS
from lightsam.stages import POINT_SLOTS, STAGE_NAMES, split
from lightsam_benchmarks.latency.plan import SCOPES
from lightsam_benchmarks.latency.record import Record, Subject
from lightsam_benchmarks.latency.timing import Method
from lightsam_benchmarks.quality import record as quality
from lightsam_exporters.formats import FORMATS, find_format
from lightsam_exporters.formats.onnx import OPSETS
from lightsam_exporters.manifest import read
from lightsam_exporters.parity.baseline import Margin
from lightsam_exporters.parity.gates import GATES, Gate

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_two_commands_stand_at_the_top():
    assert "make export-coreml" in README[:2500]
    assert "make test" in README[:2500]


def commands_of(name: str) -> list[click.Command]:
    """A command, or those of a group."""
    command = typer.main.get_command(app).commands[name]
    return list(getattr(command, "commands", {"": command}).values())


@pytest.mark.parametrize(
    "name", ["models", "export", "parity", "residency", "benchmark", "evaluate", "sweep", "predict"]
)
def test_every_option_of_every_command_is_there(name):
    assert f"### `lightsam {name}" in README
    section = README.split(f"### `lightsam {name}")[1].split("\n##")[0]
    for parameter in (parameter for command in commands_of(name) for parameter in command.params):
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in section, option
                if parameter.default not in (None, False, True) and not callable(parameter.default):
                    assert f"`{parameter.default}`" in section, (option, parameter.default)


def test_no_option_is_made_up():
    commands = [command for name in typer.main.get_command(app).commands for command in commands_of(name)]
    known = {o for c in commands for p in c.params for o in (*p.opts, *p.secondary_opts)}
    known |= {"--version", "--verbose", "--help", "--nthreads"}  # the last is Dask's own
    reference = README.split("## Command reference")[1].split("\n## ")[0]
    assert set(re.findall(r"--[a-z][a-z-]+", reference)) <= known


def test_the_helps_numbers_and_names_are_those_of_the_code():
    commands = typer.main.get_command(app).commands
    given = {name: {p.name: p for p in command.params} for name, command in commands.items()}
    timed = {p.name: p.default for p in commands["benchmark"].commands["run"].params}
    for option, field in (("min_time", "min_time_s"), ("max_time", "max_time_s"), ("timeout", "timeout_s")):
        assert timed[option] == getattr(Method(), field)
    for option in ("warmup", "min_count", "rounds", "threads"):
        assert timed[option] == getattr(Method(), option)
    assert timed["stage"] == ",".join(SCOPES)
    assert given["parity"]["margin_db"].default == Margin().decibels
    assert given["parity"]["margin_iou"].default == Margin().iou
    assert given["export"]["point_slots"].default == POINT_SLOTS
    assert f"{OPSETS.start} to {OPSETS.stop - 1}" in given["export"]["opset"].help
    assert ", ".join(FORMATS) in given["export"]["to"].help
    for field in fields(Gate):
        assert field.name == "origin" or field.name in given["parity"]["gate"].help


def test_every_model_of_the_registry_has_a_row():
    for name, card in MODELS.items():
        if name.startswith("tiny"):
            continue
        row = next(line for line in README.splitlines() if line.startswith(f"| `{name}`"))
        assert card.license in row
        assert card.paper in row


def test_the_contract_is_the_one_of_the_code():
    stages = split(MODELS["mobile_sam"].build(1024))
    table = README.split("## The stage contract")[1].split("\n## ")[0]
    for stage in stages:
        for direction, specs in (("in", stage.inputs), ("out", stage.outputs)):
            for spec in specs:
                shape = ", ".join(map(str, spec.shape)) + ("," if len(spec.shape) == 1 else "")
                assert f"| {stage.name} {direction} | `{spec.name}` | ({shape}) |" in table
                assert spec.meaning in table


@pytest.mark.parametrize(
    ("kind", "title", "least"), [(Record, "### The record", 60), (quality.Record, "### The quality record", 50)]
)
def test_every_field_of_a_record_is_documented(kind, title, least):
    section = README.split(f"{title}\n")[1].split("\n## ")[0]

    def paths(kind, path=""):
        for field in fields(kind):
            here = f"{path}.{field.name}" if path else field.name
            yield here
            hint = get_type_hints(kind)[field.name]
            for inner in (hint, *get_args(hint)):
                if is_dataclass(inner) and (kind, inner) != (quality.Evaluated, Subject):  # documented with the other
                    listed = "[]" if get_origin(hint) is tuple else (".NAME" if get_origin(hint) is dict else "")
                    yield from paths(inner, here + listed)

    found = list(paths(kind))
    assert len(found) > least
    for path in found:
        assert f"`{path}`" in section, path


@pytest.mark.parametrize("path", ["record.py", "quality/record.py"])
def test_every_field_of_a_record_says_what_it_is_in_the_code(path):
    """A dataclass or a field that needs words has them behind it; those without are named like what they are."""
    plain = {"chip", "architecture", "os", "name", "sha256", "judge", "suite", "model", "image_size", "precision"}
    plain |= {"python", "versions", "machine", "method", "results", "schema", "subject", "unit", "rounds", "passed"}
    plain |= {"requested", "device", "operations", "memory_bytes", "physical_cores", "format", "weights"}
    plain |= {"data", "protocol", "objects", "prompts", "name", "kind", "miou", "boundary_iou", "about"}
    plain |= {"subjects", "images", "miou_a", "miou_b", "a", "label"}
    tree = ast.parse((ROOT / "benchmarks" / path).read_text())
    for node in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        assert ast.get_docstring(node), node.name
        for here, behind in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(here, ast.AnnAssign):
                said = isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant)
                assert said or here.target.id in plain or here.target.id.startswith("worst_"), here.target.id


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_field_of_the_manifest_is_documented(exports_of, format_name):
    manifest = read(exports_of(format_name, "float32").folder)
    section = README.split("## The manifest")[1].split("\n## ")[0]

    def paths(value, path=""):
        if isinstance(value, dict):
            for key, inner in value.items():
                here = f"{path}.{key}" if path else key
                # keys that are names of things, not fields
                here = re.sub(r"^exports\.[^.]+", "exports.NAME", here)
                here = re.sub(r"(files|stages)\.(encoder|decoder)", r"\1.STAGE", here)
                here = re.sub(r"\.tools\..*", ".tools", here)
                here = re.sub(r"\.masks\.(shown|decided|undecided)\.", ".masks.GROUP.", here)
                yield here
                yield from paths(inner, here)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for one in value:  # a later one may have what the first lacks
                yield from paths(one, f"{path}[]")

    for field in dict.fromkeys(paths(manifest)):
        assert f"`{field}`" in section, field


def test_the_gates_are_those_of_the_code():
    for (format_name, precision), gate in GATES.items():
        numbers = f"{gate.psnr_db:g} dB | {gate.mask_iou:g} | {gate.boundary_iou:g} | {gate.iou_tolerance:g}"
        numbers += f" | {gate.rounding:.1e}"
        assert f"| {format_name} | {precision} | {numbers} |" in README


def test_every_format_has_a_row_and_a_target():
    table = README.split("## Formats")[1].split("\n## ")[0]
    for name in FORMATS:
        row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
        for stage in STAGE_NAMES:
            assert f"`{find_format(name).file_name(stage)}`" in row
        for precision in find_format(name).PRECISIONS:
            assert precision in row
        assert f"`make export-{name}`" in README
