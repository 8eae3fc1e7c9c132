"""Ground truth as PNGs beside images: one label image, or one file an object.

Of the image ``cup.jpg``, either ``cup.png`` holds all objects, every value but 0 being one (a palette's indices count,
not its colors), or ``cup_0.png``, ``cup_1.png``, ... hold one object each, in whatever is not 0.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from lightsam.errors import DatasetError

from .dataset import DataSet, Sample, Truth, images_in, keep
from .evaluation import MASKS, Evaluation
from .places import local

_NUMBERED = re.compile(r"(.+)_(\d+)")
_MODES = ("1", "L", "P", "I;16", "I")


def read(evaluation: Evaluation) -> DataSet:
    """Every object of every image that has masks.

    Raises:
        DatasetError: for masks without an image, of no known kind, or of different sizes.
    """
    folder = local(evaluation.truth, "masks")
    if not folder.is_dir():
        raise DatasetError(f"there is no folder of masks {folder}")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    if not files:
        raise DatasetError(f"{folder} holds no PNG")
    photographs = local(evaluation.images, "images with masks")
    images = images_in(photographs)
    together, apart = _assigned(files, images, photographs)
    dropped: Counter[str] = Counter({"images without objects": len(images)})
    samples = []
    for stem in sorted({*together, *apart}):
        if stem in together and stem in apart:
            raise DatasetError(f"{together[stem]} and {apart[stem][0]} are both masks of {images[stem]}: keep one kind")
        mine = [together[stem]] if stem in together else apart[stem]
        sample = _sample(evaluation, images[stem], mine, stem in together, dropped)
        if sample.objects:
            samples.append(sample)
    dropped["images without objects"] -= len(samples)
    return DataSet(folder.name, MASKS, tuple(samples), dropped)


def _assigned(
    files: list[Path], images: dict[str, Path], folder: Path
) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """Label images and numbered masks by the stem of their image; an exact name goes before a numbered one."""
    together: dict[str, Path] = {}
    apart: dict[str, list[Path]] = {}
    for path in files:
        numbered = _NUMBERED.fullmatch(path.stem)
        if path.stem in images:
            together[path.stem] = path
        elif numbered and numbered[1] in images:
            apart.setdefault(numbered[1], []).append(path)
        else:
            raise DatasetError(
                f"the mask {path} has no image: {folder} holds none called {path.stem}, nor one that it numbers"
            )
    for paths in apart.values():
        paths.sort(key=lambda path: int(path.stem.rpartition("_")[2]))
    return together, apart


def _labels(path: Path) -> np.ndarray:
    """(height, width) whole numbers."""
    try:
        with Image.open(path) as image:
            if image.mode not in _MODES:
                raise DatasetError(
                    f"the mask {path} has the mode {image.mode}: save it with one channel, or with a palette"
                )
            return np.asarray(image).astype(np.int64)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"the mask {path} cannot be read ({error})") from error


def _objects(path: Path, labels: np.ndarray, together: bool) -> list[tuple[str, int | None, int]]:
    """Name, value (None: whatever is not 0) and area of each object; one without a pixel if there is none."""
    values, counts = np.unique(labels[labels != 0], return_counts=True)
    if together and len(values):
        return [(f"{value}", int(value), int(count)) for value, count in zip(values, counts, strict=True)]
    return [("" if together else path.stem.rpartition("_")[2], None, int(counts.sum()))]


def _sample(evaluation: Evaluation, image: Path, files: list[Path], together: bool, dropped: Counter[str]) -> Sample:
    digest = hashlib.sha256()
    objects: list[Truth] = []
    sources: list[tuple[Path, int | None]] = []
    shapes = set()
    for path in files:
        labels = _labels(path)
        digest.update(path.name.encode() + labels.tobytes())
        shapes.add(labels.shape)
        for name, value, area in _objects(path, labels, together):
            if keep(evaluation, f"the mask {path}", area):
                objects.append(Truth(name, "", area))
                sources.append((path, value))
            else:
                dropped["empty objects"] += 1
    if len(shapes) > 1:
        raise DatasetError(f"the masks of {image} differ in size")
    height, width = shapes.pop()
    read = partial(_reader, files[0] if together else None, sources)
    return Sample(image.name, image, (width, height), tuple(objects), digest.hexdigest(), read)


def _reader(together: Path | None, sources: Sequence[tuple[Path, int | None]]) -> Callable[[int], np.ndarray]:
    """What decodes an object, from the label image of all, or else from the file of each."""
    label_image = None if together is None else _labels(together)

    def mask(index: int) -> np.ndarray:
        path, value = sources[index]
        return _labels(path) != 0 if label_image is None else label_image == value

    return mask
