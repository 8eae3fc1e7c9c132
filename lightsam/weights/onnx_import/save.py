"""Writing what was imported: never onto the files that it came from, and never silently over another checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from lightsam.errors import ArtifactExistsError, UsageError
from lightsam.files import ensure_writable, replacing
from lightsam.version import __version__
from lightsam.weights.cache import file_sha256
from lightsam.weights.state import write_state_dict

from .imported import Imported

SUFFIX = ".safetensors"


def check(output: Path, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse before any work what could not or should not be written.

    Raises:
        UsageError: for another suffix, or the place of an input.
        ArtifactExistsError: if there is such a file and it may not be overwritten.
        WriteError: if nothing can be written there.
    """
    if output.suffix != SUFFIX:
        raise UsageError(f"{output} does not end in {SUFFIX}, the one form that is written")
    if any(output.resolve() == path.resolve() for path in inputs):
        raise UsageError(f"{output} is one of the files that are imported: choose another --output")
    if output.is_dir():
        raise UsageError(f"{output} is a folder: give --output the name of a file in it")
    if output.exists() and not overwrite:
        raise ArtifactExistsError(f"{output} is there already: give --overwrite to replace it")
    ensure_writable(output.parent)


def write(output: Path, imported: Imported, model: str, inputs: Sequence[Path]) -> None:
    """Write the checkpoint, wholly or not at all; where it comes from stands in the file's own metadata.

    Raises:
        WriteError: if the system refuses.
    """
    origin = " and ".join(f"{path.name} (sha256 {file_sha256(path)})" for path in inputs)
    facts = {"model": model, "origin": origin, "psnr_db": f"{imported.worst_db:.1f}", "lightsam": __version__}
    with replacing(output) as temporary:
        write_state_dict(temporary, imported.state, facts)
