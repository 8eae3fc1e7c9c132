"""The files of a folder, whoever made them, and what the rules say about each."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightsam.errors import UsageError
from lightsam.stages import STAGE_NAMES
from lightsam_exporters.formats import FORMATS, describe_format, find_format
from lightsam_exporters.formats.base import Format
from lightsam_exporters.formats.listing import Graph

from .check import FileLint, lint_graphs

SCHEMA = 1
"""Raised when a field changes its name or meaning."""
_DEPTH = 2
"""Folders below the one that is named: a model's has one for each export."""
_REJECTED = ".rejected"


@dataclass(frozen=True)
class LintedFile:
    """One file."""

    path: str
    """As it was found."""
    format: str
    """As on the command line."""
    lint: FileLint
    """What the rules say."""


@dataclass(frozen=True, kw_only=True)
class LintReport:
    """What ``lightsam lint --json`` prints."""

    schema: int = SCHEMA
    """Version of this format."""
    files: list[LintedFile]
    """In the order of their paths."""

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def find_files(path: Path, format_name: str | None = None) -> list[tuple[Path, Format[Any]]]:
    """A file, or the files of a folder and of its folders, with their formats.

    Folders of rejected exports, and those whose names begin with a dot, are left out.

    Raises:
        UsageError: if there is none, or no such format.
        FormatUnavailableError: if the packages of a format are not installed.
    """
    suffixes = _suffixes() if format_name is None else {_suffix(describe_format(format_name)): format_name}
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}")
    found = _below(path, suffixes, _DEPTH)
    if not found:
        kind = "is no" if path.is_file() else "holds no"
        raise UsageError(f"{path} {kind} file that can be read: {', '.join(suffixes)}")
    return [(one, find_format(suffixes[one.suffix])) for one in found]


def lint_files(
    files: Sequence[tuple[Path, Format[Any]]],
    devices: Sequence[str] = (),
    on_file: Callable[[str], None] = lambda _: None,
) -> list[tuple[LintedFile, tuple[Graph, ...]]]:
    """Read each file and ask the rules about it; gives the operations that were read, too.

    Args:
        files: as `find_files` gives them.
        devices: whose rules are asked; for each file those of its format's default unit if none is named.
        on_file: progress callback: receives the path of the file that is read.

    Raises:
        ContractError: if one is damaged.
        UsageError: if these devices have no rule about any of the files.
    """
    linted = []
    for path, backend in files:
        on_file(f"reading {path}")
        graphs = backend.listing(path)
        linted.append((LintedFile(str(path), backend.name, lint_graphs(graphs, devices or backend.devices)), graphs))
    if devices and not any(one.lint.devices for one, _ in linted):
        formats = ", ".join(sorted({one.format for one, _ in linted}))
        raise UsageError(f"{', '.join(devices)} has no rules about {formats} files: choose another --target")
    return linted


def _suffix(backend: Format[Any]) -> str:
    return Path(backend.file_name(STAGE_NAMES[0])).suffix


def _suffixes() -> dict[str, str]:
    """The name of a format by the suffix of its files."""
    return {_suffix(describe_format(name)): name for name in FORMATS}


def _below(path: Path, suffixes: dict[str, str], depth: int) -> list[Path]:
    if path.suffix in suffixes:
        return [path]
    if not path.is_dir() or depth < 0:
        return []
    inside = sorted(one for one in path.iterdir() if not one.name.startswith("."))
    return [one for each in inside if each.suffix != _REJECTED for one in _below(each, suffixes, depth - 1)]
