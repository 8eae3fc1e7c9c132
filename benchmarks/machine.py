"""What a run needs to say about the machine, so that its numbers mean something elsewhere."""

import datetime
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TypedDict

import psutil

from lightsam.version import __version__
from lightsam_exporters.formats import FORMATS, describe_format

from .latency.record import GitState, Machine

_LINUX_CPUS = Path("/proc/cpuinfo")
_LINUX_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def describe() -> Machine:
    """This machine, before a run."""
    return Machine(
        chip=chip(),
        architecture=platform.machine(),
        os=_system(),
        physical_cores=psutil.cpu_count(logical=False),
        usable_cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        gpus=_gpus(),
        power_source=_power_source(),
        load_before=load_average(),
        load_after=(),
    )


def chip() -> str:
    """Name of the processor, as its maker gives it."""
    if platform.system() == "Darwin":
        return _said_by("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    if _LINUX_CPUS.exists():
        for line in _LINUX_CPUS.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may use: those of its affinity, and no more than its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _LINUX_QUOTA.read_text(encoding="utf-8").split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no container, or one without a limit
        return cores


def load_average() -> tuple[float, ...]:
    """Over 1, 5 and 15 minutes; empty where the system has none."""
    try:
        return tuple(round(load, 2) for load in os.getloadavg())
    except (AttributeError, OSError):
        return ()


def ran_by() -> tuple[str, ...]:
    """Names of the installed packages that run models and files: PyTorch's, and those of every format's runtime."""
    installed = packages_distributions()
    modules = (describe_format(name).runtime.partition(".")[0] for name in FORMATS)
    runtimes = (name.lower().replace("_", "-") for module in modules for name in installed.get(module, ()))
    return tuple(dict.fromkeys(("torch", "numpy", "pillow", *runtimes)))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of packages by their names, of those that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def other_versions(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A line for every package whose version is another one, of two answers of `versions`."""
    packages = sorted(set(before) | set(now))
    pairs = ((package, before.get(package, "none"), now.get(package, "none")) for package in packages)
    return [f"{package}: {old}, now {new}" for package, old, new in pairs if old != new]


def circumstances(lightsam: str, git: GitState | None, python: str, versions: Mapping[str, str]) -> str:
    """What a run was made by, in one line: its release and commit, and the packages."""
    commit = f", commit {git['commit'][:12]}{', changed' if git['dirty'] else ''}" if git else ""
    packages = "".join(f", {name} {number}" for name, number in versions.items())
    return f"lightsam {lightsam}{commit}; Python {python}{packages}"


class Origin(TypedDict):
    """What the record of an evaluation says of the run that made it; each record documents the fields."""

    created: str
    lightsam: str
    git: GitState | None
    python: str
    versions: dict[str, str]
    chip: str


def origin(*packages: str) -> Origin:
    """Of a run that ends now, on this machine.

    Args:
        packages: that scored, besides those that ran the subjects.
    """
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "lightsam": __version__,
        "git": git_state(),
        "python": platform.python_version(),
        "versions": versions((*ran_by(), *packages)),
        "chip": chip(),
    }


def git_state() -> GitState | None:
    """Commit of the clone that this file lies in, and whether anything was changed since; None if it is no clone."""
    folder = Path(__file__).resolve().parent
    commit = _said_by("git", "-C", str(folder), "rev-parse", "HEAD")
    if not commit or not (folder.parent / ".git").exists():
        return None
    return {"commit": commit, "dirty": bool(_said_by("git", "-C", str(folder), "status", "--porcelain", "-uno"))}


def _system() -> str:
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return f"{platform.system()} {platform.release()}"


def _gpus() -> tuple[str, ...]:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return (*names, *(["Apple GPU (MPS)"] if torch.backends.mps.is_available() else []))


def _power_source() -> str:
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None or battery.power_plugged is None:
        return "unknown"
    return "mains" if battery.power_plugged else "battery"


def _said_by(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10, encoding="utf-8"
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
