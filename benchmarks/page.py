"""Records of evaluations as one self-contained page: a section each, whatever kinds they are of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lightsam_exporters.html import render

from .tables import Table


def no_plot() -> Markup:
    """For a record without one."""
    return Markup()


@dataclass(frozen=True)
class Section:
    """What a page, or anything else for people, shows of one record."""

    heading: str
    """Of what kind it is."""
    data: str
    """Name of what was evaluated on."""
    created: str
    """ISO 8601, UTC."""
    tables: Sequence[Table]
    notes: Sequence[str]
    """What must be known of it, a line each."""
    remark: str
    """What the figures of its kind mean."""
    plot: Callable[[], Markup] = no_plot
    """Draws it as SVG, for a page alone; raises FormatUnavailableError if matplotlib is not installed."""


def as_page(sections: Sequence[Section], groups: Mapping[str, Sequence[Any]] | None = None) -> str:
    """Tables, plots, and what must be known of every record.

    Args:
        groups: the worst answers of `quality.page`, by their titles.

    Raises:
        FormatUnavailableError: if a plot is to be drawn, and matplotlib is not installed.
    """
    first, *others = dict.fromkeys(section.heading for section in sections)
    return render(
        __package__,
        heading=", ".join([first, *(f"{other[0].lower()}{other[1:]}" for other in others)]),
        sections=sections,
        groups=groups or {},
        remarks=list(dict.fromkeys(section.remark for section in sections)),
    )
