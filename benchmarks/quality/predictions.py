"""One image, one subject: encode it once, answer every object's prompts, score the masks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import torch
from torch.nn import functional as F

from lightsam.geometry import Frame
from lightsam.predictor import Encoding, Prediction, Predictor
from lightsam.prompts import Prompt

from .dataset import Sample
from .evaluation import BEST, BOX, CLICKS, POINT, THROUGH_MODEL, Evaluation
from .places import open_image_at
from .prompts import Click, box_of, centre, next_click
from .scores import Target

PROMPTS_A_CALL = 4
"""Of decoders that take several: bounds memory, and on a CPU PyTorch takes twice as long per prompt with 16."""

OnPrediction = Callable[[str, int, float, np.ndarray, Prompt], None]
"""Told of every final answer: kind of prompt, index of the object, IoU, mask, prompt."""


@dataclass
class Scores:
    """Of one kind of prompt on one image: a number an object, in the order of the ground truth."""

    ious: list[float] = field(default_factory=list)
    """After the last click, of clicks."""
    boundary_ious: list[float] = field(default_factory=list)
    click_ious: list[list[float]] = field(default_factory=list)
    """Of clicks alone: after each of them."""
    not_finite: int = 0
    """Answers with NaN or infinite logits; their masks are scored as they are."""


def prediction(
    predictor: Predictor, sample: Sample, evaluation: Evaluation, on_prediction: OnPrediction = lambda *_: None
) -> dict[str, Scores]:
    """Scores by kind of prompt.

    Raises:
        ImageError: if the image cannot be read.
        PromptError: if the decoder has too few slots for the clicks.
    """
    settings, rules = evaluation.settings, evaluation.rules
    encoding = predictor.encode(open_image_at(sample.path))
    decode = sample.read()
    rng = np.random.default_rng([evaluation.seed, crc32(sample.name.encode())])  # whatever came before
    scores = {kind: Scores() for kind in settings}

    def note(kind: str, index: int, target: Target, found: Prediction, prompt: Prompt, iou: float) -> None:
        scores[kind].ious.append(iou)
        scores[kind].boundary_ious.append(target.boundary_iou(found.masks[0]))
        on_prediction(kind, index, iou, found.masks[0], prompt)

    for start in range(0, len(sample.objects), PROMPTS_A_CALL):
        indices = range(start, min(start + PROMPTS_A_CALL, len(sample.objects)))
        targets = [Target(_ground_truth(decode(index), encoding.frame, evaluation)) for index in indices]
        if BOX in settings:
            boxes = [
                Prompt(box=box_of(sample.objects[index], target.mask, rules))
                for index, target in zip(indices, targets, strict=True)
            ]
            for index, target, found, prompt in zip(
                indices, targets, _ask(predictor, encoding, boxes, rules.box_mask, scores[BOX]), boxes, strict=True
            ):
                note(BOX, index, target, found, prompt, target.iou(found.masks[0]))
        if POINT in settings or CLICKS in settings:
            for kind, position, found, prompt, ious in _clicked(predictor, encoding, targets, evaluation, scores, rng):
                if kind == CLICKS:
                    scores[CLICKS].click_ious.append(ious)
                note(kind, indices[position], targets[position], found, prompt, ious[-1])
    return scores


def _ask(
    predictor: Predictor, encoding: Encoding, prompts: Sequence[Prompt], mask: str, *counted: Scores
) -> list[Prediction]:
    predictions = predictor.predict_batch(encoding, prompts, multimask=mask == BEST, best_only=True)
    for one in counted:
        one.not_finite += sum(not np.isfinite(found.low_res_masks).all() for found in predictions)
    return predictions


def _clicked(
    predictor: Predictor,
    encoding: Encoding,
    targets: Sequence[Target],
    evaluation: Evaluation,
    scores: dict[str, Scores],
    rng: np.random.Generator,
) -> Iterator[tuple[str, int, Prediction, Prompt, list[float]]]:
    """Answers to the lone point, which is the first click, and to the last of all clicks, with the IoUs until then."""
    rules = evaluation.rules
    clicks: list[list[Click]] = [[centre(target.mask)] for target in targets]
    prompts = [_prompt(one, None) for one in clicks]
    counted = [scores[kind] for kind in (POINT, CLICKS) if kind in scores]
    predictions = _ask(predictor, encoding, prompts, rules.point_mask, *counted)
    ious = [[target.iou(found.masks[0])] for target, found in zip(targets, predictions, strict=True)]
    if POINT in scores:
        for position, found in enumerate(predictions):
            yield POINT, position, found, prompts[position], ious[position]
    if CLICKS not in scores:
        return
    for _ in range(evaluation.clicks - 1):
        going = []
        for position, target in enumerate(targets):
            click = next_click(target.mask, predictions[position].masks[0], clicks[position], rules, rng)
            if click is not None:  # else the mask is perfect, and stays so
                going.append(position)
                clicks[position].append(click)
                previous = predictions[position].low_res_masks[0] if rules.mask_prompt else None
                prompts[position] = _prompt(clicks[position], previous)
        again = [prompts[position] for position in going]
        refined = _ask(predictor, encoding, again, rules.clicks_mask, scores[CLICKS]) if again else []
        for position, found in zip(going, refined, strict=True):
            predictions[position] = found
        for position, target in enumerate(targets):
            latest = target.iou(predictions[position].masks[0]) if position in going else ious[position][-1]
            ious[position].append(latest)
    for position, found in enumerate(predictions):
        yield CLICKS, position, found, prompts[position], ious[position]


def _prompt(clicks: Sequence[Click], previous: np.ndarray | None) -> Prompt:
    return Prompt([(click.x, click.y) for click in clicks], [click.label for click in clicks], mask=previous)


def _ground_truth(mask: np.ndarray, frame: Frame, evaluation: Evaluation) -> np.ndarray:
    """The mask that answers are compared with, of the image's size.

    EdgeSAM's evaluation brings it to the model's input by the nearest pixel and back bilinearly, and counts what is
    above 0, which widens it a little; a mask that vanishes on the way stays as it is.
    """
    if evaluation.rules.resolution != THROUGH_MODEL:
        return mask
    width, height = frame.resized
    inside = F.interpolate(torch.from_numpy(mask).float()[None, None], (height, width), mode="nearest")
    back = F.interpolate(inside, mask.shape, mode="bilinear", align_corners=False)[0, 0].numpy() > 0
    return back if back.any() else mask
