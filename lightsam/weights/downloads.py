"""Checkpoints over HTTP."""

import logging
from pathlib import Path
from typing import Any, Protocol

from lightsam.errors import CheckpointError, CheckpointUnavailableError
from lightsam.files import WriteError, reason

TIMEOUTS_S = (10, 60)
"""To connect, and between two pieces of a download."""
RETRIES = 2
"""Fresh attempts after a connection that broke, or a file of another hash. A host that cannot be reached has none."""


class ProgressBar(Protocol):
    """Shows the progress of a download; pooch calls it."""

    total: int
    """Set when a response begins: the size in bytes, or 0 if the server does not say."""

    def update(self, size: int) -> None:
        """``size`` more bytes have arrived."""

    def reset(self) -> None:
        """Start again from zero: the attempt failed."""

    def close(self) -> None:
        """The download is over."""


class _UnreachableError(Exception):
    """No connection came about; not of a kind that pooch tries again."""


def download(url: str, path: Path, sha256: str | None, progress: ProgressBar | None = None) -> None:
    """Fetch a file. What arrives is written under another name, and takes its place when its hash is right.

    Args:
        sha256: what it must have; None if that is not known.

    Raises:
        CheckpointUnavailableError: if it cannot be fetched.
        CheckpointError: if what comes has another hash.
        WriteError: if the folder cannot be written.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.ERROR)  # what it says, the errors and the progress bar say
    fetcher = pooch.create(
        path=path.parent,
        base_url="",
        registry={path.name: sha256},
        urls={path.name: url},
        retry_if_failed=RETRIES,
        allow_updates=True,
    )
    http = pooch.HTTPDownloader(timeout=TIMEOUTS_S, progressbar=progress or False)
    try:
        fetcher.fetch(path.name, downloader=_without_hopeless_retries(http))
    except _UnreachableError as error:
        raise CheckpointUnavailableError(f"{url}: it cannot be reached") from error
    except requests.HTTPError as error:
        status = "with an error" if error.response is None else error.response.status_code
        raise CheckpointUnavailableError(f"{url}: the server answers {status}") from error
    except requests.Timeout as error:
        raise CheckpointUnavailableError(f"{url}: the server does not answer in time") from error
    except requests.exceptions.ChunkedEncodingError as error:
        why = "the connection breaks off before the file is complete"
        raise CheckpointUnavailableError(f"{url}: {why}") from error
    except requests.ConnectionError as error:
        raise CheckpointUnavailableError(f"{url}: the connection fails") from error
    except ValueError as error:  # pooch's word for another hash
        raise CheckpointError(f"{url}: the file has another sha256 than it should") from error
    except OSError as error:
        raise WriteError(f"cannot write to {path.parent}: {reason(error)}") from error
    finally:
        if progress is not None:  # pooch closes it after a success alone
            progress.close()


def _without_hopeless_retries(http: Any) -> Any:
    """A downloader for pooch that gives up at once if no connection can be made.

    A transfer that breaks off is worth another attempt. A name that does not resolve is not: it will not resolve a few
    seconds later.
    """
    import requests
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

    def fetch(url: str, output_file: str, pooch: Any) -> None:
        try:
            http(url, output_file, pooch)
        except requests.ConnectionError as error:
            cause = getattr(error.args[0] if error.args else None, "reason", None)
            if isinstance(cause, ConnectTimeoutError | NewConnectionError | ProxyError):
                raise _UnreachableError from error
            raise

    return fetch
