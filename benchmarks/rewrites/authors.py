"""The authors' own code, from clones of their repositories: how it is found, and that it is exported as it is.

Nothing of it is part of this project. It runs in a process of its own, `authors_export`, with the weights of ours: the
names of their state dicts are the same.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lightsam.errors import BenchmarkError
from lightsam.models import ModelCard
from lightsam.stages import STAGE_NAMES

_TIMEOUT_S = 600


@dataclass(frozen=True)
class Repository:
    """Where a model is in its authors' repository."""

    url: str
    """Its last part is the folder of the clone."""
    inside: str
    """Folder in the clone that the package lies in."""
    package: str
    """With ``sam_model_registry``, and ``utils.onnx.SamOnnxModel``."""
    key: str
    """Of the registry."""


REPOSITORIES = {
    "mobile_sam": Repository("https://github.com/ChaoningZhang/MobileSAM", ".", "mobile_sam", "vit_t"),
    "repvit_sam": Repository("https://github.com/THU-MIG/RepViT", "sam", "repvit_sam", "repvit"),
}
"""By the model's name."""


class NotGivenError(BenchmarkError):
    """The authors' code is not there to be compared with, which is nobody's fault."""


class Authors:
    """The authors' files of every model: a pair for each, made when it is first asked for."""

    def __init__(self, folder: Path | None) -> None:
        """Begin with none.

        Args:
            folder: with the clones; None if there is none.
        """
        self.folder = folder
        self._made: dict[tuple[str, Path], dict[str, Path]] = {}

    def export(self, card: ModelCard, image_size: int, checkpoint: Path, folder: Path) -> dict[str, Path]:
        """The ONNX file of each stage.

        Args:
            card: of the model.
            image_size: theirs is fixed.
            checkpoint: our state dict, as torch saves it.
            folder: for the files.

        Raises:
            NotGivenError: if there is no clone, or no such model, or none of this size.
            BenchmarkError: if their code fails.
        """
        if (card.name, folder) not in self._made:
            repository = self._find(card, image_size)
            paths = {stage: folder / f"authors-{stage}.onnx" for stage in STAGE_NAMES}
            package = (self._clone(repository) / repository.inside, repository.package, repository.key)
            _run([*map(str, package), str(checkpoint), *map(str, paths.values())])
            self._made[card.name, folder] = paths
        return self._made[card.name, folder]

    def commit(self, model: str) -> str:
        """Of the clone; "" if it has none, or there is no clone."""
        repository = REPOSITORIES.get(model)
        if repository is None or self.folder is None:
            return ""
        command = ["git", "-C", str(self._clone(repository)), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout.strip()

    def _clone(self, repository: Repository) -> Path:
        assert self.folder is not None  # asked where there is one
        return self.folder / repository.url.rsplit("/", 1)[-1]

    def _find(self, card: ModelCard, image_size: int) -> Repository:
        repository = REPOSITORIES.get(card.name)
        if repository is None:
            raise NotGivenError(f"the authors' code of {card.name} is not one of: {', '.join(REPOSITORIES)}")
        if self.folder is None:
            raise NotGivenError("without --authors DIR, a folder with clones of the authors' repositories")
        if not self._clone(repository).is_dir():
            raise NotGivenError(f"{self._clone(repository)} is not there: git clone {repository.url}")
        if image_size != card.native_size:
            raise NotGivenError(f"the authors' code takes images of {card.native_size} pixels, not {image_size}")
        return repository


def _run(arguments: list[str]) -> None:
    command = [sys.executable, "-m", f"{__package__}.authors_export", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"the authors' code did not end in {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise BenchmarkError(f"the authors' code failed: {said[-1] if said else f'status {done.returncode}'}")
