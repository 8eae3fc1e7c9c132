"""``manifest.json``: what lies in a model's folder, where it comes from, and how exact it is.

The README documents it field by field; a test holds the two together.
"""

import json
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam.models import find_model
from lightsam.stages import CONTRACT_VERSION, Stage, Stages, TensorSpec

from .artifacts import sha256, size_bytes
from .formats.base import ExportOptions, Format, Provenance
from .parity.judge import ParityReport

SCHEMA = 3
"""Raised when a field changes its name or meaning."""
FILE_NAME = "manifest.json"
_TOOLS = ("lightsam", "torch", "numpy", "pillow")


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a model's folder.

    Raises:
        ContractError: if there is none, or it is damaged or of another schema.
    """
    path = folder / FILE_NAME
    if not path.exists():
        inside = sorted(found.parent.name for found in folder.glob(f"*/{FILE_NAME}")) if folder.is_dir() else []
        hint = f"; did you mean one of its folders: {', '.join(inside)}?" if inside else ""
        raise ContractError(f"{folder} has no {FILE_NAME}, so nothing was exported there{hint}")
    return read_file(path)


def read_file(path: Path) -> dict[str, Any]:
    """A manifest, wherever it lies.

    Raises:
        ContractError: if it is missing or damaged or of another schema.
    """
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ContractError(f"{path} cannot be read ({error}): export again with --overwrite") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise ContractError(f"{path} is not a manifest of schema {SCHEMA}: export again with --overwrite")
    return manifest


def add(
    folder: Path,
    name: str,
    *,
    backend: Format,
    options: ExportOptions,
    provenance: Provenance,
    stages: Stages,
    paths: dict[str, Path],
    report: ParityReport,
) -> None:
    """Add or replace one export's entry; the others stay as they are.

    Args:
        name: of the entry, which is also that of the export's folder.
        paths: of the stages' files, in the model's folder.

    Raises:
        ContractError: if there is a manifest that cannot be read.
        WriteError: if the new one cannot be written; the old one is then as it was.
    """
    manifest: dict[str, Any] = read(folder) if (folder / FILE_NAME).exists() else {"schema": SCHEMA, "exports": {}}
    card = find_model(provenance.model)
    manifest["model"] = {
        "model": card.name,
        "image_size": provenance.image_size,
        "license": card.license,
        "license_url": card.license_url,
        "commercial_use": card.commercial_use,
        "paper": card.paper,
        "source": card.source,
    }
    manifest["contract_version"] = CONTRACT_VERSION
    manifest["exports"][name] = {
        "format": backend.NAME,
        "options": options.recorded(backend.OPTIONS),
        "weights": asdict(provenance.made_from),
        "pairing_id": provenance.pairing_id,
        "tools": _versions(*_TOOLS, *backend.REQUIRES),
        "files": {
            stage: {
                "path": path.relative_to(folder).as_posix(),
                "sha256": sha256(path),
                "size_bytes": size_bytes(path),
                **_interface(backend.interface(stages[stage], options)),
            }
            for stage, path in paths.items()
        },
        "parity": report.as_dict(),
    }
    write_text(folder / FILE_NAME, json.dumps(manifest, indent=2, allow_nan=False) + "\n")


def _interface(stage: Stage) -> dict[str, Any]:
    return {"inputs": [_spec(spec) for spec in stage.inputs], "outputs": [_spec(spec) for spec in stage.outputs]}


def _spec(spec: TensorSpec) -> dict[str, Any]:
    shape = [spec.dynamic.get(axis, side) for axis, side in enumerate(spec.shape)]
    return {"name": spec.name, "shape": shape, "dtype": spec.dtype, "meaning": spec.meaning}


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a clone that was not installed
            found[package] = "unknown"
    return found
