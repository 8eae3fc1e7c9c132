"""Ground truth in COCO's JSON (https://cocodataset.org/#format-data): polygons, RLE, crowds.

Masks are drawn by faster-coco-eval, whose masks are those of pycocotools: another polygon filler gives other pixels
along every edge.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

import numpy as np

from lightsam.errors import DatasetError

from .dataset import Box, DataSet, Sample, Truth, keep
from .evaluation import COCO, Evaluation
from .places import Place

_FARTHEST = 2**17
"""Pixels: a coordinate beyond is damage, and drawing towards it would take memory without end."""
_LARGEST = 2**28
"""Pixels of an image, of which a mask takes a byte each."""


class Rle(TypedDict):
    """A run-length encoded mask, as COCO has it."""

    size: list[int]
    """Height and width."""
    counts: str
    """The runs, compressed."""


def read(evaluation: Evaluation) -> DataSet:
    """Every object with a mask; crowds where the protocol wants them.

    Raises:
        DatasetError: if the file is broken; the message names the annotation.
    """
    path = evaluation.truth
    content = content_of(path)
    images = {image["id"]: image for image in content["images"]}
    if len(images) < len(content["images"]):
        raise DatasetError(f"{path} has two images with the same id")
    labels = {entry.get("id"): str(entry.get("name", "")) for entry in content["categories"]}
    dropped: Counter[str] = Counter()
    objects: dict[Any, list[tuple[Truth, Rle]]] = {}
    known = set()
    for entry in content["annotations"]:
        where = f"{path}, annotation {entry.get('id')!r},"
        if entry.get("id") in known:
            raise DatasetError(f"{where} is there twice")
        known.add(entry.get("id"))
        image = images.get(entry.get("image_id"))
        if image is None:
            raise DatasetError(f"{where} is of the image {entry.get('image_id')!r}, which the file does not list")
        if entry.get("iscrowd") and not evaluation.rules.crowds:
            dropped["crowds"] += 1
            continue
        rle = rle_of(entry, image, where)
        area = _area(rle, where)
        if not keep(evaluation, where, area):
            dropped["empty objects"] += 1
            continue
        truth = Truth(str(entry.get("id")), labels.get(entry.get("category_id"), ""), area, _box(entry, image))
        objects.setdefault(image["id"], []).append((truth, rle))
    dropped["images without objects"] = len(images) - len(objects)
    samples = [_sample(evaluation.images, images[number], found) for number, found in objects.items()]
    samples.sort(key=lambda sample: sample.name)
    return DataSet(path.name, COCO, tuple(samples), dropped)


def decode(rle: Rle) -> np.ndarray:
    """A run-length encoded mask as (height, width) bool.

    Raises:
        ValueError: if its runs cannot be decoded.
    """
    try:
        return _masks().decode(rle).astype(bool)
    except RuntimeError as error:  # of the C++ inside
        raise ValueError(str(error).splitlines()[0]) from error


def encode(mask: np.ndarray) -> Rle:
    """A (height, width) bool mask, run-length encoded, with ``counts`` as text."""
    return _as_text(_masks().encode(np.asfortranarray(mask, np.uint8)))


def _as_text(rle: Mapping[str, Any]) -> Rle:
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts if isinstance(counts, str) else counts.decode()}


def _masks() -> Any:
    from faster_coco_eval.core import mask

    return mask


def content_of(path: Place) -> dict[str, Any]:
    """What a file of annotations holds, with its lists there and every image's ``file_name``.

    LVIS (https://www.lvisdataset.org) names images by ``coco_url`` alone, and takes them from two folders of COCO:
    their ``file_name`` becomes the end of the address, such as ``val2017/000000397133.jpg``.

    Raises:
        DatasetError: if the file is broken.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"there is no file of annotations {path}") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as JSON ({error})") from error
    for key in ("images", "annotations", "categories"):
        entries = content.get(key) if isinstance(content, dict) else None
        if key == "categories" and entries is None:  # labels may be left out
            content[key] = entries = []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DatasetError(f"{path} is no COCO file: it has no list of {key}")
        for entry in entries:
            for name in ("id", "image_id", "category_id"):
                if not isinstance(entry.get(name), int | str | None):
                    raise DatasetError(f"{path} has {key} whose {name} is neither a number nor a text: {entry[name]!r}")
    names = set()
    for image in content["images"]:
        if "file_name" not in image and isinstance(image.get("coco_url"), str):
            image["file_name"] = "/".join(image["coco_url"].split("/")[-2:])
        sides = [image.get("width"), image.get("height")]
        if "id" not in image or not isinstance(image.get("file_name"), str):
            raise DatasetError(f"{path}, image {image.get('id')!r}, has no id or no file_name")
        if not all(isinstance(side, int) and side > 0 for side in sides) or math.prod(sides) > _LARGEST:
            raise DatasetError(f"{path}, image {image['id']!r}, has no width and height in pixels, or is too large")
        if image["file_name"] in names:
            raise DatasetError(f"{path} has two images with the file name {image['file_name']}")
        names.add(image["file_name"])
    return content


def rle_of(entry: Mapping[str, Any], image: Mapping[str, Any], where: str) -> Rle:
    """The mask of an annotation, run-length encoded.

    Args:
        entry: of the annotation.
        image: of its image.
        where: names both in messages.

    Raises:
        DatasetError: if it has none that can be drawn.
    """
    segmentation, height, width = entry.get("segmentation"), image["height"], image["width"]
    masks = _masks()
    try:
        if isinstance(segmentation, list):
            if not all(_is_polygon(polygon) for polygon in segmentation):
                raise DatasetError(f"{where} has a polygon that is not three or more pairs of x and y near its image")
            parts = masks.frPyObjects(segmentation, height, width) if segmentation else []
            return _as_text(masks.merge(parts)) if parts else encode(np.zeros((height, width), bool))
        if isinstance(segmentation, dict) and list(segmentation.get("size", ())) == [height, width]:
            counts = segmentation.get("counts")
            if isinstance(counts, list):
                if not all(isinstance(run, int) and run >= 0 for run in counts) or sum(counts) != height * width:
                    raise DatasetError(f"{where} has runs that do not add up to its image's {height * width} pixels")
                return _as_text(masks.frPyObjects(segmentation, height, width))
            if isinstance(counts, str):
                rle: Rle = {"size": [height, width], "counts": counts}
                decode(rle)  # the only check of compressed runs that there is
                return rle
    except (ValueError, TypeError, IndexError, OverflowError, RuntimeError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{where} has a mask that cannot be decoded ({error})") from error
    raise DatasetError(f"{where} has no segmentation: polygons, or RLE of its image's {height} x {width} pixels")


def _is_polygon(polygon: Any) -> bool:
    return (
        isinstance(polygon, list)
        and len(polygon) >= 6
        and len(polygon) % 2 == 0
        and all(
            isinstance(number, int | float) and abs(number) <= _FARTHEST for number in polygon
        )  # NaN is refused, too
    )


def _area(rle: Rle, where: str) -> int:
    height, width = rle["size"]
    area = int(_masks().area(rle))
    if area > height * width:
        raise DatasetError(f"{where} has a mask of {area} pixels in an image of {height * width}")
    return area


def _box(entry: Mapping[str, Any], image: Mapping[str, Any]) -> Box | None:
    """The annotation's box, clipped to its image; None if it has none with an area."""
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int | float) for side in box):
        return None
    x0, y0 = max(0.0, float(box[0])), max(0.0, float(box[1]))
    x1, y1 = min(float(image["width"]), box[0] + box[2]), min(float(image["height"]), box[1] + box[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _sample(folder: Place, image: Mapping[str, Any], found: list[tuple[Truth, Rle]]) -> Sample:
    digest = hashlib.sha256()
    for truth, rle in found:
        digest.update(f"{truth.id} {truth.box} {truth.area} {rle['counts']}".encode())

    return Sample(
        name=image["file_name"],
        path=folder / image["file_name"],
        size=(image["width"], image["height"]),
        objects=tuple(truth for truth, _ in found),
        fingerprint=digest.hexdigest(),
        read=partial(_reader, tuple(rle for _, rle in found)),
    )


def _reader(rles: Sequence[Rle]) -> Callable[[int], np.ndarray]:
    return lambda index: decode(rles[index])
