"""Files that come from the disk, and not from the system's memory of them."""

import os
from collections.abc import Iterable
from pathlib import Path

from lightsam_exporters import artifacts


def evict(paths: Iterable[Path]) -> bool:
    """Ask the system to forget what it has cached of files; whether it can be asked at all."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for file in (file for path in paths for file in artifacts.files_of(path)):
        with file.open("rb") as content:
            os.fsync(content.fileno())  # what is not on the disk yet cannot be forgotten
            os.posix_fadvise(content.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True
