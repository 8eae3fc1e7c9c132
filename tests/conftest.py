"""What the tests share: a tiny registered model, its exports, photographs, and the command."""

import functools
import gc
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
from filelock import FileLock
from PIL import Image
from skimage import data
from trained import Trained

from lightsam import LoadedModel, Predictor, load_model
from lightsam.modeling.sam import Sam
from lightsam.models import find_model
from lightsam.stages import STAGE_NAMES, Stages, split
from lightsam_exporters import artifacts
from lightsam_exporters.formats import options_of
from lightsam_exporters.loading import Export, find_export, is_export
from lightsam_exporters.pipeline import ExportRequest, export
from lightsam_exporters.provenance import Provenance

tiny.register()
# Small tensors gain nothing from threads, and lose a lot by them when something else is running.
torch.set_num_threads(1)
# Converters make millions of objects that stay: looking through all of them again and again is a fifth of the time.
gc.set_threshold(50_000, 20, 100)


def pytest_addoption(parser):
    parser.addoption("--other-kernels", action="store_true", help="as on another CPU: `make test-other-cpu`")


def pytest_configure(config):
    if config.getoption("--other-kernels"):  # before a test imports a runtime's names
        import other_kernels

        other_kernels.use()


LONGEST = (
    "test_benchmark.py",
    "test_sweep.py",
    "test_evaluate.py",
    "test_executorch.py",
    "test_tflite.py",
    "test_onnx.py",
)
"""Files that take minutes: where several processes share the work, these begin first."""
APART = ("test_export.py", "test_faults.py", "test_formats.py", "test_kills.py", "test_parity.py")
"""Files whose tests have no fixture of their own to share: each test may go to any process, and fill what is left."""


def pytest_collection_modifyitems(items):
    ranks = {**{name: rank for rank, name in enumerate(LONGEST)}, **dict.fromkeys(APART, len(LONGEST) + 1)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(LONGEST)))  # stable: the rest stay in their order


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where several processes share the work, a file goes to one of them, and of those that are apart each test."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return nodeid if Path(file).name in APART else file

    return ByFile(config, log)


def pytest_report_header(config):
    kernels = "others" if config.getoption("--other-kernels") else "the usual ones"
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"kernels: {kernels}; torch: {instructions}, {torch.get_num_threads()} threads"


@pytest.fixture(scope="session")
def tiny_loaded() -> LoadedModel:
    return load_model(tiny.NAME, weights="seeded")


@pytest.fixture(scope="session")
def tiny_model(tiny_loaded) -> Sam:
    return tiny_loaded.sam


@pytest.fixture(scope="session")
def tiny_stages(tiny_model) -> Stages:
    return split(tiny_model)


@pytest.fixture(scope="session")
def provenance(tiny_loaded) -> Provenance:
    """Of a file of the tiny model with static shapes."""
    return Provenance.of(find_model(tiny.NAME), tiny.SIZE, 8, tiny_loaded.weights)


@pytest.fixture(scope="session")
def tiny_predictor(tiny_model) -> Predictor:
    return Predictor.from_model(tiny_model)


SIZES = {"coreai": 192}
"""Its beta miscomputes the decoder at 128: see exporters/coreai.py."""


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """One for all processes of a run: what one of them has converted, the others take."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "exports"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def matrix_of(shared_folder) -> Callable[[str, str, str], Export]:
    """A small model in a format and precision, made when first asked for; shared, so read it only.

    Of some models the encoder alone: see `tiny.tested_stages`.
    """

    @functools.cache
    def make(model: str, format_name: str, precision: str) -> Export:
        # float16-safe apart: `exported` holds the other two precisions, whatever ran before.
        output = shared_folder / f"{model}-{format_name}{'-safe' if precision == 'float16-safe' else ''}"
        stages = STAGE_NAMES if format_name == "coreai" else tiny.tested_stages(model)
        request = ExportRequest(
            model,
            format_name,
            options_of(format_name, precision=precision),
            output,
            stages,
            weights="seeded",
            image_size=SIZES.get(format_name),
        )
        with FileLock(f"{output}.lock"):
            folder = artifacts.model_folder(output, find_model(model), request.image_size or tiny.SIZE)
            if not is_export(folder / request.name):
                export(request)
        return find_export(folder / request.name)

    return make


@pytest.fixture(scope="session")
def exports_of(matrix_of) -> Callable[[str, str], Export]:
    """The tiny model, both stages, in a format and precision."""
    return functools.partial(matrix_of, tiny.NAME)


@pytest.fixture(scope="session")
def exported(exports_of) -> Path:
    """The tiny model's folder with Core ML in both precisions; shared, so read it only."""
    (folder,) = {exports_of("coreml", precision).model_folder for precision in ("float32", "float16")}
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
            encoding="utf-8",
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
