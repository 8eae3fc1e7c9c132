"""The first thing that is read of a bundle: how the code in it is used."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from .description import ModelDescription
from .platforms import Platform

FILE_NAME = "README.md"


def readme(about: ModelDescription, platform: Platform, systems: str) -> str:
    """The text for one platform, from ``data/readme-<platform>.md``.

    Args:
        about: the model.
        platform: whose code it introduces.
        systems: that the model needs, in words.
    """
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    source = (files(__package__) / "data" / f"readme-{platform.name}.md").read_text(encoding="utf-8")
    return environment.from_string(source).render(about=about, platform=platform, systems=systems).strip() + "\n"
