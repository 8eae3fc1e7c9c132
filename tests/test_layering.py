"""Imports go one way and in no circle, and what is heavy is imported where it is used."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from lightsam_exporters.formats import FORMATS, describe_format
from lightsam_exporters.formats.base import Format

ROOT = Path(__file__).parent.parent
INSTALLED = {"lightsam": "lightsam", "exporters": "lightsam_exporters", "benchmarks": "lightsam_benchmarks"}
ROOMS = ("lightsam", "lightsam_exporters", "lightsam_benchmarks", "lightsam.cli")
"""Each may import itself and those before it."""
CONVERTERS = {package for name in FORMATS for package in describe_format(name).requires}


def module_of(path: Path) -> str:
    """Its name where it is installed."""
    folder, *inside = path.relative_to(ROOT).with_suffix("").parts
    return ".".join((INSTALLED[folder], *inside)).removesuffix(".__init__")


MODULES = {module_of(path): path for folder in INSTALLED for path in sorted((ROOT / folder).rglob("*.py"))}


def imports(name: str, *, top_level: bool = False) -> set[str]:
    """What a module imports, by full names: anywhere in it, or with ``top_level`` when it is imported itself."""
    path = MODULES[name]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join((*above, *filter(None, (node.module,))))
            for alias in node.names:
                module = f"{source}.{alias.name}"
                found.add(module if module in MODULES else source)
    return found - {name}


def room_of(name: str) -> str | None:
    """The innermost of our rooms that a module lies in; None for other people's."""
    return next((room for room in reversed(ROOMS) if f"{name}.".startswith(f"{room}.")), None)


def test_modules_are_found():
    assert len(MODULES) > 100
    assert {room_of(name) for name in MODULES} == set(ROOMS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name):
    allowed = ROOMS[: ROOMS.index(str(room_of(name))) + 1]
    rooms = {room_of(found) for found in imports(name)} - {None}
    assert rooms <= set(allowed)


@pytest.mark.parametrize("name", MODULES)
def test_nobody_imports_a_package_by_its_folders_name(name):
    assert not {found.split(".")[0] for found in imports(name)} & (set(INSTALLED) - set(INSTALLED.values()))


def test_there_is_no_circle():
    """None at all: imports inside functions and for type checkers count, too."""
    graph = {name: imports(name) & set(MODULES) for name in MODULES}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


WAY = ("predictor", "transforms", "prompts", "stages", "geometry")
"""From an image to a mask, in the order in which a reader opens them; with the model's own file they are six."""
BESIDE = {"encoding", "errors", "everything", "modeling.sam", "rules", "weights.loaded"}
"""What they take types, labels, rules and errors from, and what asks for many masks at once; nobody has to open these
to follow an image."""


@pytest.mark.parametrize("name", WAY)
def test_an_image_is_followed_to_a_mask_without_turning_back(name):
    """A function that is called on the way is in a file farther on; only the stages go down to the layers."""
    ours = {found.removeprefix("lightsam.") for found in imports(f"lightsam.{name}") if found in MODULES}
    onwards = set(WAY[WAY.index(name) + 1 :])
    layers = {found for found in ours if found.startswith("modeling.")} if name == "stages" else set()
    assert ours <= onwards | BESIDE | layers


@pytest.mark.parametrize("model", ["mobile_sam", "repvit_sam", "edge_sam", "efficient_sam", "sam_vit"])
def test_a_models_file_is_the_end_of_the_way(model):
    ours = {found.removeprefix("lightsam.") for found in imports(f"lightsam.models.{model}") if found in MODULES}
    assert ours & set(WAY) == {"geometry"}


@pytest.mark.parametrize("name", MODULES)
def test_converters_are_imported_where_they_are_used(name):
    assert not {found.split(".")[0] for found in imports(name, top_level=True)} & CONVERTERS


def test_lightsam_knows_no_format():
    """But for weights that others exported to ONNX: reading these is the one thing that it needs a format for."""
    knowing = {name for name in MODULES if name.split(".")[0] == "lightsam" and imports(name) & CONVERTERS}
    assert knowing
    assert all(f"{name}.".startswith("lightsam.weights.onnx_import.") for name in knowing), knowing


def test_every_format_is_a_module():
    for name in FORMATS:
        assert (ROOT / "exporters" / "formats" / f"{name}.py").is_file()
        assert isinstance(describe_format(name), Format)
