"""What each format can be timed on, and which of it is here: PyTorch, every format, a browser, phones on a cable."""

from lightsam.errors import FormatUnavailableError
from lightsam_exporters.formats import FORMATS, describe_format, find_format
from lightsam_exporters.formats.quiet import import_quietly

from . import browser, iphone, pytorch

TIMED = (pytorch.NAME, *FORMATS)
STAGES_ALONE = (*iphone.UNITS, *browser.UNITS)
"""Units outside of Python, which run one file at a time: what an image costs there is for an app to measure."""


def units_of(format_name: str) -> tuple[str, ...]:
    """Names of the units that a format can be asked to run on; its packages need not be installed.

    Raises:
        UsageError: if there is no such format.
    """
    if format_name == pytorch.NAME:
        return pytorch.UNITS
    phones = iphone.UNITS if format_name == iphone.FORMAT else ()
    browsers = browser.UNITS if format_name == browser.FORMAT else ()
    return (*describe_format(format_name).units, *phones, *browsers)


def why_not(format_name: str, unit: str) -> str:
    """Why a format cannot be timed on a unit here, in a sentence; empty if it can."""
    if unit not in units_of(format_name):
        return f"{format_name} has no unit {unit}; it has: {', '.join(units_of(format_name))}"
    if format_name == pytorch.NAME:
        return "" if pytorch.is_here(unit) else f"torch finds no {unit} device"
    try:
        found = find_format(format_name)
        return browser.why_not() if unit in browser.UNITS else found.why_not(unit)
    except FormatUnavailableError as error:
        return str(error)


def why_not_by_default(format_name: str, unit: str) -> str:
    """Why a format is not timed on a unit unless it is asked for by name, in a sentence; empty if it is."""
    unasked = "" if format_name == pytorch.NAME else describe_format(format_name).why_not_unasked()
    return unasked or why_not(format_name, unit)


def default_units(format_name: str) -> tuple[str, ...]:
    """What is timed unless something is asked for: all that is here in Python, but what needs minutes a call."""
    units = (unit for unit in units_of(format_name) if unit not in STAGES_ALONE)
    return tuple(unit for unit in units if not why_not_by_default(format_name, unit))


def is_threaded(format_name: str) -> bool:
    """Whether a format's runtime can be told how many threads to use."""
    return format_name == pytorch.NAME or describe_format(format_name).threaded


def import_runtime(format_name: str) -> None:
    """Bring in a runtime's library, so that loading a file is not timed with it."""
    import_quietly("torch" if format_name == pytorch.NAME else describe_format(format_name).runtime)
