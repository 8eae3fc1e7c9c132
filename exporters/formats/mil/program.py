"""Reading a saved ``.mlpackage`` back, on any system."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError
from lightsam_exporters.formats.base import first_line
from lightsam_exporters.formats.quiet import import_quietly

MAIN = "main"


@dataclass(frozen=True)
class SavedProgram:
    """What a package says: its specification, and its function as coremltools' own objects."""

    specification: Any
    """The protobuf ``Model`` message."""
    function: Any
    """A ``coremltools.converters.mil.Function``: inputs, operations in order, outputs."""

    @property
    def metadata(self) -> dict[str, str]:
        """The user-defined metadata."""
        return dict(self.specification.description.metadata.userDefined)


def read_specification(package: Path) -> Any:
    """The protobuf ``Model`` message of a package.

    Raises:
        ContractError: if the package is missing, damaged, or no ML Program.
    """
    coremltools = import_quietly("coremltools")
    from google.protobuf.message import DecodeError

    if not package.is_dir():
        raise ContractError(f"there is no Core ML package {package}")
    try:
        specification = coremltools.models.utils.load_spec(str(_root_model(package)))
    except (OSError, RuntimeError, ValueError, DecodeError) as error:
        raise ContractError(f"{package} is damaged or no Core ML package ({first_line(error)})") from error
    if specification.WhichOneof("Type") != "mlProgram":
        raise ContractError(f"{package} holds a {specification.WhichOneof('Type')}, not an ML Program")
    return specification


def _root_model(package: Path) -> Path:
    """The file of a package's model, as its manifest says.

    coremltools gives it, too, and writes the manifest anew to do so: by way of a second file, which another process
    that hashes or copies the package would meet.

    Raises:
        OSError: if there is no manifest.
        ValueError: if it is damaged.
    """
    try:
        manifest = json.loads((package / "Manifest.json").read_text(encoding="utf-8"))
        return package / "Data" / manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"its manifest names no model: {error}") from error


def read_program(package: Path) -> SavedProgram:
    """Read a package's specification and, lazily, its weight file.

    coremltools rebuilds the program, and so infers every type and shape again: a graph whose shapes do not fit is
    refused here.

    Raises:
        ContractError: if the package is missing, damaged, or no ML Program.
    """
    specification = read_specification(package)
    from coremltools.converters.mil.frontend.milproto.load import load

    try:
        program = load(
            model_spec=specification,
            specification_version=specification.specificationVersion,
            file_weights_dir=str(package / "Data" / "com.apple.CoreML" / "weights"),
        )
    # Whatever the builder finds wrong with a damaged program: it has no exception of its own.
    except Exception as error:
        raise ContractError(f"{package} holds a program that cannot be read ({first_line(error)})") from error
    return SavedProgram(specification, program.functions[MAIN])
