"""What is installed, and that the lists that name the formats agree."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from test_layering import INSTALLED

from lightsam_exporters.formats import FORMATS, find_format
from lightsam_exporters.handoff.platforms import PLATFORMS, VECTORS, handed_over, part

ROOT = Path(__file__).parent.parent
OTHER_EXTRAS = ("plots", "cluster", "evaluate", "browser", "webgpu")
"""What is no format: the page of a benchmark, a sweep on several machines, masks against ground truth, a browser to
time in, and a browser's kernels in Python."""
PARTS = "lightsam_exporters/handoff/parts"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


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
    for folder, installed in INSTALLED.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".jpg", ".html") or path.name == "py.typed":
                assert f"{installed}/{path.relative_to(ROOT / folder).as_posix()}" in wheel


def test_every_format_is_an_extra():
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(extras) == {*FORMATS, *OTHER_EXTRAS, "all"}
    assert extras["all"] == [f"lightsam[{','.join((*FORMATS, *OTHER_EXTRAS))}]"]
    for name in FORMATS:
        requirements = " ".join(extras[name])
        for package in find_format(name).requires:
            assert package.replace("_", "-") in requirements


@pytest.mark.parametrize("name", FORMATS)
def test_the_makefile_exports_every_format(name):
    command = ["make", "-n", f"export-{name}"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout
    assert f"lightsam export mobile_sam --to {name} " in said
    assert ".[all]" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_ci_runs_the_readmes_test_command():
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make test\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_constraints_pin_every_dependency():
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    extras = PROJECT["project"]["optional-dependencies"].values()
    for requirement in [
        *PROJECT["project"]["dependencies"],
        *(entry for extra in extras for entry in extra if not entry.startswith("lightsam[")),
    ]:
        name = requirement.split(">")[0].split("=")[0].strip().lower().replace("_", "-")
        assert name in pins, requirement


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_the_wheel_holds_what_is_handed_over(wheel, platform):
    """A bundle is the same from an installed lightsam as from a clone."""
    sources = [source for source, _ in handed_over(platform)]
    assert len(sources) > 6
    for source in sources:
        folder = VECTORS if source.is_relative_to(part(VECTORS)) else platform.part
        assert f"{PARTS}/{folder}/{source.relative_to(part(folder)).as_posix()}" in wheel
    assert {f"lightsam_exporters/handoff/data/{name}" for name in ("card.md", "licenses/MIT.txt")} <= wheel
    assert {f"lightsam_exporters/browser/data/{name}" for name in ("examples.json", "nojekyll")} <= wheel
