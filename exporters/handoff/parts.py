"""Where the code lies that app developers are handed, in a clone and beside the installed package."""

from importlib.resources import files
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
"""The clone, where lightsam runs from one."""
_INSTALLED = "parts"
VECTORS = "vectors"
"""The part that holds the golden vectors."""
WEB = "web"
"""The part for browsers."""


def part(name: str) -> Path:
    """The folder of a part: beside the installed package, or in the clone that lightsam runs from."""
    installed = Path(str(files("lightsam_exporters"))) / "handoff" / _INSTALLED / name
    if installed.is_dir():
        return installed
    return _PROJECT / ("tests/vectors" if name == VECTORS else name)
