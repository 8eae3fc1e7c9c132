"""Images with ground truth, in whatever form it comes. Masks are decoded one at a time, when they are needed."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from lightsam.errors import DatasetError, ImageError

from .evaluation import Evaluation
from .places import Place, file_sha256, readable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_ORIENTATION = 0x0112
"""The EXIF tag; from 5 on, height and width change places."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Truth:
    """One object of an image."""

    id: str
    """Unique within the image."""
    label: str
    """Its category, if the data name one; else empty."""
    area: int
    """Pixels of its mask."""
    box: Box | None = None
    """x0, y0, x1, y1 in pixels of the image, where the data state one."""


@dataclass(frozen=True)
class Sample:
    """One image and its objects."""

    name: str
    """Of the file, below the folder of images."""
    path: Place
    size: tuple[int, int]
    """Width and height of the masks, in pixels; the image must have the same."""
    objects: tuple[Truth, ...]
    fingerprint: str
    """Changes when the ground truth does."""
    read: Callable[[], Callable[[int], np.ndarray]] = field(repr=False)
    """Read the ground truth; what comes back decodes one object's (height, width) bool mask by its index. It can be
    pickled: a sample goes to the process that evaluates it."""

    def image_sha256(self) -> str:
        """Of the image's file.

        Raises:
            ImageError: if it cannot be read.
        """
        try:
            return file_sha256(self.path)
        except OSError as error:
            raise ImageError(f"{self.path} cannot be read ({error})") from error

    def check_image(self) -> None:
        """Look at the image's header before any work.

        Raises:
            ImageError: if it is missing or cannot be read.
            DatasetError: if its size is not that of its masks.
        """
        found = image_size(self.path)
        if found != self.size:
            raise DatasetError(
                f"{self.path} is {found[0]} x {found[1]} pixels and its ground truth {self.size[0]} x "
                f"{self.size[1]}: give the images that were annotated"
            )


@dataclass(frozen=True)
class DataSet:
    """The images that a subject is evaluated on, each with one object at least."""

    name: str
    """Of the annotation file or folder, without where it lies."""
    kind: str
    samples: tuple[Sample, ...]
    dropped: Mapping[str, int]
    """What was left out, and how often: crowds, objects that are empty or too small, images without objects."""

    @property
    def objects(self) -> int:
        """Their number."""
        return sum(len(sample.objects) for sample in self.samples)

    def sampled(self, limit: int | None, seed: int) -> "DataSet":
        """``limit`` images drawn without replacement, in their own order; all of them if there are no more."""
        if limit is None or limit >= len(self.samples):
            return self
        chosen = np.random.default_rng(seed).choice(len(self.samples), limit, replace=False)
        return replace(self, samples=tuple(self.samples[index] for index in sorted(chosen)))

    def sha256(self, images: Mapping[str, str] | None = None) -> str:
        """Of the images' files and their ground truth.

        Args:
            images: what `Sample.image_sha256` gave, by the images' names; None reads them all.
        """
        digest = hashlib.sha256()
        for sample in self.samples:
            image = sample.image_sha256() if images is None else images[sample.name]
            digest.update(f"{sample.name} {image} {sample.fingerprint}\n".encode())
        return digest.hexdigest()

    def check_images(self) -> None:
        """Look at every image as `Sample.check_image` does."""
        for sample in self.samples:
            sample.check_image()

    def part(self, start: int, end: int) -> "DataSet":
        """The images from ``start`` to before ``end``; what was left out is of the whole."""
        return replace(self, samples=self.samples[start:end], dropped={})


def image_size(path: Place) -> tuple[int, int]:
    """Width and height of an upright image, from its header.

    Raises:
        ImageError: if it is missing, or no image.
    """
    try:
        with Image.open(readable(path)) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
    except FileNotFoundError as error:
        raise ImageError(f"there is no image {path}, which the ground truth names") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} cannot be read as an image ({error})") from error
    return (height, width) if turned else (width, height)


def images_in(folder: Path) -> dict[str, Path]:
    """The images of a folder by their stems, to which ground truth is matched.

    Raises:
        DatasetError: if there is no such folder, it has none, or two with the same stem.
    """
    if not folder.is_dir():
        raise DatasetError(f"there is no folder of images {folder}")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DatasetError(f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    images: dict[str, Path] = {}
    for path in found:
        if path.stem in images:
            raise DatasetError(f"{images[path.stem]} and {path} would share their ground truth: rename one")
        images[path.stem] = path
    return images


def keep(evaluation: Evaluation, where: str, area: int) -> bool:
    """Whether an object has a pixel.

    Raises:
        DatasetError: if it has none and such are not to be left out.
    """
    if area == 0 and not evaluation.drop_empty:
        raise DatasetError(f"{where} has an empty mask: mend the ground truth, or leave such out with --drop-empty")
    return area > 0
