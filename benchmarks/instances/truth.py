"""The annotations that masks are measured against, in the form that faster-coco-eval takes.

Everything that would be an error deep inside the scorer is refused here, by the annotation's name.
"""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from lightsam.errors import DatasetError
from lightsam_benchmarks.quality.coco import content_of, rle_of
from lightsam_benchmarks.quality.dataset import DataSet, Sample
from lightsam_benchmarks.quality.evaluation import COCO
from lightsam_benchmarks.quality.places import Place

FREQUENCIES = ("r", "c", "f")
"""Of LVIS's categories: rare, common, frequent."""


@dataclass(frozen=True)
class Truth:
    """A set's images and their annotations."""

    data: DataSet
    """The images; also those without an annotation, on which a detector may find something."""
    ids: Mapping[str, int]
    """Of the images, by their names."""
    categories: tuple[dict[str, Any], ...]
    images: tuple[dict[str, Any], ...]
    annotations: tuple[dict[str, Any], ...]
    """Each with its ``segmentation`` as RLE, ``bbox`` (x, y, width, height), ``area`` and ``iscrowd``."""

    @property
    def lvis(self) -> bool:
        """Whether the images say which categories were looked for: then LVIS's rules hold."""
        return all("neg_category_ids" in image for image in self.images) and all(
            category.get("frequency") in FREQUENCIES for category in self.categories
        )

    @property
    def crowds(self) -> int:
        """Annotations of crowds: what lies on them is neither right nor wrong."""
        return sum(one["iscrowd"] for one in self.annotations)

    def sampled(self, limit: int | None, seed: int) -> "Truth":
        """Of ``limit`` images, drawn without replacement; all of them if there are no more."""
        data = self.data.sampled(limit, seed)
        ids = {sample.name: self.ids[sample.name] for sample in data.samples}
        return replace(
            self,
            data=data,
            ids=ids,
            images=_about(self.images, "id", ids.values()),
            annotations=_about(self.annotations, "image_id", ids.values()),
        )


def _about(entries: tuple[dict[str, Any], ...], key: str, ids: Collection[int]) -> tuple[dict[str, Any], ...]:
    kept = set(ids)
    return tuple(entry for entry in entries if entry[key] in kept)


def read(path: Place, folder: Place) -> Truth:
    """Read a file of annotations, COCO's or LVIS's.

    Args:
        path: of the file.
        folder: of the images.

    Raises:
        DatasetError: if it is broken; the message names the annotation.
    """
    content = content_of(path)
    for key in ("images", "categories"):
        ids = [entry.get("id") for entry in content[key]]
        if not ids:
            raise DatasetError(f"{path} lists no {key}, and instances are measured by image and category")
        if not all(isinstance(number, int) for number in ids) or len(set(ids)) < len(ids):
            raise DatasetError(f"{path} has {key} whose ids are no whole numbers, or are there twice")
    images = {image["id"]: image for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    annotations = []
    for number, entry in enumerate(content["annotations"], 1):  # the scorer takes id 0 for none
        where = f"{path}, annotation {entry.get('id')!r},"
        image = images.get(entry.get("image_id"))
        if image is None:
            raise DatasetError(f"{where} is of the image {entry.get('image_id')!r}, which the file does not list")
        if entry.get("category_id") not in categories:
            raise DatasetError(f"{where} is of the category {entry.get('category_id')!r}, which the file does not list")
        annotations.append(_annotation(number, entry, image, where))
    if not annotations:
        raise DatasetError(f"{path} holds no annotation to measure masks against")
    marks: dict[int, Any] = {number: hashlib.sha256() for number in images}
    for one in annotations:
        marks[one["image_id"]].update(json.dumps(one).encode())
    samples = tuple(_sample(folder, image, marks[number].hexdigest()) for number, image in images.items())
    return Truth(
        DataSet(path.name, COCO, tuple(sorted(samples, key=lambda sample: sample.name)), {}),
        {image["file_name"]: number for number, image in images.items()},
        tuple(content["categories"]),
        tuple(content["images"]),
        tuple(annotations),
    )


def _annotation(number: int, entry: Mapping[str, Any], image: Mapping[str, Any], where: str) -> dict[str, Any]:
    from faster_coco_eval.core import mask

    rle = rle_of(entry, image, where)
    box = entry.get("bbox")
    if box is None:
        box = [float(side) for side in mask.toBbox(rle)]
    if not is_box(box):
        raise DatasetError(f"{where} has a bbox that is not x, y, width, height: {box!r}")
    area = entry.get("area")
    if not isinstance(area, int | float) or not math.isfinite(area):
        area = int(mask.area(rle))
    return {
        "id": number,
        "image_id": entry["image_id"],
        "category_id": entry["category_id"],
        "segmentation": rle,
        "bbox": box,
        "area": area,
        "iscrowd": int(bool(entry.get("iscrowd"))),  # LVIS has none
    }


def is_box(box: Any) -> bool:
    """Whether it is x, y, width, height: four finite numbers, the sides not below 0."""
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(number, int | float) and math.isfinite(number) for number in box)
        and min(box[2:]) >= 0
    )


def _sample(folder: Place, image: Mapping[str, Any], fingerprint: str) -> Sample:
    name = image["file_name"]
    return Sample(name, folder / name, (image["width"], image["height"]), (), fingerprint, _no_objects)


def _no_objects() -> Callable[[int], np.ndarray]:
    """Masks are decoded by the scorer: no object of a sample is asked for."""

    def refuse(index: int) -> NoReturn:
        raise IndexError(index)

    return refuse
