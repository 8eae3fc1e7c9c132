"""What the tests share: a tiny registered model, its exports, photographs, and the command."""

import contextlib
import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
import torch
from PIL import Image
from skimage import data

from lightsam import Predictor, load_model, terminal
from lightsam.cli import main
from lightsam.stages import Stages, split
from lightsam_exporters.base import ExportOptions
from lightsam_exporters.pipeline import ExportRequest, export

tiny.register()
# Small tensors gain nothing from threads, and lose a lot by them when something else is running.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model():
    return load_model(tiny.NAME, weights="seeded")


@pytest.fixture(scope="session")
def tiny_stages(tiny_model) -> Stages:
    return split(tiny_model)


@pytest.fixture(scope="session")
def tiny_predictor(tiny_model) -> Predictor:
    return Predictor.from_model(tiny_model)


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """The tiny model's folder with both precisions; shared, so read it only."""
    output = tmp_path_factory.mktemp("exported")
    for precision in ("float32", "float16"):
        request = ExportRequest(tiny.NAME, "coreml", ExportOptions(precision=precision), output, weights="seeded")
        folder, _ = export(request)
    return folder


@pytest.fixture
def own_export(exported, tmp_path) -> Path:
    """A copy of `exported` that a test may damage."""
    return Path(shutil.copytree(exported, tmp_path / exported.name))


@pytest.fixture(scope="session")
def coffee() -> Image.Image:
    return Image.fromarray(data.coffee())


@pytest.fixture(scope="session")
def photograph(tmp_path_factory, coffee) -> Path:
    path = tmp_path_factory.mktemp("photographs") / "coffee.png"
    coffee.save(path)
    return path


@dataclass
class Done:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def lightsam(monkeypatch) -> Callable[..., Done]:
    """Run the command in this process."""

    def run(*arguments: object) -> Done:
        stdout, stderr = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["lightsam", *map(str, arguments)])
        monkeypatch.setattr(terminal.out, "file", stdout)
        monkeypatch.setattr(terminal.err, "file", stderr)
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            try:
                main()
                status = 0
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Done(status, stdout.getvalue(), stderr.getvalue())

    return run


_SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import tiny
from lightsam.cli import main
tiny.register()
{before}
main()
"""


@pytest.fixture
def start_lightsam():
    """Start the command in a process of its own, as a shell would; returns the process."""
    processes = []

    def start(*arguments: object, before: str = "") -> subprocess.Popen:
        script = _SCRIPT.format(tests=str(Path(__file__).parent), before=before)
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
