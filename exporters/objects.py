"""What a compressed model loses in masks, on photographs that nobody has annotated.

The uncompressed model is asked by a grid of points; the masks of which it is sure become objects. Each object is then
prompted by its box and by the point deepest inside, as in an evaluation on ground truth. Even the uncompressed model
does not give its own objects back exactly, so what counts is the difference: its mIoU less that of a compressed one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lightsam.errors import UsageError
from lightsam.geometry import Frame
from lightsam.metrics import mask_iou, outline_band, stability_score
from lightsam.predictor import Encoding, Predictor
from lightsam.prompts import Prompt
from lightsam.stages import Arrays, Runner, Stages
from lightsam.transforms import to_model_input

_GRID = 6
"""Points along each side of an image."""
_POINTS_A_CALL = 12
"""Bounds memory: a prompt's activations in the decoder take some 20 MB."""
_MOST = 6
"""Objects of an image, the surest first: one busy photograph must not outweigh the others."""
_LEAST_IOU, _LEAST_STABILITY = 0.8, 0.85
"""What a mask must have to be an object: by the model's own prediction, and by how little the threshold matters."""
_SAME = 0.7
"""IoU of two masks that are one object."""
_LEAST_SHARE, _MOST_SHARE = 0.002, 0.6
"""Of the image: smaller ones are noise, larger ones background."""


@dataclass(frozen=True)
class ImageObjects:
    """One image and the objects that the uncompressed model sees in it."""

    pixels: np.ndarray
    """(1, 3, S, S) float32, as the encoder takes it."""
    frame: Frame
    features: Arrays
    """Of the uncompressed encoder."""
    masks: np.ndarray
    """(N, height, width) bool, one a prompt: each object twice."""
    prompts: tuple[Prompt, ...]
    """In pixels of the image: the box and the deepest point of each object, as far as the model takes them."""


def find_objects(stages: Stages, images: Iterable[Image.Image]) -> list[ImageObjects]:
    """The objects of every image that has some.

    Raises:
        UsageError: if none has any.
    """
    predictor = Predictor(stages.encoder.run, stages.decoder.run, stages.rules)
    found = [one for image in images if (one := _of_image(predictor, image)) is not None]
    if not found:
        raise UsageError(
            "the model is sure of no object in the calibration images, so nothing can be measured on them: give "
            "--calibration a folder of photographs with clear objects, and trained weights"
        )
    return found


def ious(
    image: ImageObjects,
    stages: Stages,
    features: Arrays | None = None,
    decoder: Runner | None = None,
    slots: int | None = None,
) -> list[float]:
    """IoU of the answer to every prompt with its object.

    Args:
        image: with its objects.
        stages: of the uncompressed model, which answers where there is no candidate.
        features: of a candidate encoder; None for those of the uncompressed one.
        decoder: a candidate.
        slots: of a candidate decoder with static shapes.
    """
    own = decoder is not None
    predictor = Predictor(
        stages.encoder.run,
        decoder if decoder is not None else stages.decoder.run,
        stages.rules,
        point_slots=slots if own else None,
    )
    encoding = Encoding(image.features if features is None else features, image.frame)
    answers = predictor.predict_batch(encoding, image.prompts, best_only=True)
    return [mask_iou(mask, answer.masks[0]) for mask, answer in zip(image.masks, answers, strict=True)]


def mean_iou(
    images: Sequence[ImageObjects], stages: Stages, encoder: Runner | None, decoder: Runner | None, slots: int | None
) -> float:
    """MIoU over all prompts of all images, as `ious`; ``encoder`` is a candidate or None."""
    found = [
        iou
        for one in images
        for iou in ious(one, stages, None if encoder is None else encoder({"image": one.pixels}), decoder, slots)
    ]
    return float(np.mean(found))


def _of_image(predictor: Predictor, image: Image.Image) -> ImageObjects | None:
    pixels, frame = to_model_input(image, predictor.rules.preprocess)
    encoding = predictor.encode(image)
    masks, prompts = [], []
    for mask in _objects(predictor, encoding, image.size):
        for prompt in _prompts(mask):
            if not prompt.refusal(predictor.rules.prompts):
                masks.append(mask)
                prompts.append(prompt)
    return ImageObjects(pixels, frame, encoding.features, np.stack(masks), tuple(prompts)) if masks else None


def _objects(predictor: Predictor, encoding: Encoding, size: tuple[int, int]) -> list[np.ndarray]:
    """Masks of which the model is sure, the surest first, each of another object."""
    width, height = size
    steps = (np.arange(_GRID) + 0.5) / _GRID
    grid = [Prompt(points=[(float(x * width), float(y * height))]) for y in steps for x in steps]
    candidates: list[tuple[float, np.ndarray]] = []
    for begin in range(0, len(grid), _POINTS_A_CALL):
        for answer in predictor.predict_batch(encoding, grid[begin : begin + _POINTS_A_CALL], best_only=True):
            mask, sure = answer.masks[0], float(answer.iou_predictions[0])
            stable = stability_score(answer.low_res_masks[0])
            if sure >= _LEAST_IOU and stable >= _LEAST_STABILITY and _LEAST_SHARE <= mask.mean() <= _MOST_SHARE:
                candidates.append((sure, mask))
    kept: list[np.ndarray] = []
    for _, mask in sorted(candidates, key=lambda one: -one[0]):
        if len(kept) < _MOST and all(mask_iou(mask, other) < _SAME for other in kept):
            kept.append(mask)
    return kept


def _prompts(mask: np.ndarray) -> Iterator[Prompt]:
    """The tight box, in pixel edges, and the centre of the deepest pixel."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    yield Prompt(box=(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)))
    yield Prompt(points=[deepest_pixel(mask)])


def deepest_pixel(mask: np.ndarray) -> tuple[float, float]:
    """x, y of a pixel of a (height, width) mask that is as far from its outline as any, counted in rows and columns."""
    low, high = 0, min(mask.shape)
    inside = mask
    while high - low > 1:
        middle = (low + high) // 2
        left = mask & ~outline_band(mask, middle)
        if left.any():
            low, inside = middle, left
        else:
            high = middle
    y, x = np.argwhere(inside)[0]
    return float(x), float(y)
