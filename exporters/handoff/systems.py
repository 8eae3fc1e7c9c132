"""The oldest systems that a Core ML export runs on, which its Swift package must name, too.

A package that names older ones is installed on them, and fails there when the model is loaded.
"""

import re
from pathlib import Path

from lightsam.errors import UsageError
from lightsam.files import write_text
from lightsam_exporters.loading import Export

_SYSTEMS = {
    "iOS16": {"iOS": 16, "macOS": 13, "visionOS": 1},
    "iOS17": {"iOS": 17, "macOS": 14, "visionOS": 1},
    "iOS18": {"iOS": 18, "macOS": 15, "visionOS": 2},
    "iOS26": {"iOS": 26, "macOS": 26, "visionOS": 26},
}
"""By coremltools' name of a deployment target: systems of one generation,
https://apple.github.io/coremltools/source/coremltools.target.html."""
_MANIFEST = "Package.swift"
_PLATFORMS = re.compile(r"platforms: \[[^\]]*\]")


def needed(export: Export) -> dict[str, int]:
    """Least version of each system, by the newer of both stages.

    Raises:
        UsageError: for a target that no version is known of.
    """
    targets = [str(file.options["minimum_deployment_target"]) for file in export.facts.files.values()]
    unknown = [target for target in targets if target not in _SYSTEMS]
    if unknown:
        raise UsageError(
            f"{export.folder} is for {unknown[0]}, and a package can be made for {', '.join(_SYSTEMS)}: "
            "export it with another --minimum-deployment-target"
        )
    return _SYSTEMS[max(targets, key=list(_SYSTEMS).index)]


def in_words(export: Export) -> str:
    """Such as "iOS 16, macOS 13 or visionOS 1"."""
    *others, last = (f"{system} {version}" for system, version in needed(export).items())
    return f"{', '.join(others)} or {last}"


def declare(export: Export, folder: Path) -> None:
    """Let the package in a folder name the systems that an export needs."""
    named = ", ".join(f'.{system}("{version}.0")' for system, version in needed(export).items())
    manifest = folder / _MANIFEST
    written, count = _PLATFORMS.subn(f"platforms: [{named}]", manifest.read_text(encoding="utf-8"))
    assert count == 1, f"{_MANIFEST} names its platforms {count} times"
    write_text(manifest, written)
