"""What a caller must know of a model to use its two stages: how images, prompts and masks pass in and out.

A model's parts state these rules; the predictor, the judge, ``export.json`` and the contract's page read them from
`Rules`, so that nothing asks for a model by its name.
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np

from lightsam.geometry import Preprocess
from lightsam.metrics import stability_score


class PointLabel(IntEnum):
    """What a point means; the values of ``point_labels``."""

    EMPTY = -2
    """An unused slot: nothing attends to it."""
    PADDING = -1
    """A padding point of the model's own, as `Padding` says. It is attended to."""
    BACKGROUND = 0
    FOREGROUND = 1
    BOX_TOP_LEFT = 2
    BOX_BOTTOM_RIGHT = 3


class Padding(StrEnum):
    """Which padding points, at (0, 0) and labelled -1, the caller puts behind those of a prompt."""

    WITHOUT_BOX = "without_box"
    """One where there are points and no box: SAM, https://github.com/facebookresearch/segment-anything."""
    ALWAYS = "always"
    """One where there is a point or a box: SAM 2, https://github.com/facebookresearch/sam2."""
    FILL = "fill"
    """As many as fill all slots: EfficientSAM, https://github.com/yformer/EfficientSAM."""


@dataclass(frozen=True)
class PromptRules:
    """Which prompts a model takes."""

    masks: bool = True
    """Whether a prompt may hold the mask of an earlier prediction."""
    background: bool = True
    """Whether a point may say what is not wanted."""
    padding: Padding = Padding.WITHOUT_BOX
    slots: int | None = None
    """N, where the model itself fixes it; None where a file may have any number. Fixed slots are never empty."""

    @property
    def labels(self) -> tuple[PointLabel, ...]:
        """All that ``point_labels`` may hold."""
        taken = {PointLabel.BACKGROUND: self.background, PointLabel.EMPTY: self.slots is None}
        return tuple(label for label in PointLabel if taken.get(label, True))

    def padding_points(self, points: int, *, box: bool) -> int:
        """How many padding points follow a prompt.

        Args:
            points: of the prompt, without the corners of its box.
            box: whether there is one.
        """
        if self.padding is Padding.FILL:
            assert self.slots is not None
            return max(0, self.slots - points - 2 * box)
        if self.padding is Padding.ALWAYS:
            return int(points > 0 or box)
        return int(points > 0 and not box)


@dataclass(frozen=True)
class StabilityFallback:
    """When a single answer is too unsure to be shown.

    Its stability score is the IoU of the mask thresholded at ``delta`` and at ``-delta``, on low-res logits.
    """

    delta: float
    """In logits."""
    threshold: float
    """Least stability score of an answer that is shown."""

    def stability(self, low_res_mask: np.ndarray) -> float:
        """Of one mask, (4E, 4E) logits; 1 for a mask that is empty at both thresholds."""
        return stability_score(low_res_mask, self.delta)


@dataclass(frozen=True)
class MaskRules:
    """Which masks a decoder gives, and which of them answers a prompt."""

    count: int = 4
    """K."""
    single: bool = True
    """Whether mask 0 is the single answer to a clear prompt, and the others are those of an ambiguous one. Where it is
    not, the best of all masks by predicted IoU answers a clear prompt."""
    fallback: StabilityFallback | None = None
    """When the best of the other masks is shown in place of an unstable mask 0."""

    def competing(self, low_res_masks: np.ndarray, *, ambiguous: bool) -> slice:
        """The masks among which the highest predicted IoU decides what is shown.

        Args:
            low_res_masks: (K, 4E, 4E) logits.
            ambiguous: whether the prompt may mean a part or the whole, as a lone point may.

        Returns:
            A slice of the K masks.
        """
        if not self.single:
            return slice(0, None)
        if ambiguous:
            return slice(1, None)
        if self.fallback is not None and self.fallback.stability(low_res_masks[0]) < self.fallback.threshold:
            return slice(1, None)
        return slice(0, 1)

    def shown(self, low_res_masks: np.ndarray, iou_predictions: np.ndarray, *, ambiguous: bool) -> int:
        """Index of the one mask that a user is shown.

        Args:
            low_res_masks: (K, 4E, 4E) logits.
            iou_predictions: (K,).
            ambiguous: as for `competing`.
        """
        competing = self.competing(low_res_masks, ambiguous=ambiguous)
        return (competing.start or 0) + int(iou_predictions[competing].argmax())


@dataclass(frozen=True)
class Rules:
    """All of them, of one model at one image size."""

    preprocess: Preprocess
    prompts: PromptRules = field(default_factory=PromptRules)
    masks: MaskRules = field(default_factory=MaskRules)
