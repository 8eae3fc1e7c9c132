"""What the judge asks: named, versioned suites of photographs and prompts, lightsam's own and a user's.

A suite is a JSON file, and images beside it:

    {"name": "default", "version": "1", "images": [
      {"name": "landscape", "file": "coffee.jpg", "crop": [x0, y0, x1, y1], "resize": [width, height], "cases": [
        {"name": "point", "points": [[x, y]], "labels": [1], "box": [x0, y0, x1, y1], "rounds": 2},
        {"name": "batch", "batch": [{"points": [[x, y]]}, {"box": [x0, y0, x1, y1]}]},
        {"name": "grid", "grid": 16}]}]}

Crop and resize are done in this order and may be left out; coordinates are pixels of what they give. ``rounds`` above 1
answers again with the earlier answer's mask as a prompt; ``batch`` is one call with several prompts where a format
allows; ``grid`` n is n calls with n prompts each, a foreground point in every cell.

The photographs of lightsam's own suites: "Coffee" by Rachel Michetti (Pikolo Espresso Bar) and "Chelsea" by Stefan van
der Walt, both CC0; "Astronaut" (NASA) and "Rocket" (SpaceX), both in the public domain; all from scikit-image.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lightsam.errors import LightSamError, UsageError
from lightsam.prompts import Prompt
from lightsam.transforms import open_image

QUICK = "quick"
"""What every export is judged by."""
DEFAULT = "default"
"""What ``lightsam parity`` asks unless told otherwise."""
NAMES = (QUICK, DEFAULT)
"""Suites that lightsam brings."""
_CASE_KEYS = {"name", "points", "labels", "box", "rounds", "batch", "grid"}
_IMAGE_KEYS = {"name", "file", "crop", "resize", "cases"}


@dataclass(frozen=True)
class Case:
    """One thing that a user does."""

    name: str
    prompts: tuple[Prompt, ...]
    """Selection in one call where the format allows."""
    rounds: int = 1
    """Answers; each but the first is given the mask of the one before."""
    chain_only: bool = False
    """Whether the decoder alone is left out: for what would take long and tell no more."""


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
    try:
        content = json.loads(path.read_text())
        images = tuple(_image(entry, path.parent) for entry in content["images"])
        suite = Suite(str(content["name"]), str(content["version"]), images)
    except LightSamError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UsageError(f"{path} is no suite of images and prompts: {what}") from error
    if not any(image.cases for image in images):
        raise UsageError(f"{path} asks nothing: give every image at least one case")
    return suite


def _image(entry: Mapping[str, Any], folder: Path) -> SuiteImage:
    _known(entry, _IMAGE_KEYS)
    image = open_image(folder / entry["file"])
    if "crop" in entry:
        image = image.crop(tuple(entry["crop"]))
    if "resize" in entry:
        image = image.resize(tuple(entry["resize"]), Image.Resampling.BICUBIC)
    cases = tuple(case for given in entry["cases"] for case in _cases(given, image))
    return SuiteImage(entry["name"], image, cases)


def _cases(entry: Mapping[str, Any], image: Image.Image) -> list[Case]:
    _known(entry, _CASE_KEYS)
    name, rounds = str(entry["name"]), int(entry.get("rounds", 1))
    if "grid" in entry:
        side = int(entry["grid"])
        xs, ys = ((np.arange(side) + 0.5) / side * length for length in image.size)
        return [
            Case(f"{name}, row {row + 1}", tuple(Prompt(points=[(float(x), float(y))]) for x in xs), chain_only=True)
            for row, y in enumerate(ys)
        ]
    if "batch" in entry:
        return [Case(name, tuple(_prompt(one) for one in entry["batch"]), rounds)]
    return [Case(name, (_prompt(entry),), rounds)]


def _prompt(entry: Mapping[str, Any]) -> Prompt:
    box = entry.get("box")
    return Prompt(
        points=[(x, y) for x, y in entry.get("points", ())],
        labels=entry.get("labels", ()),
        box=None if box is None else tuple(box),
    )


def _known(entry: Mapping[str, Any], keys: set[str]) -> None:
    unknown = sorted(set(entry) - keys)
    if unknown:
        raise ValueError(f"there is no key {unknown[0]!r}; the keys are: {', '.join(sorted(keys))}")


def _of_folder(folder: Path) -> Suite:
    """A suite of every image of a folder: its middle by a point, by a box, and refined."""
    images = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in Image.registered_extensions():
            continue
        image = open_image(path)
        width, height = image.size
        point = (width / 2, height / 2)
        box = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
        cases = (
            Case("point", (Prompt(points=[point]),)),
            Case("box", (Prompt(box=box),)),
            Case("refine", (Prompt(points=[point], box=box),), rounds=3),
        )
        images.append(SuiteImage(path.name, image, cases))
    if not images:
        raise UsageError(f"there is no image in {folder}")
    return Suite(folder.name, "1", tuple(images))
