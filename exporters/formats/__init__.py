"""The formats, one module each: this is their registry.

A new one is a module here whose ``FORMAT`` is a `base.Format`, its name in `FORMATS`, and an extra of that name.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lightsam.errors import FormatUnavailableError, UsageError

if TYPE_CHECKING:  # torch comes with them, and the command's help wants the names alone
    from .base import Format
    from .options import Options

FORMATS = ("coreml", "onnx", "tflite", "coreai", "executorch")
"""Every format is a module here and an extra of the same name."""


def describe_format(name: str) -> "Format[Any]":
    """The format called ``name``, to be asked about; its packages need not be installed.

    Raises:
        UsageError: if there is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}; the formats are: {', '.join(FORMATS)}")
    found: Format[Any] = import_module(f".{name}", __package__).FORMAT
    return found


def find_format(name: str) -> "Format[Any]":
    """The format called ``name``, to be worked with.

    Raises:
        UsageError: if there is no such format.
        FormatUnavailableError: if its packages are not installed; the message has the line that installs them.
    """
    found = describe_format(name)
    for package in found.requires:
        if find_spec(package) is None:
            raise FormatUnavailableError.for_extra(name, package)
    return found


def options_of(name: str, given: Mapping[str, Any] | None = None, /, **more: Any) -> "Options":
    """What is asked of an export to the format called ``name``: these values, and its defaults for the rest.

    Raises:
        UsageError: if there is no such format, it has no such option, or the value is not allowed.
    """
    try:
        options: Options = describe_format(name).options.of({**(given or {}), **more})
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
    return options
