"""Published checkpoints: where they are kept, how they get there, and how they are held to their hash.

Each has a folder of its own in the cache: the file, and ``sha256`` with the digest that it must have. Where the authors
publish none, the digest of the first download is recorded there, and later ones are held to it.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from lightsam.errors import CheckpointError
from lightsam.files import WriteError, ensure_writable, reason, replacing
from lightsam.models import ModelCard

CACHE_VARIABLE = "LIGHTSAM_CACHE"
"""Environment variable with the folder to use instead of the platform's own cache folder."""
TIMEOUTS_S = (10, 60)
"""To connect, and between two pieces of a download."""
RETRIES = 2
"""Fresh attempts after a connection that broke, or a file of another hash."""


class ProgressBar(Protocol):
    """What pooch tells of a download."""

    total: int
    """Set when a response begins: the size in bytes, or 0 if the server does not say."""

    def update(self, size: int) -> None:
        """``size`` more bytes are there."""

    def reset(self) -> None:
        """All that came so far did not count."""

    def close(self) -> None:
        """The download is over."""


def cache_folder(card: ModelCard) -> Path:
    """Folder of a model's checkpoint: below the platform's cache folder, or below that of LIGHTSAM_CACHE."""
    import pooch

    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("lightsam")) / card.name


def checkpoint_path(card: ModelCard) -> Path:
    """Where the published checkpoint is or would be."""
    return cache_folder(card) / Path(card.checkpoint.url).name


def is_cached(card: ModelCard) -> bool:
    """Whether the published checkpoint is there; its hash is not looked at."""
    return checkpoint_path(card).is_file()


def expected_sha256(card: ModelCard) -> str | None:
    """The published digest, or that of the first download; None if there is neither."""
    recorded = cache_folder(card) / "sha256"
    if card.checkpoint.sha256 is not None or not recorded.is_file():
        return card.checkpoint.sha256
    return recorded.read_text().strip()


def file_sha256(path: Path) -> str:
    """Digest of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def verify(card: ModelCard) -> str:
    """Hold the cached checkpoint to its hash.

    Returns:
        Its sha256.

    Raises:
        CheckpointError: if it is not there, or is another file.
    """
    path, expected = checkpoint_path(card), expected_sha256(card)
    if not path.is_file():
        raise CheckpointError(f"the checkpoint of {card.name} is not cached: lightsam weights download {card.name}")
    found = file_sha256(path)
    if expected is not None and found != expected:
        raise CheckpointError(
            f"{path} has sha256 {found[:12]}... and must have {expected[:12]}...: it is damaged or was replaced; "
            f"delete it and run lightsam weights download {card.name}"
        )
    return found


def download(card: ModelCard, progress: ProgressBar | None = None) -> Path:
    """The published checkpoint: from the cache, or from its source.

    One process at a time: a second one waits, and then finds the file. What arrives is written under another name, and
    takes its place when its hash is right.

    Raises:
        CheckpointError: if it cannot be fetched, or is not the file that it should be.
        WriteError: if the cache cannot be written.
    """
    import pooch
    import requests

    path, url = checkpoint_path(card), card.checkpoint.url
    pooch.get_logger().setLevel(logging.ERROR)  # what it says, the errors and the progress bar say
    with _alone(path):
        if path.is_file():
            verify(card)
            return path
        fetcher = pooch.create(
            path=path.parent,
            base_url="",
            registry={path.name: expected_sha256(card)},
            urls={path.name: url},
            retry_if_failed=RETRIES,
            allow_updates=True,
        )
        downloader = pooch.HTTPDownloader(timeout=TIMEOUTS_S, progressbar=progress or False)
        try:
            fetcher.fetch(path.name, downloader=downloader)
        except requests.HTTPError as error:
            status = "with an error" if error.response is None else error.response.status_code
            raise _unavailable(card, f"the server answers {status}") from error
        except requests.Timeout as error:
            raise _unavailable(card, "the server does not answer in time") from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise _unavailable(card, "the connection breaks off before the file is complete") from error
        except requests.ConnectionError as error:
            raise _unavailable(card, "it cannot be reached") from error
        except ValueError as error:  # pooch's word for another hash
            raise _unavailable(card, "what comes has another sha256 than it should") from error
        except OSError as error:
            raise WriteError(f"cannot write to {path.parent}: {reason(error)}") from error
        finally:
            if progress is not None:  # pooch closes it after a success alone
                progress.close()
        if expected_sha256(card) is None:
            with replacing(path.parent / "sha256") as record:
                record.write_text(file_sha256(path) + "\n")
    return path


def _unavailable(card: ModelCard, why: str) -> CheckpointError:
    return CheckpointError(f"the checkpoint of {card.name} cannot be had from {card.checkpoint.url}: {why}")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only process that fetches ``path``, and clear up after one that was killed."""
    ensure_writable(path.parent)
    with FileLock(path.parent / ".lock"):
        for unfinished in path.parent.glob("tmp*"):  # pooch's temporary names
            unfinished.unlink()
        yield
