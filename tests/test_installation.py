"""What a message tells to type is true for the copy that prints it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightsam import installation
from lightsam.errors import FormatUnavailableError
from lightsam.installation import install_command

ROOT = Path(__file__).parent.parent


@pytest.fixture
def pip_on_the_path(monkeypatch):
    monkeypatch.setattr(installation.shutil, "which", lambda name: str(Path(sys.executable).parent / name))


def test_a_clone_is_installed_again_from_its_folder(pip_on_the_path):
    """This copy runs from one."""
    assert install_command("onnx") == f'pip install -e "{ROOT}[onnx]"'


@pytest.mark.parametrize("on_the_path", [None, "/elsewhere/bin/pip"])
def test_the_pip_of_another_environment_is_not_meant(monkeypatch, on_the_path):
    monkeypatch.setattr(installation.shutil, "which", lambda name: on_the_path)
    assert install_command("onnx") == f'{sys.executable} -m pip install -e "{ROOT}[onnx]"'


def test_the_message_holds_the_command():
    error = FormatUnavailableError.for_extra("onnx", "onnxruntime")
    assert str(error) == f"onnx needs the package 'onnxruntime', which is not installed: {install_command('onnx')}"


@pytest.fixture(scope="module")
def from_a_wheel(tmp_path_factory) -> Path:
    """Site-packages with lightsam alone, from a wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, folder / "site"], check=True)
    return folder / "site"


def test_a_copy_from_a_wheel_is_known_to_pip_by_its_name(from_a_wheel):
    script = "import lightsam, lightsam.installation as i; print(lightsam.__file__); print(i.install_command('onnx'))"
    environment = {**os.environ, "PYTHONPATH": str(from_a_wheel)}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=from_a_wheel,
        env=environment,
        encoding="utf-8",
        capture_output=True,
        check=True,
    )
    where, command = ran.stdout.splitlines()
    assert Path(where).is_relative_to(from_a_wheel)
    assert command.endswith('pip install "lightsam[onnx]"')
