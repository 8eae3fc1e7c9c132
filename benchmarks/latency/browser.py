"""ONNX files in a browser: timed by a page in Chromium, on ONNX Runtime Web's build for the processor.

The page is served from this machine with the headers that threads need. Its clock is ``performance.now``, which in such
a page has steps of 5 microseconds. A load is a fetch from this machine and the making of a session.
"""

import base64
import shutil
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from lightsam.errors import ContractError, UsageError
from lightsam.metrics import psnr_db
from lightsam.stages import Arrays
from lightsam_exporters.browser import chromium
from lightsam_exporters.browser.runtime import VERSION, WASM_FILES, runtime_files
from lightsam_exporters.browser.server import SiteServer
from lightsam_exporters.formats.onnx import FORMAT as ONNX
from lightsam_exporters.formats.onnx_sessions import all_inputs, create_session, started
from lightsam_exporters.formats.running import RunOptions

from .disk import evict
from .record import CALL, Round
from .timing import LEAST, Method

WASM = "BROWSER_WASM"
UNITS = (WASM,)
FORMAT = ONNX.name
"""What a browser runs."""
_PAGE = ("browser.html", "browser.js")
_PROBE = "probe.onnx"


class Reference(NamedTuple):
    """What Python's ONNX Runtime makes of the same inputs."""

    inputs: dict[str, np.ndarray]
    """All that the file takes."""
    outputs: Arrays
    least_db: float
    """What every output of the page must reach: the gate of the file's own precision."""


def why_not() -> str:
    """Why nothing can be timed in a browser here, in a sentence; empty if it can."""
    try:
        chromium.find_chromium()
    except UsageError as error:
        return str(error)
    return ""


def measure(path: Path, inputs: Mapping[str, np.ndarray], threads: int, method: Method) -> tuple[Round, str, str]:
    """Time a file in a browser of its own.

    Args:
        path: of the file.
        inputs: of the stage, by name, float32.
        threads: of ONNX Runtime Web.
        method: as for any other runtime.

    Returns:
        The round, what it ran on, and the runtime.

    Raises:
        ContractError: if the browser refuses the file, or computes something else than Python's ONNX Runtime.
        PackageError: if ONNX Runtime Web cannot be had.
        UsageError: if there is no Chromium.
    """
    reference = reference_of(path, inputs)
    with tempfile.TemporaryDirectory() as temporary:
        site = Path(temporary)
        asked = _write_site(site, path, reference.inputs)
        with SiteServer(site) as server, chromium.opened(f"{server.url}{_PAGE[0]}") as page:
            from playwright.sync_api import Error

            try:
                measured, outputs = _measured(page, site / path.name, {**asked, "threads": threads}, method)
            except Error as error:
                raise ContractError(f"Chromium did not run {path.name}: {chromium.first_words(error)}") from error
            version = chromium.version_of(page)
    check(outputs, reference, path.name)
    return measured, f"WASM in Chromium {version}", f"ONNX Runtime Web {VERSION}"


def reference_of(path: Path, inputs: Mapping[str, np.ndarray]) -> Reference:
    """Run a file in Python, on the CPU.

    Raises:
        ContractError: if the file is damaged.
    """
    session = create_session(path, RunOptions())
    precision = session.get_modelmeta().custom_metadata_map.get("precision", "")
    gate = ONNX.gates.get(precision, ONNX.gates["float32"])
    given = all_inputs(session, inputs)
    return Reference(given, started(session, path).run(given), gate.psnr_db)


def check(outputs: Arrays, reference: Reference, name: str) -> None:
    """Refuse a page whose numbers are not those of Python's ONNX Runtime: what computes nothing is fast.

    Raises:
        ContractError: naming the output that differs.
    """
    for output, expected in reference.outputs.items():
        found = outputs.get(output)
        if found is None or found.shape != expected.shape:
            what = "no such output" if found is None else f"one of {found.shape}"
            raise ContractError(f"{name} gives {output} of {expected.shape} in Python, and {what} in Chromium")
        decibels = psnr_db(expected, found)
        if not decibels >= reference.least_db:  # NaN as well
            raise ContractError(
                f"{name} computes {output} otherwise in Chromium than in Python: {decibels:.1f} dB, and at least "
                f"{reference.least_db:g} are needed for its times to count"
            )


def _write_site(site: Path, path: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Fill the folder that is served; what the page is asked with."""
    page = Path(str(files(__package__))) / "data"
    for name in _PAGE:
        shutil.copyfile(page / name, site / name)
    shutil.copyfile(path, site / path.name)
    (site / "ort").mkdir()
    runtime = runtime_files()
    for name in WASM_FILES:
        shutil.copyfile(runtime[name], site / "ort" / name)
    (site / _PROBE).write_bytes(_smallest_model())
    described = []
    for number, (name, array) in enumerate(inputs.items()):
        array.astype("<f4").tofile(site / f"{number}.bin")
        described.append({"name": name, "path": f"{number}.bin", "shape": list(array.shape)})
    return {"probe": _PROBE, "model": path.name, "inputs": described}


def _smallest_model() -> bytes:
    """A model that does nothing: its session brings the runtime in."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", [x], [y])
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    ).SerializeToString()
    return content


def _measured(page: Any, model: Path, asked: Mapping[str, Any], method: Method) -> tuple[Round, Arrays]:
    def ask(task: str, given: Any = None) -> Any:
        return page.evaluate("([task, given]) => ask(task, given)", [task, given])

    ask("start", asked)
    evicted = evict([model])
    before = _memory_of_page()[0]
    load_cold_ms = ask("load")
    first_call_ms = ask("call")
    samples = ask(
        "time",
        {
            "warmup": method.warmup,
            "minimum": method.min_count,
            "minimumMs": 1000 * method.min_time_s,
            "maximumMs": 1000 * method.max_time_s,
            "least": LEAST,
        },
    )
    peak = _memory_of_page()[1]
    ask("release")
    load_warm_ms = ask("load")
    measured = Round(
        load_cold_ms=float(load_cold_ms),
        evicted=evicted,
        load_warm_ms=float(load_warm_ms),
        first_call_ms=float(first_call_ms),
        memory_before_bytes=before,
        peak_memory_bytes=peak,
        device_memory_bytes=None,
        warmup_ms={CALL: tuple(map(float, samples["warmup"]))},
        ms={CALL: tuple(map(float, samples["counted"]))},
        complete=samples["complete"],
    )
    return measured, _outputs(page)


def _outputs(page: Any) -> Arrays:
    """Of the last call that was timed."""
    found = page.evaluate(
        """async () => {
            const outputs = await ask("outputs");
            return Promise.all(outputs.map(async (one) => ({ ...one, data: await text(one.data) })));
        }"""
    )
    return {one["name"]: np.frombuffer(base64.b64decode(one["data"]), "<f4").reshape(one["dims"]) for one in found}


def _memory_of_page() -> tuple[int | None, int | None]:
    """Resident memory of the process that runs the page, now and at most, in bytes; None where it is not told."""
    try:
        there = [one for one in psutil.Process().children(recursive=True) if "--type=renderer" in one.cmdline()]
        page = max(there, key=lambda one: one.memory_info().rss)  # a spare one holds less
        lines = Path(f"/proc/{page.pid}/status").read_text(encoding="utf-8").splitlines()
        sizes = {
            name: int(size.split()[0]) * 1024
            for name, _, size in (line.partition(":") for line in lines)
            if "kB" in size
        }
        return sizes["VmRSS"], sizes["VmHWM"]
    except (psutil.Error, OSError, ValueError, KeyError):
        return None, None
