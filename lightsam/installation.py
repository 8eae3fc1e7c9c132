"""How this copy of lightsam was installed, so that an error message names a command that works for it."""

import shutil
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent.parent


def install_command(extra: str) -> str:
    """The command that adds an extra to this copy, in whatever folder it is typed.

    A clone is installed again from its folder. Of a copy in site-packages pip knows the extras already, by the name of
    the package, and asks no index for it. The double quotes are those that every shell understands.
    """
    what = f'"lightsam[{extra}]"' if _is_installed(_HERE) else f'-e "{_HERE}[{extra}]"'
    return f"{_pip()} install {what}"


def _is_installed(folder: Path) -> bool:
    """Whether lightsam was copied into this folder: in a clone, exporters/ does not have its installed name."""
    return (folder / "lightsam_exporters").is_dir()


def _pip() -> str:
    """Pip of the environment that runs this: by its name alone only where a shell finds that very one."""
    found = shutil.which("pip")
    beside = found is not None and Path(found).parent == Path(sys.executable).parent
    return "pip" if beside else f"{sys.executable} -m pip"
