"""Average precision by faster-coco-eval, which computes what pycocotools computes."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .boxes import LVIS_BOXES
from .record import CategoryScore, Precision
from .sets import InstanceSet
from .truth import FREQUENCIES, Truth

DIGITS = 5
MASKS, BOXES = "segm", "bbox"
"""What is compared, in the library's words."""


def of_masks(one: InstanceSet, masks: Mapping[str, Sequence[str]]) -> tuple[Precision, tuple[CategoryScore, ...]]:
    """Average precision of masks that answer a set's boxes, with the boxes' scores.

    Args:
        one: the set.
        masks: compressed runs by the image's name, in the order of its boxes.

    Returns:
        Over all categories, and of each that has an annotation.
    """
    sizes = {sample.name: list(sample.size[::-1]) for sample in one.truth.data.samples}
    results = [
        {
            "image_id": one.truth.ids[name],
            "category_id": box.category,
            "segmentation": {"size": sizes[name], "counts": counts},
            "score": box.score,
        }
        for name, boxes in one.boxes.of.items()
        for box, counts in zip(boxes, masks[name], strict=True)
    ]
    return _measured(one.truth, results, MASKS)


def of_boxes(one: InstanceSet) -> Precision:
    """Average precision of a set's boxes themselves, which no choice of masks changes."""
    results = [
        {"image_id": one.truth.ids[name], "category_id": box.category, "bbox": box.bbox, "score": box.score}
        for name, boxes in one.boxes.of.items()
        for box in boxes
    ]
    return _measured(one.truth, results, BOXES)[0]


def overlaps(a: Sequence[str], b: Sequence[str], size: tuple[int, int]) -> list[float]:
    """IoU of each mask with the one in its place; 1 where both are empty.

    Args:
        a: compressed runs.
        b: likewise.
        size: width, height of the image.
    """
    from faster_coco_eval.core import mask

    found = []
    for mine, theirs in zip(a, b, strict=True):
        pair = [{"size": list(size[::-1]), "counts": counts} for counts in (mine, theirs)]
        (iou,) = np.ravel(mask.iou(pair[:1], pair[1:], [0]))
        found.append(1.0 if mine == theirs else float(iou))
    return found


def _measured(truth: Truth, results: list[dict[str, Any]], kind: str) -> tuple[Precision, tuple[CategoryScore, ...]]:
    from faster_coco_eval import COCO, COCOeval_faster

    content = {
        "images": list(truth.images),
        "annotations": [dict(one) for one in truth.annotations],  # the library adds to them
        "categories": list(truth.categories),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = COCO(content)
        scorer = COCOeval_faster(
            known, known.loadRes(results), kind, print_function=lambda *_: None, lvis_style=truth.lvis
        )
        if truth.lvis:
            scorer.params.maxDets = [LVIS_BOXES]
        scorer.evaluate()
        scorer.accumulate()
    # By IoU, recall, category, size (all, small, medium, large) and number of detections, the most last; -1 for none.
    precision = np.asarray(scorer.eval["precision"])[..., -1]
    recall = np.asarray(scorer.eval["recall"])[..., -1]
    categories = {one["id"]: one for one in truth.categories}
    order = [categories[int(number)] for number in scorer.params.catIds]
    frequency = np.array([one.get("frequency", "") for one in order])
    rare, common, frequent = (
        _mean(precision[:, :, frequency == name, 0]) if truth.lvis else None for name in FREQUENCIES
    )
    whole = Precision(
        ap=_mean(precision[..., 0]) or 0.0,
        ap50=_mean(precision[0, ..., 0]) or 0.0,
        ap75=_mean(precision[5, ..., 0]) or 0.0,
        ap_small=_mean(precision[..., 1]),
        ap_medium=_mean(precision[..., 2]),
        ap_large=_mean(precision[..., 3]),
        ar=_mean(recall[..., 0]) or 0.0,
        ap_rare=rare,
        ap_common=common,
        ap_frequent=frequent,
    )
    scores = ((one, _mean(precision[:, :, index, 0])) for index, one in enumerate(order))
    return whole, tuple(CategoryScore(one["id"], str(one.get("name", "")), ap) for one, ap in scores if ap is not None)


def _mean(values: np.ndarray) -> float | None:
    kept = values[values > -1]
    return round(float(kept.mean()), DIGITS) if kept.size else None
