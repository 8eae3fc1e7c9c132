"""Imports go one way, and what is heavy is imported where it is used."""

import ast
from pathlib import Path

import pytest

from lightsam_exporters import FORMATS

ROOT = Path(__file__).parent.parent
FOLDERS = {"lightsam": "lightsam", "exporters": "lightsam_exporters", "benchmarks": "lightsam_benchmarks"}
ALLOWED = {
    "lightsam": {"lightsam"},
    "exporters": {"lightsam", "lightsam_exporters"},
    "benchmarks": {"lightsam", "lightsam_exporters", "lightsam_benchmarks"},
}
CONVERTERS = {"coremltools", "onnx", "onnxruntime", "onnxscript", "litert_torch", "ai_edge_litert", "coreai_torch"}


def imports(path: Path, *, top_level: bool) -> set[str]:
    """First components of what a module imports; with ``top_level``, on import of the module itself."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    if top_level:
        nodes = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
    return found


MODULES = [(folder, path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_modules_are_found():
    assert len(MODULES) > 30


@pytest.mark.parametrize(("folder", "path"), MODULES, ids=[str(path.relative_to(ROOT)) for _, path in MODULES])
def test_imports_go_one_way(folder, path):
    mine = imports(path, top_level=path.name.startswith("cli") or path.name == "terminal.py")
    assert mine & set(FOLDERS.values()) <= ALLOWED[folder]
    assert not {"exporters", "benchmarks"} & imports(path, top_level=False)  # never by the folder's name


@pytest.mark.parametrize(("folder", "path"), MODULES, ids=[str(path.relative_to(ROOT)) for _, path in MODULES])
def test_converters_are_imported_where_they_are_used(folder, path):
    assert not imports(path, top_level=True) & CONVERTERS


def test_lightsam_knows_no_format():
    """But for weights that others exported to ONNX: reading these is the one thing that it needs a format for."""
    reader = ROOT / "lightsam" / "weights" / "onnx_import"
    assert reader.is_dir()
    for folder, path in MODULES:
        if folder == "lightsam" and not path.is_relative_to(reader):
            assert not imports(path, top_level=False) & CONVERTERS, path


def test_every_format_is_a_module():
    for name in FORMATS:
        assert (ROOT / "exporters" / f"{name}.py").is_file()
