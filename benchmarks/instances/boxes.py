"""The boxes that are prompts: a detector's, those of the annotations, or these moved and scaled a little."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from lightsam.documents import parse_json
from lightsam.errors import DatasetError
from lightsam_benchmarks.quality.places import Place

from .request import DETECTIONS, JITTERED, Request
from .truth import Truth, is_box

LVIS_BOXES = 300
"""The best of an image that LVIS counts (https://www.lvisdataset.org/rules)."""


@dataclass(frozen=True)
class ScoredBox:
    """One box of an image."""

    category: int
    """Its id."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the image, within it."""
    score: float

    @property
    def bbox(self) -> list[float]:
        """x, y, width, height, as COCO has it."""
        x0, y0, x1, y1 = self.box
        return [x0, y0, x1 - x0, y1 - y0]


@dataclass(frozen=True)
class Boxes:
    """Those of one set."""

    source: str
    """``detections``, ``ground-truth`` or ``jittered``."""
    file: str | None
    """Name of the detector's file."""
    sha256: str
    """Of that file; of other boxes, of the boxes themselves."""
    of: Mapping[str, tuple[ScoredBox, ...]]
    """By the image's name, the best score first; images without a box are not in it."""
    dropped: Mapping[str, int]
    """What was left out, and how often."""

    @property
    def count(self) -> int:
        """Of all boxes."""
        return sum(map(len, self.of.values()))

    def fingerprint(self) -> str:
        """sha256 of every box: changes when one does."""
        return _fingerprint(self.of)


def _fingerprint(boxes: Mapping[str, tuple[ScoredBox, ...]]) -> str:
    return hashlib.sha256(repr(sorted(boxes.items())).encode()).hexdigest()


def of_set(whole: Truth, truth: Truth, path: Place | None, request: Request) -> Boxes:
    """The boxes of a set's images.

    Args:
        whole: of all images, which detections may be of.
        truth: of the images that are evaluated.
        path: of detections.
        request: what is asked.

    Raises:
        DatasetError: for a file of detections that is missing, damaged, empty or of another set, or when no box is
            left.
    """
    dropped: Counter[str] = Counter()
    digest = None
    if request.boxes == DETECTIONS:
        assert path is not None
        entries, digest = _detections(path)
        _check(entries, path, whole)
    else:
        entries = _annotated(truth, dropped)
    found = _by_image(entries, truth)
    if request.boxes == JITTERED:
        found = {name: _jittered(boxes, name, request) for name, boxes in found.items()}
    sizes = {sample.name: sample.size for sample in truth.data.samples}
    clipped = {name: _clipped(boxes, sizes[name], truth.lvis, dropped) for name, boxes in found.items()}
    kept = {name: boxes for name, boxes in clipped.items() if boxes}
    whose = path or truth.data.name
    if not kept:
        raise DatasetError(f"{whose} has no box for any of the {len(sizes)} images: give the boxes of this set")
    file = None if path is None else path.name
    return Boxes(request.boxes, file, digest or _fingerprint(kept), kept, dropped)


def _check(entries: Iterable[Mapping[str, Any]], path: Place, truth: Truth) -> None:
    """Make sure that detections are of these annotations."""
    images, categories = set(truth.ids.values()), {one["id"] for one in truth.categories}
    for number, entry in enumerate(entries, 1):
        for key, known, what in (("image_id", images, "image"), ("category_id", categories, "category")):
            if entry[key] not in known:
                raise DatasetError(
                    f"{path}, box {number}, is of the {what} {entry[key]}, which {truth.data.name} does not list: "
                    "give the boxes of this set"
                )


def _detections(path: Place) -> tuple[list[dict[str, Any]], str]:
    """The entries of a file of COCO's results (https://cocodataset.org/#format-results), and its sha256."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(f"there is no file of boxes {path}") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read as boxes ({error})") from error
    what = "a list of boxes in COCO's format of results"
    entries = parse_json(content, path, what, DatasetError)
    if not isinstance(entries, list) or not entries:
        raise DatasetError(f"{path} is not {what}, or has none: give entries of image_id, category_id, bbox and score")
    for number, entry in enumerate(entries, 1):
        fine = (
            isinstance(entry, dict)
            and isinstance(entry.get("image_id"), int)
            and isinstance(entry.get("category_id"), int)
            and isinstance(entry.get("score"), int | float)
            and is_box(entry.get("bbox"))
        )
        if not fine:
            raise DatasetError(
                f"{path}, box {number}, is not image_id and category_id (whole numbers), bbox (x, y, width, height in "
                "pixels) and score"
            )
    return entries, hashlib.sha256(content).hexdigest()


def _annotated(truth: Truth, dropped: Counter[str]) -> list[dict[str, Any]]:
    dropped["crowds"] = truth.crowds
    return [{**one, "score": 1.0} for one in truth.annotations if not one["iscrowd"]]


def _by_image(entries: Iterable[Mapping[str, Any]], truth: Truth) -> dict[str, list[ScoredBox]]:
    """Of the images that are evaluated; those of others are passed over."""
    names = {number: name for name, number in truth.ids.items()}
    found: dict[str, list[ScoredBox]] = {}
    for entry in entries:
        if name := names.get(entry["image_id"]):
            x, y, width, height = map(float, entry["bbox"])
            box = ScoredBox(entry["category_id"], (x, y, x + width, y + height), float(entry["score"]))
            found.setdefault(name, []).append(box)
    return found


def _jittered(boxes: list[ScoredBox], name: str, request: Request) -> list[ScoredBox]:
    """The same image's boxes move alike, whichever other images are drawn."""
    rng = np.random.default_rng([request.seed, crc32(name.encode())])
    corners = np.array([one.box for one in boxes]).reshape(-1, 2, 2)
    sides = corners[:, 1] - corners[:, 0]
    centres = corners.mean(axis=1) + sides * rng.uniform(-request.shift, request.shift, sides.shape)
    sides = sides * (1 + rng.uniform(-request.scale, request.scale, sides.shape))
    moved = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).tolist()
    return [ScoredBox(one.category, tuple(box), one.score) for one, box in zip(boxes, moved, strict=True)]


def _clipped(boxes: list[ScoredBox], size: tuple[int, int], lvis: bool, dropped: Counter[str]) -> tuple[ScoredBox, ...]:
    """Those that have an area within the image, the best score first; of LVIS the best 300."""
    width, height = map(float, size)
    kept = []
    for one in sorted(boxes, key=lambda one: -one.score):
        x0, y0, x1, y1 = max(0.0, one.box[0]), max(0.0, one.box[1]), min(width, one.box[2]), min(height, one.box[3])
        if x0 < x1 and y0 < y1:
            kept.append(ScoredBox(one.category, (x0, y0, x1, y1), one.score))
        else:
            dropped["boxes without area in their image"] += 1
    best = kept[:LVIS_BOXES] if lvis else kept
    dropped[f"boxes beyond the best {LVIS_BOXES} of an image"] += len(kept) - len(best)
    return tuple(best)
