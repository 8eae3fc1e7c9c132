"""From a folder of artifacts to something that runs."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lightsam.errors import ContractError, UsageError
from lightsam.models import find_model
from lightsam.predictor import Predictor
from lightsam.stages import STAGE_NAMES
from lightsam.weights.checkpoints import Weights

from . import artifacts, facts, manifest
from .facts import ExportFacts
from .formats import find_format
from .formats.options import Options
from .formats.running import LoadedStage, RunOptions, check_pair
from .provenance import Provenance

_DEFAULT = RunOptions()


@dataclass(frozen=True)
class Export:
    """One export of a model, in its own folder."""

    folder: Path
    """Of the export itself."""
    facts: ExportFacts

    @property
    def name(self) -> str:
        """Such as ``onnx-float16``."""
        return self.facts.name

    @property
    def model_folder(self) -> Path:
        """With the model's other exports."""
        return self.folder.parent

    @property
    def format_name(self) -> str:
        return self.facts.format

    @property
    def precision(self) -> str:
        return self.facts.precision

    @property
    def provenance(self) -> Provenance:
        """Of its first file; those of a pair agree in all that makes them one."""
        return next(iter(self.facts.files.values())).provenance

    @property
    def weights(self) -> Weights:
        """What it was made from."""
        return self.provenance.weights_used

    @property
    def options(self) -> Options:
        """What the reference must be asked with: the decoder's options where there is one.

        Raises:
            ContractError: if they are not those of the format.
        """
        return self.facts.options(STAGE_NAMES[1] if STAGE_NAMES[1] in self.facts.files else STAGE_NAMES[0])

    @property
    def tools(self) -> dict[str, str]:
        """Versions of the packages that made its files."""
        return {name: version for file in self.facts.files.values() for name, version in file.tools.items()}

    def path(self, stage: str) -> Path | None:
        """File of a stage, or None if that stage was not exported."""
        file = self.facts.files.get(stage)
        return None if file is None else self.folder / file.path

    def missing_files(self) -> list[Path]:
        """Every file that is listed and is not there."""
        paths = [self.folder / file.path for file in self.facts.files.values()]
        return [path for path in paths if not path.exists()]

    def changed_files(self, stages: Collection[str] = STAGE_NAMES) -> list[str]:
        """A line for every file of these stages that is missing or not the one that was exported."""
        lines = []
        for stage, file in self.facts.files.items():
            if stage not in stages:
                continue
            path = self.folder / file.path
            if not path.exists():
                lines.append(f"{stage}: {path} is missing")
            elif artifacts.sha256(path) != file.sha256:
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
    """All exports of a model's folder, in the order of the formats; what a killed export left is put right first.

    Raises:
        ContractError: if there is none, or the facts of one cannot be read.
    """
    artifacts.recover(folder)
    there, broken = manifest.found_in(folder)
    if broken:
        raise broken[0]
    if not there:
        inside = sorted({found.parent.parent.name for found in folder.glob(f"*/*/{facts.FILE_NAME}")})
        hint = f"; did you mean one of its folders: {', '.join(inside)}?" if inside else ""
        raise ContractError(f"{folder} holds no export (no folder with an {facts.FILE_NAME}){hint}")
    manifest.refresh_if_possible(folder, there)
    return [Export(folder / name, one) for name, one in there.items()]


def find_exports(folder: Path, format_name: str | None = None, precision: str | None = None) -> list[Export]:
    """Every export that is asked for, all when nothing is; at least one.

    Args:
        folder: of a model, or of one export.
        format_name: this format alone.
        precision: likewise.

    Raises:
        ContractError: if there is no export, or the facts of one cannot be read.
        UsageError: if there is no such export; the message lists those that there are.
    """
    if not folder.exists() and any(folder.parent.glob(f"*/{facts.FILE_NAME}")):
        names = ", ".join(export.name for export in exports(folder.parent))
        raise UsageError(f"{folder.parent} holds no export {folder.name}; it holds: {names}")
    there = [Export(folder, facts.read(folder))] if is_export(folder) else exports(folder)
    found = [e for e in there if format_name in (None, e.format_name) and precision in (None, e.precision)]
    if not found:
        wanted = " ".join(filter(None, (format_name, precision))) or "any"
        names = ", ".join(export.name for export in there) or "nothing"
        raise UsageError(f"{folder} holds no {wanted} export; it holds: {names}")
    return found


def find_export(folder: Path, format_name: str | None = None, precision: str | None = None) -> Export:
    """The first of `find_exports`."""
    return find_exports(folder, format_name, precision)[0]


def is_export(path: Path) -> bool:
    """Whether ``path`` is the folder of one export."""
    return (path / facts.FILE_NAME).exists()


def load_pair(export: Export, how: RunOptions = _DEFAULT) -> tuple[LoadedStage, LoadedStage]:
    """Both stages of an export, checked to belong together.

    Raises:
        ContractError: if one is missing or damaged, or they are not a pair.
    """
    encoder, decoder = (export.load(stage, how) for stage in STAGE_NAMES)
    for name, loaded in zip(STAGE_NAMES, (encoder, decoder), strict=True):
        if loaded is None:
            raise ContractError(f"{export.folder} holds no {name}: export it with --stage {name}")
    assert encoder is not None  # both were looked at above
    assert decoder is not None
    check_pair(encoder, decoder)
    return encoder, decoder


def load_predictor(
    folder: str | Path, *, format_name: str | None = None, precision: str | None = None, how: RunOptions = _DEFAULT
) -> Predictor:
    """A predictor that runs exported files.

    Args:
        folder: of a model, such as ``artifacts/mobile_sam``, or of one export of it.
        format_name: such as "coreml"; None for the first that there is.
        precision: likewise.
        how: unit, numerics, threads.

    Raises:
        ContractError: if there is no export, or a file is damaged or not the other's pair.
        UsageError: if there is no such export.
    """
    return predictor_of(*load_pair(find_exports(Path(folder), format_name, precision)[0], how))


def predictor_of(encoder: LoadedStage, decoder: LoadedStage) -> Predictor:
    """A predictor that runs two stages which belong together.

    Raises:
        UsageError: if their model is not in the registry.
    """
    about = encoder.provenance
    model = find_model(about.model).skeleton(about.image_size)
    return Predictor(
        encoder,
        decoder,
        model.rules,
        point_slots=decoder.provenance.point_slots,
    )
