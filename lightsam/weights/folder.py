"""The folder of everything that is downloaded."""

import os
from pathlib import Path

CACHE_VARIABLE = "LIGHTSAM_CACHE"
"""Environment variable with the folder to use instead of the platform's own cache folder."""


def cache_root() -> Path:
    """The platform's cache folder of lightsam, or that of LIGHTSAM_CACHE."""
    import pooch

    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("lightsam"))
