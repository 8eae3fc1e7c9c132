"""What the tests share: a tiny registered model, its exports, photographs, and the command."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from PIL import Image
from skimage import data

from lightsam import Predictor, load_model
from lightsam.models import MODELS
from lightsam.stages import Stages, split
from lightsam_exporters.base import ExportOptions
from lightsam_exporters.pipeline import ExportRequest, export

MODELS[tiny.NAME] = tiny.CARD


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


# The command in a process of its own, with the tiny model registered.
_COMMAND = (
    "import tiny; from lightsam.models import MODELS; MODELS[tiny.NAME] = tiny.CARD; "
    "from lightsam.cli import main; main()"
)


@pytest.fixture
def start_lightsam():
    """Start the command as a user's shell would; returns the process."""
    processes = []

    def start(*arguments: object, before: str = "", **options) -> subprocess.Popen:
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); {before}{_COMMAND}"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def run_lightsam(start_lightsam):
    """Run the command to its end; returns the finished process."""

    def run(*arguments: object, before: str = "", **options) -> subprocess.CompletedProcess:
        process = start_lightsam(*arguments, before=before, **options)
        stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return run
