"""A line of the journal of an evaluation of instances: what one subject answered about one image of a set."""

from collections.abc import Mapping
from dataclasses import dataclass

from lightsam_benchmarks.journals import Form

_WHAT = "the journal of an evaluation of instances"


@dataclass(frozen=True)
class Head:
    """The first line of a journal."""

    run: str
    """sha256 of all that changes a mask, but for the subjects' weights and files, which each line carries."""


@dataclass(frozen=True)
class Line:
    """What one subject answered about one image."""

    subject: str
    sha256: str
    """Of its weights and files, and what runs them."""
    set: str
    image: str
    """File name."""
    masks: tuple[str, ...]
    """Compressed runs, in the order of the image's boxes."""
    not_finite: int
    """Answers with NaN or infinite logits."""

    image_sha256: str = ""
    """Of the image's file."""

    @property
    def key(self) -> str:
        """Of the image."""
        return key_of(self.set, self.image)


def key_of(name: str, image: str) -> str:
    """Of an image of the set ``name``: a set's name has no slash, so it is unique in the run."""
    return f"{name}/{image}"


def form(run: str, boxes: Mapping[str, int]) -> Form[Line]:
    """Of the journal of these images.

    Args:
        run: see `Head`.
        boxes: how many each image has, by its key.
    """

    def check(line: Line) -> None:
        if boxes[line.key] != len(line.masks):
            raise ValueError(f"its line of {line.image} has not one mask for each box")

    asks = "it asks something else, or of other images, annotations or boxes"
    return Form(_WHAT, asks, Head(run), Line, boxes, check)
