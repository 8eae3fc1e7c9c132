"""Judging ONNX files on a browser's WebGPU kernels, from Python: `lightsam parity --unit WEBGPU`."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import onnxruntime
import pytest
from command import run_command

from lightsam.errors import ContractError, UsageError
from lightsam.installation import install_command
from lightsam_benchmarks.latency import units
from lightsam_exporters.formats import onnx_webgpu
from lightsam_exporters.formats.onnx_webgpu import PROVIDER, UNIT

CHROMIUM = Path("/usr/lib/chromium")
SOFTWARE = {
    "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1",
    "LD_LIBRARY_PATH": str(CHROMIUM),
    "VK_ICD_FILENAMES": str(CHROMIUM / "vk_swiftshader_icd.json"),
}
"""Environment in which the plug-in takes SwiftShader, which computes as a GPU does: Debian's Chromium brings it."""
NO_DRIVER = {"ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1", "LD_LIBRARY_PATH": "", "VK_ICD_FILENAMES": os.devnull}
"""Here it lists an adapter, and then has none."""
CALL = """
import json, sys
from pathlib import Path
import numpy as np
from lightsam.metrics import psnr_db
from lightsam_exporters.formats.onnx import FORMAT
from lightsam_exporters.formats.onnx_sessions import node_times
from lightsam_exporters.formats.running import RunOptions
from lightsam_benchmarks.latency import units
path, inputs = Path(sys.argv[1]), dict(np.load(sys.argv[2]))
there, cpu = (FORMAT.start(path, "decoder", RunOptions(unit)) for unit in ("WEBGPU", "CPU"))
found, expected = there.run(inputs), cpu.run(inputs)
print(json.dumps({
    "judge": [there.runtime, there.unit],
    "db": {name: psnr_db(expected[name], found[name]) for name in expected},
    "equal": all(np.array_equal(expected[name], found[name]) for name in expected),
    "why_not": units.why_not("onnx", "WEBGPU"),
    "default": units.default_units("onnx"),
}))
"""


def in_a_process(environment: Mapping[str, str], *command: object) -> subprocess.CompletedProcess:
    """Run Python elsewhere: a driver is found when a process starts, and a plug-in stays in the process."""
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def parity(exports_of):
    """The arguments that judge the tiny model on WebGPU."""
    folder = exports_of("onnx", "float32").folder
    return ("parity", folder, "--suite", "quick", "--unit", UNIT)


def test_without_the_package_a_line_says_what_to_install(parity, monkeypatch):
    monkeypatch.setattr(onnx_webgpu, "find_spec", lambda name: None)
    done = run_command(*parity)
    assert done.status == 2
    assert "verdict" not in done.stdout
    assert install_command("webgpu") in " ".join(done.stderr.split())
    assert "'onnxruntime-ep-webgpu', which is not installed" in units.why_not("onnx", UNIT)


def test_without_a_device_nothing_is_judged(parity, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_ep_devices", list)
    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", lambda *_: None)
    done = run_command(*parity)
    assert done.status == 2
    assert "finds no GPU, so there is no WEBGPU here" in " ".join(done.stderr.split())
    assert "finds no GPU" in units.why_not("onnx", UNIT)
    assert UNIT not in units.default_units("onnx")


def test_a_plugin_that_does_not_go_with_the_runtime_is_named(monkeypatch):
    refused = mock.Mock(side_effect=RuntimeError("the version 1.23 is below 1.24.4\nand more"))
    monkeypatch.setattr(onnxruntime, "get_ep_devices", list)
    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", refused)
    with pytest.raises(UsageError, match=r"does not go with ONNX Runtime .*\(the version 1.23 is below 1.24.4\)"):
        onnx_webgpu.find_device()


def test_a_gpu_without_its_driver_is_not_the_cpu(exports_of):
    """What ONNX Runtime does by itself: it prints a line, and judges on the CPU with a difference of zero."""
    path = exports_of("onnx", "float32").path("decoder")
    script = """
import sys
from pathlib import Path
from lightsam.errors import UsageError
from lightsam_exporters.formats.onnx import FORMAT
from lightsam_exporters.formats.running import RunOptions
try:
    session = FORMAT.start(Path(sys.argv[1]), "decoder", RunOptions("WEBGPU"))
except UsageError as error:
    print("refused:", error)
else:
    print("taken:", session.unit)
"""
    done = in_a_process(NO_DRIVER, "-c", script, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith("refused: there is no WEBGPU here: ")


@pytest.fixture
def elsewhere(monkeypatch):
    """ONNX Runtime with a session that did not come to lie where it should; by a stand-in."""
    monkeypatch.setattr(onnx_webgpu, "find_device", object)

    def make(providers, *placed):
        graphs = [
            SimpleNamespace(ep_name=name, get_nodes=lambda kinds=kinds: [SimpleNamespace(op_type=k) for k in kinds])
            for name, kinds in placed
        ]
        session = mock.Mock()
        session.get_providers.return_value = list(providers)
        session.get_provider_graph_assignment_info.return_value = graphs
        monkeypatch.setattr(onnxruntime, "InferenceSession", mock.Mock(return_value=session))
        return session

    return make


def test_a_session_on_another_provider_is_refused(elsewhere, tmp_path):
    elsewhere(["CPUExecutionProvider"])
    with pytest.raises(UsageError, match=r"ONNX Runtime put it on CPUExecutionProvider: it is not run there"):
        onnx_webgpu.create_session(tmp_path / "decoder.onnx", mock.Mock())
    assert onnxruntime.InferenceSession.call_args.kwargs == {"enable_fallback": 0}


def test_a_session_whose_operations_all_fell_to_the_cpu_is_refused(elsewhere, tmp_path):
    elsewhere([PROVIDER, "CPUExecutionProvider"], ("CPUExecutionProvider", ["MatMul", "Add"]))
    with pytest.raises(UsageError, match="it is not run there"):
        onnx_webgpu.create_session(tmp_path / "decoder.onnx", mock.Mock())


def test_what_the_cpu_does_beside_it_is_said(elsewhere, tmp_path):
    elsewhere(
        [PROVIDER, "CPUExecutionProvider"],
        (PROVIDER, ["Conv", "Conv", "Add"]),
        ("CPUExecutionProvider", ["MatMulInteger", "Concat", "Concat"]),
    )
    session = onnx_webgpu.create_session(tmp_path / "decoder.onnx", mock.Mock())
    assert onnx_webgpu.share_of(session) == (3, 6, ["Concat", "MatMulInteger"])
    assert onnx_webgpu.describe(session)[1] == "WEBGPU (3 of 6 operations; the CPU: Concat, MatMulInteger)"


def test_a_call_that_fails_is_told_and_not_made_on_the_cpu(tmp_path):
    def run():
        raise RuntimeError("a shader needs f16\nand more")

    with pytest.raises(ContractError, match=r"could not run .*x\.onnx on WEBGPU: a shader needs f16$"):
        onnx_webgpu.guarded(run, tmp_path / "x.onnx")()


@pytest.mark.browser
def test_the_decoder_on_a_software_adapter_answers_as_the_cpu_does(exports_of, tmp_path):
    assert Path(SOFTWARE["VK_ICD_FILENAMES"]).exists(), "needs SwiftShader, which Debian's package chromium brings"
    import numpy as np

    from lightsam_benchmarks.latency.plan import Selection, export_tasks, photograph
    from lightsam_benchmarks.latency.timing import Method
    from lightsam_benchmarks.latency.worker import inputs_of

    entry = exports_of("onnx", "float32")
    with photograph() as image:
        (task,) = export_tasks(entry, Selection(("onnx",), units=("CPU",), scopes=("decoder",)), Method(), image)
        np.savez(tmp_path / "inputs.npz", **inputs_of(task.job))
    done = in_a_process(SOFTWARE, "-c", CALL, entry.path("decoder"), tmp_path / "inputs.npz")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    runtime, unit = found["judge"]
    assert "with onnxruntime-ep-webgpu" in runtime
    assert runtime.endswith("software adapter")
    assert unit.startswith("WEBGPU (3")  # more than 300 operations
    assert not found["equal"]  # other kernels round otherwise: the CPU's would be equal
    assert min(found["db"].values()) > 60, found["db"]
    assert "software adapter alone" in found["why_not"]
    assert UNIT not in found["default"]
