"""Where downloaded checkpoints are kept, and how they are checked against their hash.

Each set of weights has a folder of its own in the cache: the checkpoint, and ``sha256`` with the digest that it must
have where none is published: that of the first download, or of what was imported.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from lightsam.errors import CheckpointError
from lightsam.files import ensure_writable, write_text
from lightsam.models import ModelCard, WeightSet
from lightsam.models.card import OFFICIAL, Download
from lightsam.weights.folder import cache_root


def cache_folder(card: ModelCard, chosen: WeightSet) -> Path:
    """Folder of a set of weights."""
    folder = cache_root() / card.name
    return folder if chosen.name == OFFICIAL else folder / chosen.name


def checkpoint_path(card: ModelCard, chosen: WeightSet) -> Path:
    """Where the checkpoint is or would be."""
    return cache_folder(card, chosen) / chosen.file_name


def is_cached(card: ModelCard, chosen: WeightSet) -> bool:
    """Whether the checkpoint is there; its hash is not looked at."""
    return checkpoint_path(card, chosen).is_file()


def published_sha256(chosen: WeightSet) -> str | None:
    """Digest of the checkpoint itself, where the authors or their distributors publish one."""
    digests = (source.sha256 for source in chosen.sources if isinstance(source, Download))
    return next((digest for digest in digests if digest is not None), None)


def expected_sha256(card: ModelCard, chosen: WeightSet) -> str | None:
    """The published digest, or the one that was recorded; None if there is neither."""
    published = published_sha256(chosen)
    recorded = _record(card, chosen)
    if published is not None or not recorded.is_file():
        return published
    return recorded.read_text(encoding="utf-8").strip()


def record_sha256(card: ModelCard, chosen: WeightSet, digest: str) -> None:
    """Record the digest that the checkpoint must have from now on."""
    write_text(_record(card, chosen), f"{digest}\n")


def _record(card: ModelCard, chosen: WeightSet) -> Path:
    return cache_folder(card, chosen) / "sha256"


def file_sha256(path: Path) -> str:
    """Digest of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def name_of(card: ModelCard, chosen: WeightSet) -> str:
    """As `lightsam weights` takes it: the model, and after a colon the set, unless it is the official one."""
    return card.name if chosen.name == OFFICIAL else f"{card.name}:{chosen.name}"


def verify(card: ModelCard, chosen: WeightSet) -> str:
    """Check a cached checkpoint against its hash.

    Returns:
        Its sha256.

    Raises:
        CheckpointError: if it is not there, or is another file.
    """
    path, expected, name = checkpoint_path(card, chosen), expected_sha256(card, chosen), name_of(card, chosen)
    if not path.is_file():
        raise CheckpointError(f"the checkpoint of {name} is not cached: lightsam weights download {name}")
    found = file_sha256(path)
    if expected is not None and found != expected:
        raise CheckpointError(
            f"{path} has sha256 {found[:12]}... and must have {expected[:12]}...: it is damaged or was replaced; "
            f"delete it and run lightsam weights download {name}"
        )
    return found


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock ``folder`` against other processes that download to it, and remove what a killed one left.

    Raises:
        WriteError: if the cache cannot be written.
    """
    ensure_writable(folder)
    with FileLock(folder / ".lock"):
        for unfinished in folder.glob("tmp*"):  # pooch's temporary names
            unfinished.unlink()
        yield
