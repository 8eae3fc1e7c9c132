"""Self-contained HTML pages: one theme for all of them."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup


def render(package: str, filters: Mapping[str, Callable[..., Any]] | None = None, /, **content: Any) -> str:
    """Fill ``data/report.html`` of a package, whose ``theme`` is the style sheet.

    Args:
        package: as ``__package__`` of the caller.
        filters: of the template, by name.
        content: what the template shows; text in it is escaped.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters.update(filters or {})
    template = environment.from_string((files(package) / "data" / "report.html").read_text(encoding="utf-8"))
    theme = Markup((files(__package__) / "data" / "theme.css").read_text(encoding="utf-8"))  # our own file
    return template.render(theme=theme, **content)
