"""From a folder of artifacts to something that runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError, UsageError
from lightsam.predictor import Predictor
from lightsam.stages import STAGE_NAMES
from lightsam.weights.checkpoints import Weights

from . import manifest
from .artifacts import sha256
from .formats import find_format
from .formats.base import LoadedStage, RunOptions, check_pair

_DEFAULT = RunOptions()


@dataclass(frozen=True)
class Export:
    """One entry of a manifest: a format and precision of a model."""

    folder: Path
    name: str
    entry: dict[str, Any]

    @property
    def format_name(self) -> str:
        return str(self.entry["format"])

    @property
    def precision(self) -> str:
        return str(self.entry["options"]["precision"])

    @property
    def weights(self) -> Weights:
        """What it was made from."""
        return Weights(**self.entry["weights"])

    def path(self, stage: str) -> Path | None:
        """File of a stage, or None if that stage was not exported."""
        file = self.entry["files"].get(stage)
        return None if file is None else self.folder / file["path"]

    def missing_files(self) -> list[Path]:
        """Every file that is listed and is not there."""
        paths = [self.folder / file["path"] for file in self.entry["files"].values()]
        return [path for path in paths if not path.exists()]

    def changed_files(self) -> list[str]:
        """A line for every file that is missing or not the one that was exported."""
        lines = []
        for stage, file in self.entry["files"].items():
            path = self.folder / file["path"]
            if not path.exists():
                lines.append(f"{stage}: {path} is missing")
            elif sha256(path) != file["sha256"]:
                lines.append(f"{stage}: {path} has changed since it was exported (its sha256 is another)")
        return lines

    def load(self, stage: str, how: RunOptions = _DEFAULT) -> LoadedStage | None:
        """Read a stage back; None if it was not exported.

        Raises:
            ContractError: if the file is damaged or is another stage.
        """
        path = self.path(stage)
        if path is None:
            return None
        loaded = find_format(self.format_name).load(path, stage, how)
        if loaded.stage != stage:
            raise ContractError(f"{path} is listed as the {stage} and says of itself that it is the {loaded.stage}")
        return loaded


def exports(folder: Path) -> list[Export]:
    """All exports of a model's folder.

    Raises:
        ContractError: if there is no manifest, or it cannot be read.
    """
    return [Export(folder, name, entry) for name, entry in manifest.read(folder)["exports"].items()]


def find_exports(folder: Path, format_name: str | None = None, precision: str | None = None) -> list[Export]:
    """Every export that is asked for, all when nothing is; at least one.

    Raises:
        ContractError: if there is no manifest.
        UsageError: if there is no such export; the message lists those that there are.
    """
    there = exports(folder)
    found = [e for e in there if format_name in (None, e.format_name) and precision in (None, e.precision)]
    if not found:
        wanted = " ".join(filter(None, (format_name, precision))) or "any"
        names = ", ".join(export.name for export in there) or "nothing"
        raise UsageError(f"{folder} holds no {wanted} export; it holds: {names}")
    return found


def find_export(folder: Path, format_name: str | None = None, precision: str | None = None) -> Export:
    """The first of `find_exports`."""
    return find_exports(folder, format_name, precision)[0]


def exports_at(path: Path, format_name: str | None = None, precision: str | None = None) -> list[Export]:
    """Every export of a model's folder that is asked for, or the one whose own folder ``path`` is.

    Raises:
        ContractError: if there is no manifest.
        UsageError: if there is no such export; the message lists those that there are.
    """
    if not (path / manifest.FILE_NAME).exists() and (path.parent / manifest.FILE_NAME).exists():
        return [entry for entry in exports(path.parent) if entry.name == path.name] or find_exports(
            path.parent, path.name
        )
    return find_exports(path, format_name, precision)


def load_pair(export: Export, how: RunOptions = _DEFAULT) -> tuple[LoadedStage, LoadedStage]:
    """Both stages of an export, checked to belong together.

    Raises:
        ContractError: if one is missing or damaged, or they are not a pair.
    """
    encoder, decoder = (export.load(stage, how) for stage in STAGE_NAMES)
    for name, loaded in zip(STAGE_NAMES, (encoder, decoder), strict=True):
        if loaded is None:
            raise ContractError(f"{export.folder} holds no {name} of {export.name}: export it with --stage {name}")
    assert encoder is not None  # both were looked at above
    assert decoder is not None
    check_pair(encoder, decoder)
    return encoder, decoder


def load_predictor(
    folder: str | Path, *, format_name: str | None = None, precision: str | None = None, how: RunOptions = _DEFAULT
) -> Predictor:
    """Prediction prompts with exported files.

    Args:
        folder: with the manifest, such as ``artifacts/mobile_sam``.
        format_name: such as "coreml"; None for the first that there is.
        precision: likewise.
        how: compute units, numerics.

    Raises:
        ContractError: if there is no manifest, or a file is damaged or not the other's pair.
        UsageError: if there is no such export.
    """
    return predictor_of(*load_pair(find_export(Path(folder), format_name, precision), how))


def predictor_of(encoder: LoadedStage, decoder: LoadedStage) -> Predictor:
    """Prediction prompts with two stages that belong together."""
    return Predictor(encoder, decoder, encoder.provenance.image_size, decoder.provenance.point_slots)
