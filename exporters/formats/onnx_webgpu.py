"""ONNX Runtime on WebGPU outside a browser: the kernels that onnxruntime-web has, by a plug-in.

Plug-in: ``onnxruntime-ep-webgpu`` - https://pypi.org/project/onnxruntime-ep-webgpu/. On Linux it needs a Vulkan loader.

ONNX Runtime's own answer to a plug-in that cannot be had is a printed line and the CPU. A file that is judged there
would pass for what it was not run on, so here nothing falls back: neither a session nor a call.
"""

import os
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError, UsageError
from lightsam.installation import install_command

from .base import first_line
from .quiet import redirect_output_to_log

UNIT = "WEBGPU"
PROVIDER = "WebGpuExecutionProvider"
EXTRA = "webgpu"
_MODULE = "onnxruntime_ep_webgpu"
_PACKAGE = "onnxruntime-ep-webgpu"
_ADAPTERS = "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER"
"""Environment variable of the plug-in: 1 takes what computes as a GPU does on the CPU, where there is no GPU."""


def find_device() -> Any:
    """What the plug-in can run on, as ONNX Runtime lists it.

    Raises:
        UsageError: if the plug-in is not installed, does not go with this ONNX Runtime, or finds nothing.
    """
    if find_spec(_MODULE) is None:
        raise UsageError(f"{UNIT} needs the package {_PACKAGE!r}, which is not installed: {install_command(EXTRA)}")
    import onnxruntime

    with redirect_output_to_log("onnx"):
        found = _devices()
        if not found:
            library = import_module(_MODULE).get_library_path()
            try:
                onnxruntime.register_execution_provider_library(_PACKAGE, library)
                found = _devices()
            # An exception of its own for each status code; AttributeError where it knows no plug-ins.
            except Exception as error:
                if "already registered" not in str(error):
                    raise UsageError(
                        f"{_PACKAGE} does not go with ONNX Runtime {onnxruntime.__version__} ({first_line(error)}): "
                        f"{install_command(EXTRA)}"
                    ) from error
    if not found:
        raise UsageError(
            f"{_PACKAGE} finds no GPU, so there is no {UNIT} here: on Linux it needs a Vulkan driver and "
            f"libvulkan.so.1; {_ADAPTERS}=1 lets it take a software adapter, which judges files, slowly"
        )
    return found[0]


def why_not_timed() -> str:
    """Why nothing can be timed on it here, in a sentence; empty if it can."""
    try:
        device = find_device()
    except UsageError as error:
        return str(error)
    if is_software(device):
        return (
            f"{UNIT} has a software adapter alone here ({_ADAPTERS}=1): it serves to judge files, and its times say "
            "nothing of a GPU's"
        )
    return ""


def is_software(device: Any) -> bool:
    """Whether it computes on the CPU as a GPU would."""
    return bool(device.device.type.name == "CPU")


def create_session(path: Path, settings: Any) -> Any:
    """A session of which WebGPU runs what it can, and the CPU the rest, as in a browser.

    Args:
        path: of the file.
        settings: an ``onnxruntime.SessionOptions`` of this session's own.

    Raises:
        ContractError: if the file is damaged, or WebGPU refuses it.
        UsageError: if there is no WebGPU, or the session came to lie on another provider.
    """
    import onnxruntime

    settings.add_provider_for_devices([find_device()], {})
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        with redirect_output_to_log("onnx"):
            session = onnxruntime.InferenceSession(str(path), settings, enable_fallback=0)
    except Exception as error:  # as above
        if "creating execution provider" in str(error):
            reason = first_line(RuntimeError(str(error).rpartition("was false. ")[2]))
            raise UsageError(f"there is no {UNIT} here: {reason}; the driver of the GPU may be missing") from error
        raise ContractError(f"ONNX Runtime does not load {path} on {UNIT}: {first_line(error)}") from error
    if session.get_providers()[0] != PROVIDER or not share_of(session)[0]:
        raise UsageError(
            f"{path} was to run on {UNIT}, and ONNX Runtime put it on {session.get_providers()[0]}: it is not run there"
        )
    return session


def share_of(session: Any) -> tuple[int, int, list[str]]:
    """Of a session: how many operations WebGPU runs, how many there are, and which kinds the CPU runs."""
    placed = Counter(
        (graph.ep_name, node.op_type)
        for graph in session.get_provider_graph_assignment_info()
        for node in graph.get_nodes()
    )
    taken = sum(count for (provider, _), count in placed.items() if provider == PROVIDER)
    return taken, placed.total(), sorted({kind for provider, kind in placed if provider != PROVIDER})


def describe(session: Any) -> tuple[str, str]:
    """The runtime of a session with its version, and the unit with what it runs of the file."""
    import onnxruntime

    taken, whole, rest = share_of(session)
    software = ", software adapter" if os.environ.get(_ADAPTERS) == "1" and is_software(find_device()) else ""
    beside = f"; the CPU: {', '.join(rest)}" if rest else ""
    return (
        f"ONNX Runtime {onnxruntime.__version__} with {_PACKAGE} {version(_PACKAGE)}{software}",
        f"{UNIT} ({taken} of {whole} operations{beside})",
    )


def guarded(run: Callable[[], Any], path: Path) -> Callable[[], Any]:
    """A call that says in words what WebGPU refuses.

    Raises:
        ContractError: by the call, if WebGPU refuses.
    """

    def call() -> Any:
        try:
            return run()
        except Exception as error:  # as above
            raise ContractError(f"ONNX Runtime could not run {path} on {UNIT}: {first_line(error)}") from error

    return call


def _devices() -> list[Any]:
    import onnxruntime

    return [one for one in onnxruntime.get_ep_devices() if one.ep_name == PROVIDER]
