"""What is installed, and that the lists that name the formats agree."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from test_layering import FOLDERS

from lightsam_exporters.formats import FORMATS, find_format

ROOT = Path(__file__).parent.parent
OTHER_EXTRAS = ("plots", "cluster", "evaluate")
"""What is no format: the page of a benchmark, a sweep on several machines, and masks against ground truth."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> set[str]:
    output = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", output, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(output.glob("*.whl"))) as archive:
        return set(archive.namelist())


def test_the_wheel_puts_nothing_generic_into_site_packages(wheel):
    top = {name.split("/")[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "lightsam",
        "lightsam_exporters",
        "lightsam_benchmarks",
    }


def test_the_wheel_holds_every_module(wheel):
    for folder, installed in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".jpg", ".html") or path.name == "py.typed":
                assert f"{installed}/{path.relative_to(ROOT / folder).as_posix()}" in wheel


def test_every_format_is_an_extra():
    assert set(PROJECT["project"]["optional-dependencies"]) == {*FORMATS, *OTHER_EXTRAS}
    for name in FORMATS:
        requirements = " ".join(PROJECT["project"]["optional-dependencies"][name])
        for package in find_format(name).REQUIRES:
            assert package.replace("_", "-") in requirements


def test_the_makefile_knows_every_format():
    makefile = (ROOT / "Makefile").read_text()
    lists = {line.split(":=")[0].strip(): line.split(":=")[1].split() for line in makefile.splitlines() if ":=" in line}
    assert lists["FORMATS"] == list(FORMATS)
    assert lists["EXTRAS"] == [",".join((*FORMATS, *OTHER_EXTRAS))]


def test_ci_runs_the_readmes_test_command():
    assert "make test" in (ROOT / "README.md").read_text()
    assert "make test\n" in (ROOT / ".ci" / "run").read_text()


def test_constraints_pin_every_dependency():
    pins = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    extras = PROJECT["project"]["optional-dependencies"].values()
    for requirement in [*PROJECT["project"]["dependencies"], *(entry for extra in extras for entry in extra)]:
        name = requirement.split(">")[0].split("=")[0].strip().lower().replace("_", "-")
        assert name in pins, requirement
