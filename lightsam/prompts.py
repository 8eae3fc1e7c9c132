"""Prompts, and the decoder inputs that they become.

A box is its two corners with labels of their own, after the points, as in segment-anything
(https://github.com/facebookresearch/segment-anything). Padding points follow, as `PromptRules` of the model say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lightsam.errors import PromptError
from lightsam.geometry import Frame, mask_side
from lightsam.rules import PointLabel, PromptRules
from lightsam.stages import MASK_INPUT, Arrays


@dataclass(frozen=True, eq=False)
class Prompt:
    """What is wanted of an image: points, a box, both, and optionally the mask of an earlier prediction.

    Lists and arrays are taken as well as tuples, and kept as tuples: prompts compare and hash by their values.
    """

    points: Sequence[tuple[float, float]] = ()
    """x, y in pixels of the image."""
    labels: Sequence[int] = ()
    """One a point: 1 foreground, 0 background. All foreground when left out."""
    box: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1 in pixels of the image."""
    mask: np.ndarray | None = None
    """(4E, 4E) logits: one of the ``low_res_masks`` of an earlier prediction about the same image."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(_numbers(point, 2, "a point is x, y") for point in self.points))
        if self.box is not None:
            object.__setattr__(self, "box", _numbers(self.box, 4, "a box is x0, y0, x1, y1"))
        object.__setattr__(self, "labels", tuple(self.labels))
        if not self.labels:
            object.__setattr__(self, "labels", (int(PointLabel.FOREGROUND),) * len(self.points))
        if len(self.labels) != len(self.points):
            raise PromptError(f"{len(self.points)} points have {len(self.labels)} labels; give one label a point")
        wrong = [label for label in self.labels if label not in (PointLabel.FOREGROUND, PointLabel.BACKGROUND)]
        if wrong:
            raise PromptError(f"a point's label is 1 (foreground) or 0 (background), not {wrong[0]}")
        if len(self.points) == 0 and self.box is None and self.mask is None:
            raise PromptError("an empty prompt has no answer: give a point, a box or a mask")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prompt) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def _values(self) -> tuple[object, ...]:
        """What two equal prompts share; arrays neither compare to one bool nor hash."""
        mask = None if self.mask is None else (np.shape(self.mask), np.asarray(self.mask, np.float32).tobytes())
        return self.points, self.labels, self.box, mask

    @property
    def ambiguous(self) -> bool:
        """Whether it may mean a part or the whole: a lone point (https://arxiv.org/abs/2304.02643, section 3)."""
        return len(self.points) == 1 and self.box is None and self.mask is None

    def refusal(self, rules: PromptRules) -> str:
        """Why a model does not take it, in a sentence; empty if it does."""
        if self.mask is not None and not rules.masks:
            return "this model takes no mask as a prompt: give points or a box alone"
        if PointLabel.BACKGROUND in self.labels and not rules.background:
            return "this model takes no background points: give points of label 1, or a box"
        needed = len(self.points) + 2 * (self.box is not None)
        if rules.slots is not None and needed > rules.slots:
            return (
                f"this model takes at most {rules.slots} points, of which a box counts for two, and was given "
                f"{needed}: give fewer"
            )
        return ""

    def refined(self, mask: np.ndarray) -> "Prompt":
        """The same prompt with the mask of an earlier prediction: (4E, 4E) logits."""
        return replace(self, mask=mask)

    def check(self, frame: Frame) -> None:
        """See whether it is about this image.

        Args:
            frame: of the image.

        Raises:
            PromptError: for what lies outside the image, a box without area, or a mask of another size.
        """
        extent = f"the image, which is {frame.width} x {frame.height}"
        for x, y in self.points:
            if not (0 <= x < frame.width and 0 <= y < frame.height):
                raise PromptError(f"the point {x:g},{y:g} is outside {extent}")
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            text = f"the box {x0:g},{y0:g},{x1:g},{y1:g}"
            if not (x0 < x1 and y0 < y1):
                raise PromptError(f"{text} has no area: give x0,y0,x1,y1 with x0 < x1 and y0 < y1")
            if not (min(x0, y0) >= 0 and x1 <= frame.width and y1 <= frame.height):
                raise PromptError(f"{text} reaches outside {extent}")
        if self.mask is not None:
            side = mask_side(frame.image_size)
            if np.shape(self.mask) != (side, side):
                raise PromptError(
                    f"a mask prompt is ({side}, {side}) logits, one of an earlier prediction's low_res_masks; "
                    f"this one is {np.shape(self.mask)}"
                )
            if not np.isfinite(self.mask).all():
                raise PromptError("the mask prompt holds NaN or infinite logits")

    def tokens(self, frame: Frame, rules: PromptRules = PromptRules()) -> tuple[np.ndarray, np.ndarray]:  # noqa: B008
        """The points that the decoder gets.

        Args:
            frame: of the image.
            rules: of the model.

        Returns:
            Coordinates (n, 2) in the model's frame and labels (n,), float32: points first, then the corners of a box,
            then padding points.
        """
        coords = [frame.to_model(np.reshape(self.points, (-1, 2)))]
        labels = [float(label) for label in self.labels]
        if self.box is not None:
            coords.append(frame.to_model(np.reshape(self.box, (2, 2))))
            labels += [PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]
        padding = rules.padding_points(len(self.points), box=self.box is not None)
        coords.append(np.zeros((padding, 2), np.float32))
        labels += [PointLabel.PADDING] * padding
        return np.concatenate(coords), np.array(labels, np.float32)


def _numbers(values: object, count: int, what: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)  # type: ignore[attr-defined]  # whatever a caller gave
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count:
        raise PromptError(f"{what}, {count} numbers in pixels, and not {values!r}")
    return numbers


def encode_prompts(
    prompts: Sequence[Prompt],
    frame: Frame,
    point_slots: int | None = None,
    rules: PromptRules = PromptRules(),  # noqa: B008  # it is frozen
) -> Arrays:
    """Make the decoder's inputs, all but the embeddings, from prompts about one image.

    Args:
        prompts: B prompts, at least one.
        frame: of the image that they are about.
        point_slots: N of a format with static shapes; None takes as many as the longest prompt needs. Slots that a
            prompt does not need are empty, and nothing attends to them.
        rules: of the model.

    Returns:
        ``point_coords`` (B, N, 2), ``point_labels`` (B, N), and of a model that takes masks ``mask_input``
        (B, 1, 4E, 4E) and ``has_mask_input`` (B,); all float32.

    Raises:
        PromptError: for a prompt that does not fit the image, the slots or the model.
    """
    if not prompts:
        raise PromptError("there is no prompt to encode: give at least one")
    for prompt in prompts:
        prompt.check(frame)
        if refusal := prompt.refusal(rules):
            raise PromptError(refusal)
    tokens = [prompt.tokens(frame, rules) for prompt in prompts]
    needed = max(len(labels) for _, labels in tokens)
    slots = needed if point_slots is None else point_slots
    if needed > slots:
        raise PromptError(
            f"the prompt needs {needed} slots (its points, two for a box, and the model's padding point) and this "
            f"decoder has {slots}: give fewer points, or export it with --point-slots {needed}"
        )
    point_coords = np.zeros((len(prompts), slots, 2), np.float32)
    point_labels = np.full((len(prompts), slots), PointLabel.EMPTY, np.float32)
    for index, (coords, labels) in enumerate(tokens):
        point_coords[index, : len(labels)] = coords
        point_labels[index, : len(labels)] = labels
    inputs = {"point_coords": point_coords, "point_labels": point_labels}
    return {**inputs, **_encode_masks(prompts, frame)} if rules.masks else inputs


def _encode_masks(prompts: Sequence[Prompt], frame: Frame) -> Arrays:
    side = mask_side(frame.image_size)
    mask_input = np.zeros((len(prompts), 1, side, side), np.float32)
    for index, prompt in enumerate(prompts):
        if prompt.mask is not None:
            mask_input[index, 0] = prompt.mask
    has_mask_input = np.array([prompt.mask is not None for prompt in prompts], np.float32)
    return {MASK_INPUT: mask_input, "has_mask_input": has_mask_input}
