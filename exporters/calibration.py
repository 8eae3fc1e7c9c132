"""The images that a compressed export looks at: a user's folder, or lightsam's own photographs.

One image is in memory at a time, however many there are: each is read, encoded and asked about anew whenever a
converter asks for it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from lightsam.errors import UsageError
from lightsam.stages import Arrays
from lightsam.transforms import open_image

from .formats.base import OnStep
from .formats.options import Options
from .parity.reference import Reference
from .parity.reference_image import ReferenceImage
from .parity.suite import DEFAULT, SuiteImage, about_middle, image_files, load_suite

IMAGES = 32
"""How many images of a folder are looked at unless told otherwise: ranges hardly move after so many."""
_OWN = "lightsam's photographs"


@dataclass(frozen=True)
class Photograph:
    """One image, read when it is asked for."""

    name: str
    read: Callable[[], Image.Image]

    def asked(self) -> SuiteImage:
        """The image, and prompts about its middle."""
        return about_middle(self.name, self.read())


@dataclass(frozen=True)
class Calibration:
    """Images in a fixed order."""

    name: str
    """Of the folder, or of lightsam's own photographs."""
    photographs: tuple[Photograph, ...]

    @cached_property
    def about(self) -> str:
        """Name, number and digest of the images, for the record."""
        sha256 = hashlib.sha256()
        for one in self.photographs:
            image = one.read()
            sha256.update(f"{one.name} {image.size}\n".encode())
            sha256.update(image.tobytes())
        return f"{self.name}, {len(self.photographs)} images, sha256 {sha256.hexdigest()[:16]}"

    def check(self) -> None:
        """Read every image once, before any work.

        Raises:
            ImageError: naming the first that cannot be read.
        """
        _ = self.about  # not asserted: python -O would leave it out

    def images(self) -> Iterator[Image.Image]:
        """Every image, upright and in RGB."""
        for one in self.photographs:
            yield one.read()

    def stage_inputs(
        self, stage: str, reference: Reference, options: Options, on_step: OnStep = lambda _: None
    ) -> Iterator[Arrays]:
        """What a stage is given about every image: the encoder its pixels, the decoder also points and a box."""
        stages = reference.stages(options)
        for number, one in enumerate(self.photographs, 1):
            on_step(f"calibrating the {stage}: image {number} of {len(self.photographs)}")
            yield from ReferenceImage(stages, one.asked()).stage_inputs(stage, options.point_slots)


def load_calibration(folder: Path | None = None, limit: int = IMAGES, seed: int = 0) -> Calibration:
    """The images of a folder in a seeded order, or lightsam's own.

    Args:
        folder: of images in any format that Pillow reads; None for lightsam's own photographs, each whole, mirrored,
            and by its quarters.
        limit: how many images of a folder are taken at most.
        seed: of the order.

    Raises:
        UsageError: for a folder that does not exist or holds no image, or a limit below 1.
    """
    if limit < 1:
        raise UsageError(f"it takes 1 calibration image at least, not {limit}")
    if folder is None:
        return Calibration(_OWN, _own())
    if not folder.is_dir():
        raise UsageError(f"there is no folder of calibration images {folder}")
    paths = image_files(folder)
    if not paths:
        raise UsageError(f"the calibration folder {folder} holds no image: give photographs like those of your users")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(paths))[:limit]
    return Calibration(folder.name, tuple(_of_file(paths[index]) for index in order))


def _of_file(path: Path) -> Photograph:
    return Photograph(path.name, lambda: open_image(path))


def _own() -> tuple[Photograph, ...]:
    """Whole photographs first, so that a few of the first are a fair sample."""
    images = {image.name: image.image for image in load_suite(DEFAULT).images}
    return tuple(
        Photograph(f"{name}, {part}", lambda image=image, take=take: take(image))  # type: ignore[misc]
        for part, take in _PARTS.items()
        for name, image in images.items()
    )


def _quarter(column: int, row: int) -> Callable[[Image.Image], Image.Image]:
    def crop(image: Image.Image) -> Image.Image:
        width, height = image.width // 2, image.height // 2
        return image.crop((column * width, row * height, (column + 1) * width, (row + 1) * height))

    return crop


_PARTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "whole": lambda image: image,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "top left": _quarter(0, 0),
    "top right": _quarter(1, 0),
    "bottom left": _quarter(0, 1),
    "bottom right": _quarter(1, 1),
}
