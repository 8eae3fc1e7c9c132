"""Boundaries that people drew on the photographs of the Berkeley Segmentation Data Set 500.

https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/ ; one ``.mat`` file an image, in it ``groundTruth``, a
cell an annotator, each with ``Boundaries``, (height, width), not 0 where one runs.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from lightsam.errors import DatasetError
from lightsam_benchmarks.quality.dataset import DataSet, Sample, Truth, images_in

KIND = "bsds boundaries"


def read(folder: Path, images: Path) -> DataSet:
    """Every image that has boundaries; its objects are the annotators, and an object's mask is what one of them drew.

    Args:
        folder: of the ``.mat`` files.
        images: folder of the images, of the same stems.

    Raises:
        DatasetError: if a file is damaged, has no image, or maps of different sizes.
    """
    if not folder.is_dir():
        raise DatasetError(f"there is no folder of boundaries {folder}")
    files = sorted(folder.glob("*.mat"))
    if not files:
        raise DatasetError(f"{folder} holds no .mat file: give a folder such as BSDS500/data/groundTruth/test")
    there = images_in(images)
    for path in files:
        if path.stem not in there:
            raise DatasetError(f"the boundaries {path} have no image {path.stem} in {images}")
    left_out = {"images without boundaries": len(there) - len(files)}
    return DataSet(folder.name, KIND, tuple(_sample(there[path.stem], path) for path in files), left_out)


def _sample(image: Path, path: Path) -> Sample:
    maps = boundaries(path)
    digest = hashlib.sha256()
    for one in maps:
        digest.update(f"{one.shape}".encode() + one.tobytes())
    height, width = maps[0].shape
    annotators = tuple(Truth(f"{number}", "", int(one.sum())) for number, one in enumerate(maps, 1))
    return Sample(image.name, image, (width, height), annotators, digest.hexdigest(), partial(_reader, path))


def _reader(path: Path) -> Callable[[int], np.ndarray]:
    return boundaries(path).__getitem__


def boundaries(path: Path) -> list[np.ndarray]:
    """(height, width) bool of every annotator.

    Raises:
        DatasetError: if the file is damaged, or its maps are of different sizes.
    """
    from scipy.io import loadmat

    try:
        cells = loadmat(path)["groundTruth"]
        maps = [np.asarray(cell["Boundaries"][0, 0]) != 0 for cell in cells.ravel()]
    # What scipy raises on a damaged file depends on where the damage is.
    except Exception as error:
        raise DatasetError(f"{path} holds no boundaries of BSDS500 ({type(error).__name__}: {error})") from error
    if not maps or {one.ndim for one in maps} != {2} or len({one.shape for one in maps}) != 1:
        raise DatasetError(f"{path} must hold boundaries of one size, by one annotator at least")
    return maps
