"""The files that a record of edges is shown in: a plot, or a page around it."""

from collections.abc import Callable

from .page import as_html
from .plots import curve
from .record import Record

WRITERS: dict[str, Callable[[Record], str]] = {".svg": curve, ".html": lambda record: as_html([record])}
