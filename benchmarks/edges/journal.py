"""A line of the journal of an evaluation of edges: what one subject did on one image."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from lightsam.version import __version__
from lightsam_benchmarks.journals import Form

from .matching import THRESHOLDS, TOLERANCE
from .recipe import Recipe
from .record import Image, fits

_WHAT = "the journal of an evaluation of edges"


def digest(recipe: Recipe, data_sha256: str) -> str:
    """Of everything that changes a count, but for the subjects' files, which each line carries itself."""
    return hashlib.sha256(repr((__version__, recipe, TOLERANCE, THRESHOLDS, data_sha256)).encode()).hexdigest()


@dataclass(frozen=True)
class Head:
    """The first line."""

    edges: str
    """`digest` of what is asked."""


@dataclass(frozen=True)
class Line:
    """What one subject did on one image."""

    subject: str
    sha256: str
    """Of its weights and files, and what runs them."""
    image: Image
    image_sha256: str = ""
    """Of the image's file."""

    @property
    def key(self) -> str:
        """Of the image."""
        return self.image.name


def form(run: str, images: Collection[str]) -> Form[Line]:
    """Of the journal of these images.

    Args:
        run: `digest` of what is asked.
        images: their names.
    """
    return Form(_WHAT, "it asks something else, or of other data", Head(run), Line, images, _check)


def _check(line: Line) -> None:
    if not fits(line.image.counts, len(THRESHOLDS)):
        raise ValueError(f"its line of {line.image.name} has not one count for each threshold")
