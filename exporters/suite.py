"""What the judge asks: named, versioned suites of photographs and prompts, lightsam's own and a user's.

A suite is a JSON file, and pictures beside it:

    {"name": "default", "version": "1", "pictures": [
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
from lightsam.transforms import open_picture

QUICK = "quick"
"""What every export is judged by."""
DEFAULT = "default"
"""What ``lightsam parity`` asks unless told otherwise."""
NAMES = (QUICK, DEFAULT)
"""Suites that lightsam brings."""
_CASE_KEYS = {"name", "points", "labels", "box", "rounds", "batch", "grid"}
_PICTURE_KEYS = {"name", "file", "crop", "resize", "cases"}


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


@dataclass(frozen=True)
class SuitePicture:
    """A photograph and what is asked about it."""

    name: str
    image: Image.Image
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Suite:
    """Photographs and prompts under a name; a changed suite has another version."""

    name: str
    version: str
    pictures: tuple[SuitePicture, ...]

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    @property
    def digest(self) -> str:
        """Of what is asked: every pixel and every prompt. A user's suite may change under the same name and version."""
        sha256 = hashlib.sha256()
        for picture in self.pictures:
            sha256.update(f"{picture.name} {picture.image.size} {picture.cases!r}\n".encode())
            sha256.update(picture.image.tobytes())
        return sha256.hexdigest()


def load_suite(source: str | Path) -> Suite:
    """Read a suite.

    Args:
        source: the name of one of lightsam's own, a JSON file, or a folder of pictures, each of which is then asked
            about its middle.

    Raises:
        UsageError: if it does not exist or is no suite; the message has the place.
        ImageError: if a picture cannot be read.
    """
    if source in NAMES:
        with as_file(files(__package__) / "data") as folder:
            return _read(folder / f"{source}.json")
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise UsageError(f"there is no suite {source}; give {' or '.join(NAMES)}, a JSON file, or a folder of pictures")
    return _read(path)


def _read(path: Path) -> Suite:
    try:
        content = json.loads(path.read_text())
        pictures = tuple(_picture(entry, path.parent) for entry in content["pictures"])
        suite = Suite(str(content["name"]), str(content["version"]), pictures)
    except LightSamError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UsageError(f"{path} is no suite of pictures and prompts: {what}") from error
    if not any(picture.cases for picture in pictures):
        raise UsageError(f"{path} asks nothing: give every picture at least one case")
    return suite


def _picture(entry: Mapping[str, Any], folder: Path) -> SuitePicture:
    _known(entry, _PICTURE_KEYS)
    image = open_picture(folder / entry["file"])
    if "crop" in entry:
        image = image.crop(tuple(entry["crop"]))
    if "resize" in entry:
        image = image.resize(tuple(entry["resize"]), Image.Resampling.BICUBIC)
    cases = tuple(case for given in entry["cases"] for case in _cases(given, image))
    return SuitePicture(entry["name"], image, cases)


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
    """A suite of every picture of a folder: its middle by a point, by a box, and refined."""
    pictures = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in Image.registered_extensions():
            continue
        image = open_picture(path)
        width, height = image.size
        point = (width / 2, height / 2)
        box = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
        cases = (
            Case("point", (Prompt(points=[point]),)),
            Case("box", (Prompt(box=box),)),
            Case("refine", (Prompt(points=[point], box=box),), rounds=3),
        )
        pictures.append(SuitePicture(path.name, image, cases))
    if not pictures:
        raise UsageError(f"there is no picture in {folder}")
    return Suite(folder.name, "1", tuple(pictures))
