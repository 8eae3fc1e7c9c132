"""What the judge asks: named, versioned suites of photographs and prompts, lightsam's own and a user's.

A suite is a JSON file, and images beside it; `SuiteFile` says what it holds, and docs/schemas/suite.json has its JSON
Schema:

    {"name": "default", "version": "1", "images": [
      {"name": "landscape", "file": "coffee.jpg", "crop": [x0, y0, x1, y1], "resize": [width, height], "cases": [
        {"name": "point", "points": [[x, y]], "labels": [1], "box": [x0, y0, x1, y1], "rounds": 2},
        {"name": "batch", "batch": [{"points": [[x, y]]}, {"box": [x0, y0, x1, y1]}]},
        {"name": "grid", "grid": 16}]}]}

The photographs of lightsam's own suites: "Coffee" by Rachel Michetti (Pikolo Espresso Bar) and "Chelsea" by Stefan van
der Walt, both CC0; "Astronaut" (NASA) and "Rocket" (SpaceX), both in the public domain; all from scikit-image.
"""

import hashlib
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from PIL import Image

from lightsam.documents import convert, read_json
from lightsam.errors import UsageError
from lightsam.prompts import Prompt
from lightsam.rules import PromptRules
from lightsam.transforms import open_image

QUICK = "quick"
"""What every export is judged by."""
DEFAULT = "default"
"""What ``lightsam parity`` asks unless told otherwise."""
NAMES = (QUICK, DEFAULT)
"""Suites that lightsam brings."""
_WHAT = "a suite of images and prompts"

_Side = Annotated[int, Meta(ge=1, le=2**15)]
_Coordinate = Annotated[int, Meta(ge=-(2**15), le=2**15)]
_Few = Annotated[int, Meta(ge=1, le=64)]


class PromptEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One prompt: points, a box, or both."""

    points: tuple[tuple[float, float], ...] = ()
    """x, y in pixels of the image after crop and resize."""
    labels: tuple[int, ...] = ()
    """Of each point: 1 foreground, 0 background; all foreground if there are none."""
    box: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1 in the same pixels."""

    @property
    def prompt(self) -> Prompt:
        """As the predictor takes it."""
        return Prompt(self.points, self.labels, self.box)


class CaseEntry(PromptEntry, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that a user does: a prompt, a batch of prompts, or a grid of points."""

    name: str
    rounds: _Few = 1
    """Predictions; each but the first is given the mask of the one before."""
    batch: tuple[PromptEntry, ...] | None = None
    """Several prompts in one call where a format allows; then there is no prompt beside it."""
    grid: _Few | None = None
    """n calls with n prompts each, a foreground point in every cell; then there is nothing else beside it."""


class ImageEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A photograph and what is asked about it."""

    name: str
    file: str
    """Path of the image, from the suite's folder."""
    cases: tuple[CaseEntry, ...]
    crop: tuple[_Coordinate, _Coordinate, _Coordinate, _Coordinate] | None = None
    """x0, y0, x1, y1 in pixels of the file; the first thing that is done."""
    resize: tuple[_Side, _Side] | None = None
    """Width and height in pixels; done after the crop."""


class SuiteFile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a suite's JSON file holds."""

    name: str
    version: str
    """Another one whenever what is asked changes."""
    images: tuple[ImageEntry, ...]
    about: str = ""
    """What it is for, for people."""


@dataclass(frozen=True)
class Case:
    """One thing that a user does."""

    name: str
    prompts: tuple[Prompt, ...]
    """Asked in one call where the format allows."""
    rounds: int = 1
    """Answers; each but the first is given the mask of the one before."""
    chain_only: bool = False
    """Whether the decoder alone is left out: for what would take long and tell no more."""

    def for_model(self, rules: PromptRules) -> "Case | None":
        """The case as a model can be asked it: once, if it takes no masks; None if it does not take the prompts."""
        if any(prompt.refusal(rules) for prompt in self.prompts):
            return None
        return self if rules.masks else replace(self, rounds=1)


@dataclass(frozen=True)
class SuiteImage:
    """A photograph and what is asked about it."""

    name: str
    image: Image.Image
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Suite:
    """Photographs and prompts under a name; a changed suite has another version."""

    name: str
    version: str
    images: tuple[SuiteImage, ...]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    @property
    def digest(self) -> str:
        """Of what is asked: every pixel and every prompt. A user's suite may change under the same name and version."""
        sha256 = hashlib.sha256()
        for image in self.images:
            sha256.update(f"{image.name} {image.image.size} {image.cases!r}\n".encode())
            sha256.update(image.image.tobytes())
        return sha256.hexdigest()


def load_suite(source: str | Path) -> Suite:
    """Read a suite.

    Args:
        source: the name of one of lightsam's own, a JSON file, or a folder of images, each of which is then asked
            about its middle.

    Raises:
        UsageError: if it does not exist or is no suite; the message has the place.
        ImageError: if an image cannot be read.
    """
    if source in NAMES:
        with as_file(files(__package__) / "data") as folder:
            return _read(folder / f"{source}.json")
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise UsageError(f"there is no suite {source}; give {' or '.join(NAMES)}, a JSON file, or a folder of images")
    return _read(path)


def _read(path: Path) -> Suite:
    content = convert(read_json(path, _WHAT, UsageError), SuiteFile, path, _WHAT, UsageError)
    suite = Suite(content.name, content.version, tuple(_image(entry, path) for entry in content.images))
    if not any(image.cases for image in suite.images):
        raise UsageError(f"{path} asks nothing: give every image at least one case")
    return suite


def _image(entry: ImageEntry, path: Path) -> SuiteImage:
    image = open_image(path.parent / entry.file)
    if entry.crop is not None:
        x0, y0, x1, y1 = entry.crop
        if not (x0 < x1 and y0 < y1):
            raise UsageError(f"{path} crops {entry.name} to {entry.crop}, which has no area: give x0, y0, x1, y1")
        image = image.crop(entry.crop)
    if entry.resize is not None:
        image = image.resize(entry.resize, Image.Resampling.BICUBIC)
    return SuiteImage(entry.name, image, tuple(case for given in entry.cases for case in _cases(given, image)))


def _cases(entry: CaseEntry, image: Image.Image) -> list[Case]:
    if entry.grid is not None:
        xs, ys = ((np.arange(entry.grid) + 0.5) / entry.grid * length for length in image.size)
        return [
            Case(
                f"{entry.name}, row {row + 1}",
                tuple(Prompt(points=[(float(x), float(y))]) for x in xs),
                chain_only=True,
            )
            for row, y in enumerate(ys)
        ]
    prompts = [entry] if entry.batch is None else entry.batch
    return [Case(entry.name, tuple(one.prompt for one in prompts), entry.rounds)]


def _of_folder(folder: Path) -> Suite:
    """A suite of every image of a folder: its middle by a point, by a box, and refined."""
    images = []
    for path in image_files(folder):
        images.append(about_middle(path.name, open_image(path)))
    if not images:
        raise UsageError(f"there is no image in {folder}")
    return Suite(folder.name, "1", tuple(images))


def image_files(folder: Path) -> list[Path]:
    """The files of a folder that Pillow can read, by their names."""
    known = Image.registered_extensions()
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in known)


def about_middle(name: str, image: Image.Image) -> SuiteImage:
    """An image, and what is asked about its middle: by a point, by a box, and refined."""
    width, height = image.size
    point = (width / 2, height / 2)
    box = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
    cases = (
        Case("point", (Prompt(points=[point]),)),
        Case("box", (Prompt(box=box),)),
        Case("refine", (Prompt(points=[point], box=box),), rounds=3),
    )
    return SuiteImage(name, image, cases)
