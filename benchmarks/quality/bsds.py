"""Ground truth of the Berkeley Segmentation Data Set 500: region maps of several annotators.

https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/ ; one ``.mat`` file an image, in it ``groundTruth``,
a cell an annotator, each with ``Segmentation``, (height, width) region numbers from 1. Regions cover the image, so
small ones are mostly slivers: those below `MIN_SHARE` of it are left out.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lightsam.errors import DatasetError

from .dataset import DataSet, Sample, Truth, images_in
from .evaluation import BSDS, Evaluation
from .places import local

MIN_SHARE = 0.01
"""Of an image's pixels."""


def read(evaluation: Evaluation) -> DataSet:
    """The regions of the annotator that was asked for, or of all.

    Raises:
        DatasetError: if a file is broken, has no image, or no such annotator.
    """
    folder = local(evaluation.truth, "region maps")
    if not folder.is_dir():
        raise DatasetError(f"there is no folder of region maps {folder}")
    files = sorted(folder.glob("*.mat"))
    if not files:
        raise DatasetError(f"{folder} holds no .mat file: give a folder such as BSDS500/data/groundTruth/test")
    photographs = local(evaluation.images, "images with region maps")
    images = images_in(photographs)
    dropped: Counter[str] = Counter()
    samples = []
    for path in files:
        if path.stem not in images:
            raise DatasetError(f"the region map {path} has no image {path.stem} in {photographs}")
        sample = _sample(images[path.stem], path, evaluation.annotator, dropped)
        if sample.objects:
            samples.append(sample)
    dropped["images without objects"] = len(images) - len(samples)
    return DataSet(folder.name, BSDS, tuple(samples), dropped)


def _regions(path: Path) -> list[np.ndarray]:
    """(height, width) region numbers of every annotator."""
    from scipy.io import loadmat

    try:
        cells = loadmat(path)["groundTruth"]
        return [np.asarray(cell["Segmentation"][0, 0], np.int64) for cell in cells.ravel()]
    # What scipy raises on a damaged file depends on where the damage is.
    except Exception as error:
        raise DatasetError(f"{path} is no region map of BSDS500 ({type(error).__name__}: {error})") from error


def _sample(image: Path, path: Path, annotator: str, dropped: Counter[str]) -> Sample:
    maps = _regions(path)
    chosen = list(range(len(maps))) if annotator == "all" else [int(annotator) - 1]
    if chosen[-1] >= len(maps) or not chosen:
        raise DatasetError(f"{path} has {len(maps)} annotators; there is none with the number {annotator}")
    digest = hashlib.sha256()
    objects: list[Truth] = []
    sources: list[tuple[int, int]] = []
    for number in chosen:
        regions = maps[number]
        digest.update(f"{number} {regions.shape}".encode() + regions.tobytes())
        for region, area in enumerate(np.bincount(regions.ravel())):
            if area >= MIN_SHARE * regions.size:
                objects.append(Truth(f"{number + 1}-{region}", "", int(area)))
                sources.append((number, region))
            elif area:
                dropped[f"regions below {MIN_SHARE:.0%} of the image"] += 1
    height, width = maps[chosen[0]].shape
    read = partial(_reader, path, sources)
    return Sample(image.name, image, (width, height), tuple(objects), digest.hexdigest(), read)


def _reader(path: Path, sources: Sequence[tuple[int, int]]) -> Callable[[int], np.ndarray]:
    """What decodes an object, from the annotator and the region of each."""
    regions = _regions(path)
    return lambda index: regions[sources[index][0]] == sources[index][1]
