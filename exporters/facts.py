"""``export.json``: the facts of one export, which lie in its folder and come into place with its files.

Each file has facts of its own: the encoder of an export may have been made before its decoder, with other options.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from lightsam.documents import convert, read_json
from lightsam.errors import ContractError
from lightsam.files import write_text
from lightsam.rules import Rules
from lightsam.stages import STAGE_NAMES, Stage, TensorSpec

from .artifacts import sha256, size_bytes
from .formats import FORMATS, describe_format
from .formats.base import Delegation, Format
from .formats.options import Options
from .lint.check import FileLint, lint_file
from .parity.measurement import ParityReport
from .provenance import Provenance, check_contract

SCHEMA = 3
"""Raised when a field changes its name or meaning."""
FILE_NAME = "export.json"
SMALL_DTYPES = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (1, 2, 3, 4, 6, 8))
"""Of weights that are stored in 8 bits or fewer; of a palette's indices, too."""
_WHAT = "the facts of an export"
_TOOLS = ("lightsam", "torch", "numpy", "pillow")


@dataclass(frozen=True)
class Tensor:
    """One input or output of a file."""

    name: str
    """As in the stage contract."""
    shape: list[int | str]
    """A name stands for an axis that may have any size."""
    dtype: str
    """As in numpy; "image" for an 8-bit image."""
    meaning: str
    """With unit, range and coordinate frame."""

    @classmethod
    def of(cls, spec: TensorSpec) -> Self:
        """As a spec says."""
        shape = [spec.dynamic.get(axis, side) for axis, side in enumerate(spec.shape)]
        return cls(spec.name, shape, spec.dtype, spec.meaning)


@dataclass(frozen=True)
class FileFacts:
    """The file of one stage: what it is and how it was made."""

    path: str
    """Its name in the export's folder."""
    sha256: str
    """Of a folder, or of a file with external data: over every file's name, size and content."""
    size_bytes: int
    """Likewise."""
    inputs: list[Tensor]
    """In the order of the contract."""
    outputs: list[Tensor]
    """Likewise."""
    options: dict[str, Any]
    """That it was exported with; see the format's options."""
    tools: dict[str, str]
    """Versions of the packages that made it."""
    provenance: Provenance
    """Where it comes from; the same stands in the file's own metadata."""
    pairing_id: str
    """What an encoder and a decoder must share to be used together."""
    lint: FileLint
    """What the rules of the devices say about it, and its peak of activation memory."""
    delegation: Delegation | None = None
    """How much of it a delegate runs; null where the format has no delegates that are chosen beforehand."""
    stored_weights: dict[str, int] = field(default_factory=dict)
    """How many numbers of its weights are stored in each dtype, counted in the file; empty where it does not tell."""

    @property
    def coverage(self) -> float | None:
        """Share of the weights that are stored in 8 bits or fewer; None where the file does not tell."""
        whole = sum(self.stored_weights.values())
        small = sum(count for dtype, count in self.stored_weights.items() if dtype in SMALL_DTYPES)
        return small / whole if whole else None

    @classmethod
    def of(cls, path: Path, stage: Stage, backend: Format[Any], options: Options, provenance: Provenance) -> Self:
        """Of a file that was just exported.

        Args:
            path: where it lies now.
            stage: as the contract has it.
        """
        interface = backend.interface(stage, options)
        return cls(
            path.name,
            sha256(path),
            size_bytes(path),
            [Tensor.of(spec) for spec in interface.inputs],
            [Tensor.of(spec) for spec in interface.outputs],
            options.recorded(),
            versions(*_TOOLS, *backend.requires),
            provenance,
            provenance.pairing_id,
            lint_file(path, backend),
            backend.delegation(path),
            backend.stored_weights(path),
        )


@dataclass(frozen=True, kw_only=True)
class ExportFacts:
    """One export: its files, and what the judge found about them together."""

    schema: int = SCHEMA
    """Version of this format."""
    format: str
    """As on the command line."""
    precision: str
    """As on the command line."""
    rules: Rules
    """What a caller must know besides the tensors: how images, prompts and masks pass in and out."""
    files: dict[str, FileFacts]
    """By stage."""
    parity: ParityReport
    """What the judge found when it was exported; also ``passed``, and every failure in words in ``failures``."""

    @property
    def name(self) -> str:
        """Of the export's folder."""
        return export_name(self.format, self.precision)

    def options(self, stage: str, origin: Path = Path(FILE_NAME)) -> Options:
        """That the file of a stage was exported with.

        Args:
            stage: one of `files`.
            origin: where the facts were read, for the message.

        Raises:
            ContractError: if they are not those of the format.
        """
        kind = describe_format(self.format).options
        options: Options = convert(self.files[stage].options, kind, origin, "a format's options")
        return options

    def as_json(self) -> dict[str, Any]:
        """For a file; see `read`."""
        return {**asdict(self), "parity": self.parity.as_dict()}


def export_name(format_name: str, precision: str) -> str:
    """Name of one export, which is that of its folder."""
    return f"{format_name}-{precision}"


def read(folder: Path) -> ExportFacts:
    """The facts of the export that lies in ``folder``.

    Raises:
        ContractError: if they are missing, damaged, or of another release's schema.
    """
    path = folder / FILE_NAME
    return parse(read_json(path, _WHAT), path)


def parse(content: Any, origin: Path) -> ExportFacts:
    """The facts in JSON that was read from ``origin``.

    Raises:
        ContractError: as `read`.
    """
    schema = content.get("schema") if isinstance(content, Mapping) else None
    if schema != SCHEMA:
        raise ContractError(f"{origin} is of schema {schema!r} and this lightsam reads {SCHEMA}: export it again")
    facts = convert(content, ExportFacts, origin, _WHAT)
    if facts.format not in FORMATS or facts.precision not in describe_format(facts.format).options.precisions():
        raise ContractError(f"{origin} is about {facts.name}, which this lightsam does not know: update it")
    for stage, file in facts.files.items():
        if stage not in STAGE_NAMES:
            raise ContractError(f"{origin} lists a stage {stage!r}; the stages are: {', '.join(STAGE_NAMES)}")
        _check_name(file.path, origin)
        check_contract(file.provenance.contract_version, f"{origin}: the {stage}")
        facts.options(stage, origin)
    if not facts.files:
        raise ContractError(f"{origin} lists no file: export it again with --overwrite")
    return facts


def write(folder: Path, facts: ExportFacts) -> None:
    """Put the facts beside the files.

    Raises:
        WriteError: if the system refuses.
    """
    write_text(folder / FILE_NAME, json.dumps(facts.as_json(), indent=2, allow_nan=False) + "\n")


def versions(*packages: str) -> dict[str, str]:
    """Of packages by name; "unknown" for one that is not installed as a package."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a clone that was not installed
            found[package] = "unknown"
    return found


def _check_name(name: str, origin: Path) -> None:
    """Refuse a path that leaves the folder: what is read and hashed must be the export's own."""
    separators: Sequence[str] = ("/", "\\", ":", "\0")
    if name in ("", ".", "..") or any(separator in name for separator in separators):
        raise ContractError(f"{origin} lists the file {name!r}, which is not a name in its own folder")
