"""The README says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main

from lightsam.cli import app
from lightsam.models import MODELS
from lightsam.stages import POINT_SLOTS, STAGE_NAMES, split
from lightsam_exporters import FORMATS, find_format
from lightsam_exporters.baseline import Margin
from lightsam_exporters.gates import GATES, Gate
from lightsam_exporters.manifest import read
from lightsam_exporters.onnx import OPSETS

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_two_commands_stand_at_the_top():
    assert "make export-coreml" in README[:2500]
    assert "make test" in README[:2500]


@pytest.mark.parametrize("name", ["models", "export", "parity", "predict"])
def test_every_option_of_every_command_is_there(name):
    command = typer.main.get_command(app).commands[name]
    assert f"### `lightsam {name}" in README
    section = README.split(f"### `lightsam {name}")[1].split("\n##")[0]
    for parameter in command.params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in section, option
                if parameter.default not in (None, False, True) and not callable(parameter.default):
                    assert f"`{parameter.default}`" in section, (option, parameter.default)


def test_no_option_is_made_up():
    known = {
        o for c in typer.main.get_command(app).commands.values() for p in c.params for o in (*p.opts, *p.secondary_opts)
    }
    known |= {"--version", "--verbose", "--help"}
    reference = README.split("## Command reference")[1].split("\n## ")[0]
    assert set(re.findall(r"--[a-z][a-z-]+", reference)) <= known


def test_the_helps_numbers_and_names_are_those_of_the_code():
    commands = typer.main.get_command(app).commands
    given = {name: {p.name: p for p in command.params} for name, command in commands.items()}
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
        assert card.licence in row
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
                yield here
                yield from paths(inner, here)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from paths(value[0], f"{path}[]")

    for field in dict.fromkeys(paths(manifest)):
        assert f"`{field}`" in section, field


def test_the_gates_are_those_of_the_code():
    for (format_name, precision), gate in GATES.items():
        numbers = f"{gate.psnr_db:g} dB | {gate.mask_iou:g} | {gate.boundary_iou:g} | {gate.iou_tolerance:g}"
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
