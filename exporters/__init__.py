"""Files of every format: how each is written, read back, judged and recorded.

Installed as ``lightsam_exporters``; one module a format, with ``export`` and ``load`` (see `base`).
"""

from importlib import import_module
from types import ModuleType

from lightsam.errors import FormatUnavailableError, UsageError

FORMATS = ("coreml",)
"""Every format is a module here and an extra of the same name."""


def find_format(name: str) -> ModuleType:
    """The module of the format called ``name``.

    Raises:
        UsageError: if there is no such format.
        FormatUnavailableError: if its packages are not installed; the message has the line that installs them.
    """
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; the formats are: {', '.join(FORMATS)}")
    module = import_module(f".{name}", __package__)
    for package in module.REQUIRES:
        try:
            import_module(package)
        except ModuleNotFoundError as error:
            # Only the package itself being absent means "not installed"; anything else is a fault to be seen.
            if error.name != package:
                raise
            raise FormatUnavailableError.for_extra(name, package) from error
    return module
