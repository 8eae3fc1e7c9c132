"""The formats: one module each, with what `base.Format` asks for; this is their registry.

A new one is a module here, its name in `FORMATS`, and an extra of that name.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from lightsam.errors import FormatUnavailableError, UsageError

if TYPE_CHECKING:
    from .base import Format, Precision

FORMATS = ("coreml", "onnx", "tflite", "coreai")
"""Every format is a module here and an extra of the same name."""


def _module(name: str) -> "Format":
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; the formats are: {', '.join(FORMATS)}")
    return cast("Format", import_module(f".{name}", __package__))


def default_precision(name: str) -> "Precision":
    """What the format called ``name`` is exported in unless asked otherwise; its packages need not be installed.

    Raises:
        UsageError: if there is no such format.
    """
    return _module(name).PRECISIONS[0]


def units_of(name: str) -> tuple[str, ...]:
    """What the format called ``name`` can be asked to run on; its packages need not be installed.

    Raises:
        UsageError: if there is no such format.
    """
    return _module(name).UNITS


def find_format(name: str) -> "Format":
    """The module of the format called ``name``.

    Raises:
        UsageError: if there is no such format.
        FormatUnavailableError: if its packages are not installed; the message has the line that installs them.
    """
    module = _module(name)
    for package in module.REQUIRES:
        if find_spec(package) is None:
            raise FormatUnavailableError.for_extra(name, package)
    return module
