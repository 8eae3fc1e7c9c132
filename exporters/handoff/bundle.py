"""What an app developer is handed, as a folder or a ZIP archive: model files, code, licenses, card and golden answers.

The same export gives the same bytes: nothing of the day or the machine goes in.
"""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lightsam.errors import ArtifactExistsError, UsageError
from lightsam.files import WriteError, ensure_writable, reason, replace_folder, replacing, write_text
from lightsam_exporters.loading import Export

from . import answers, card, contents, licenses, readme
from .card import Measured
from .platforms import Platform

STEPS = 4
"""How often `bundle` reports a step."""
ARCHIVE = ".zip"
_PLACE = "{path}"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a ZIP archive can hold."""


@dataclass(frozen=True)
class BundleRequest:
    """What is handed over."""

    export: Export
    platform: Platform
    output: Path
    """A new folder, or a file that ends in ``.zip``."""
    url: str | None = None
    """Where the app downloads the model files from, with ``{path}``; None puts them into the bundle."""
    allow_untrained: bool = False
    weights_license: Path | None = None
    """A file with the text of the weights' license, where lightsam does not bring it."""
    measured: Measured = field(default_factory=Measured)
    """Of the card."""
    overwrite: bool = False

    @property
    def name(self) -> str:
        """Of the folder inside an archive."""
        return f"{self.export.model_folder.name}-{self.platform.name}"


@dataclass(frozen=True)
class Bundled:
    """What was written."""

    path: Path
    """The folder or archive."""
    visit_bytes: int | None
    """Of a site: what its visitor downloads. None for an app."""


def bundle(request: BundleRequest, on_step: Callable[[str], None] = lambda _: None) -> Bundled:
    """Put a bundle together, and move it into place when it is whole.

    Args:
        on_step: told what begins.

    Raises:
        UsageError: for an export that cannot be handed over so, or an output that cannot be.
        ArtifactExistsError: if the output is there and may not be replaced.
        ContractError: for an export of one stage, rejected, damaged or changed.
        PackageError: if what the code runs on cannot be had from npm.
        WriteError: if the system refuses; what was there before stays.
    """
    on_step(f"checking {request.export.folder}")
    _check(request)
    license_text = licenses.weights_text(request.export.provenance, request.weights_license)
    on_step("asking the files for golden answers")
    asked = answers.ask(request.export)
    ensure_writable(request.output.parent)
    with _staging(request.output.parent) as temporary:
        on_step("putting the bundle together")
        folder = temporary / request.name
        about = contents.put(request.export, request.platform, folder, request.url)
        visit = contents.visit_bytes(about, request.platform, folder)
        answers.write(asked, folder / request.platform.answers)
        drawn = {name: f"images/{file}" for name, file in answers.draw(asked, folder / "images").items()}
        write_text(folder / "LICENSE.txt", licenses.code_text())
        write_text(folder / "WEIGHTS_LICENSE.txt", license_text)
        where = f"{request.platform.answers}/{answers.FILE_NAME}"
        write_text(folder / card.FILE_NAME, card.card(request.export, about, drawn, where, request.measured))
        write_text(
            folder / readme.FILE_NAME, readme.readme(about, request.platform, request.platform.needs(request.export))
        )
        on_step(f"writing {request.output}")
        _install(folder, request)
    return Bundled(request.output, visit)


def _check(request: BundleRequest) -> None:
    """Refuse what must not reach an app, before any work."""
    contents.check(request.export, request.platform, allow_untrained=request.allow_untrained)
    if request.url is not None and _PLACE not in request.url:
        raise UsageError(f"the address {request.url} has no {_PLACE}, which stands for a file's path")
    _check_output(request)


def _check_output(request: BundleRequest) -> None:
    output = request.output
    if not os.path.lexists(output):
        return
    if output.suffix == ARCHIVE and output.is_dir():
        raise UsageError(f"{output} is a folder: give the name of a file")
    if output.suffix != ARCHIVE and not output.is_dir():
        raise UsageError(f"{output} is a file: give a name that ends in {ARCHIVE}, or a new folder")
    if not request.overwrite:
        raise ArtifactExistsError(f"{output} is there already: give --overwrite to replace it, or another name")
    if output.is_dir() and any(output.iterdir()) and not (output / card.FILE_NAME).is_file():
        raise UsageError(f"{output} is a folder that lightsam did not write, and is not replaced: give another name")


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same file system, gone at the end.

    Raises:
        WriteError: if the system refuses (a full disk, say).
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".bundle-", dir=folder, ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(f"cannot write the bundle to {folder}: {reason(error)}") from error


def _install(folder: Path, request: BundleRequest) -> None:
    """Bring the finished folder to its place, as it is or as an archive."""
    output = request.output
    if output.suffix == ARCHIVE:
        with replacing(output) as temporary:
            _write_archive(folder, temporary)
        return
    replace_folder(folder, output, folder.parent / ".previous")  # which goes with the temporary folder


def _write_archive(folder: Path, path: Path) -> None:
    """All files in the order of their names, without dates and owners."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for file in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, whatever it was written on
            with file.open("rb") as content, archive.open(entry, "w") as packed:
                shutil.copyfileobj(content, packed, 1 << 20)
