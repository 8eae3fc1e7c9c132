"""``manifest.json``: what lies in a model's folder, gathered from the ``export.json`` of each export.

It is an index for people and other programs, and for a later ``lightsam parity --baseline``: nothing is known by it
alone, and it is made anew whenever it does not fit the exports. `docs/schemas.md` documents it field by field.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsam.documents import convert, read_json
from lightsam.errors import ContractError, LightSamError
from lightsam.files import WriteError, write_text
from lightsam.stages import CONTRACT_VERSION

from . import facts
from .facts import ExportFacts, export_name
from .formats import FORMATS, describe_format

SCHEMA = 6
"""Raised when a field changes its name or meaning."""
FILE_NAME = "manifest.json"
_LOG = logging.getLogger("lightsam.manifest")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The index of a model's folder."""

    schema: int = SCHEMA
    """Version of this format."""
    model: str
    """Name as on the command line."""
    image_size: int
    """Side of the square input, in pixels."""
    contract_version: str
    """Of the stage contract."""
    exports: dict[str, ExportFacts]
    """By name, which is that of the export's folder."""


def read(path: Path) -> Manifest:
    """A manifest, wherever it lies.

    Raises:
        ContractError: if it is missing, damaged, or of another release's schema.
    """
    content = read_json(path, "a manifest")
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise ContractError(f"{path} is of schema {schema!r} and this lightsam reads {SCHEMA}: export again")
    manifest = convert(content, Manifest, path, "a manifest")
    for name in manifest.exports:
        facts.parse(content["exports"][name], path)
    return manifest


def refresh(folder: Path, exports: dict[str, ExportFacts]) -> None:
    """Write the index anew, if it is not that of these exports.

    Args:
        folder: of the model.
        exports: all that lie in it, by name; at least one.

    Raises:
        WriteError: if the system refuses; the old one is then as it was.
    """
    path = folder / FILE_NAME
    text = json.dumps(index(exports), indent=2, allow_nan=False) + "\n"
    try:
        if path.read_text(encoding="utf-8") == text:
            return
        _LOG.info("%s does not fit the exports beside it, and is written anew", path)
    except (OSError, UnicodeDecodeError):  # missing, or no text at all
        pass
    write_text(path, text)


def refresh_if_possible(folder: Path, exports: dict[str, ExportFacts]) -> None:
    """As `refresh`, for who only reads the folder, and may not be allowed to write."""
    try:
        refresh(folder, exports)
    except WriteError as error:
        _LOG.info("%s", error)


def index(exports: dict[str, ExportFacts]) -> dict[str, Any]:
    """The content of the manifest of these exports, as JSON has it."""
    about = next(iter(next(iter(exports.values())).files.values())).provenance
    return {
        "schema": SCHEMA,
        "model": about.model,
        "image_size": about.image_size,
        "contract_version": CONTRACT_VERSION,
        "exports": {name: one.as_json() for name, one in exports.items()},
    }


def found_in(folder: Path) -> tuple[dict[str, ExportFacts], list[LightSamError]]:
    """The exports in a model's folder, by name, and what is wrong with those that cannot be read.

    They lie under their own names, and come in the order of the registry, each format's default precision first. What
    was set aside, rejected or copied lies under another name, and is not looked at.
    """
    there: dict[str, ExportFacts] = {}
    broken: list[LightSamError] = []
    for name in (export_name(one, precision) for one in FORMATS for precision in _precisions(one)):
        if not (folder / name / facts.FILE_NAME).exists():
            continue
        try:
            there[name] = facts.read(folder / name)
        except LightSamError as error:
            broken.append(error)
    return {name: one for name, one in there.items() if one.name == name}, broken


def _precisions(format_name: str) -> tuple[str, ...]:
    return describe_format(format_name).options.precisions()
