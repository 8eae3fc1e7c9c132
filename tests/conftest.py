"""What the tests share: a tiny registered model, its exports, photographs, and the command."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from command import OWN_PROCESSES, Completed, run_command
from PIL import Image
from skimage import data
from trained import Trained

from lightsam import Predictor, load_model
from lightsam.stages import STAGE_NAMES, Stages, split
from lightsam_exporters.formats.base import ExportOptions
from lightsam_exporters.loading import Export, find_export
from lightsam_exporters.pipeline import ExportRequest, export

tiny.register()
# Small tensors gain nothing from threads, and lose a lot by them when something else is running.
torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption("--other-kernels", action="store_true", help="as on another CPU: `make test-other-cpu`")


def pytest_configure(config):
    if config.getoption("--other-kernels"):  # before a test imports a runtime's names
        import other_kernels

        other_kernels.use()


def pytest_report_header(config):
    kernels = "others" if config.getoption("--other-kernels") else "the usual ones"
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"kernels: {kernels}; torch: {instructions}, {torch.get_num_threads()} threads"


@pytest.fixture(scope="session")
def tiny_model():
    return load_model(tiny.NAME, weights="seeded")


@pytest.fixture(scope="session")
def tiny_stages(tiny_model) -> Stages:
    return split(tiny_model)


@pytest.fixture(scope="session")
def tiny_predictor(tiny_model) -> Predictor:
    return Predictor.from_model(tiny_model)


SIZES = {"coreai": 192}
"""Its beta miscomputes the decoder at 128: see exporters/coreai.py."""


@pytest.fixture(scope="session")
def matrix_of(tmp_path_factory) -> Callable[[str, str, str], Export]:
    """A small model in a format and precision, made when first asked for; shared, so read it only.

    Of all but the first model the encoder alone: the decoder is the same code for each.
    """

    @functools.cache
    def folder_of(model: str, format_name: str, safe: bool) -> Path:
        # float16-safe apart: `exported` holds the other two precisions, whatever ran before.
        return tmp_path_factory.mktemp(f"{model}-{format_name}")

    @functools.cache
    def make(model: str, format_name: str, precision: str) -> Export:
        if (format_name, precision) == ("coreml", "float16"):
            # They share a folder, whose first export many commands take: let that be the same whichever test is first.
            make(model, format_name, "float32")
        whole = model == tiny.NAME or format_name == "coreai"
        request = ExportRequest(
            model,
            format_name,
            ExportOptions(precision=precision),
            folder_of(model, format_name, precision == "float16-safe"),
            STAGE_NAMES if whole else ("encoder",),
            weights="seeded",
            image_size=SIZES.get(format_name),
        )
        folder, _ = export(request)
        return find_export(folder, format_name, precision)

    return make


@pytest.fixture(scope="session")
def exports_of(matrix_of) -> Callable[[str, str], Export]:
    """The tiny model, both stages, in a format and precision."""
    return functools.partial(matrix_of, tiny.NAME)


@pytest.fixture(scope="session")
def exported(exports_of) -> Path:
    """The tiny model's folder with Core ML in both precisions; shared, so read it only."""
    (folder,) = {exports_of("coreml", precision).folder for precision in ("float32", "float16")}
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """MobileSAM with trained weights at 1024: fetched, and fails where they cannot be."""
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield Trained(tmp_path_factory.mktemp("trained"))
    torch.set_num_threads(threads)


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


@pytest.fixture
def lightsam() -> Callable[..., Completed]:
    """Run the command in this process."""
    return run_command


@pytest.fixture
def own_processes(monkeypatch):
    """Python processes that the command starts know the small models, and use one thread."""
    for name, value in OWN_PROCESSES.items():
        monkeypatch.setenv(name, value)


# What started the tests may have told its children to ignore an interrupt, as a shell does behind `&`.
_SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
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
