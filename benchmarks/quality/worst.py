"""The worst answers of a run, kept so that people can look at them: a few masks, not all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightsam.prompts import Prompt

from .coco import Rle, encode

KEPT = 6
"""Of each subject and kind of prompt."""


@dataclass(frozen=True)
class Case:
    """One answer to look at."""

    subject: str
    prompts: str
    image: str
    index: int
    """Of the object within its image."""
    iou: float
    points: tuple[tuple[float, float], ...]
    labels: tuple[int, ...]
    box: tuple[float, float, float, float] | None
    mask: Rle
    """Run-length encoded, see `coco.decode`."""

    @property
    def prompt(self) -> Prompt:
        """What was asked, without a mask prompt."""
        return Prompt(self.points, self.labels, self.box)


class Worst:
    """The lowest IoUs of one subject so far, by kind of prompt.

    Whatever is among the worst of the whole run was among the worst when it came, so nothing else need be encoded.
    """

    def __init__(self, subject: str, known: Sequence[Case]) -> None:
        """Go on from what an earlier process kept."""
        self._subject = subject
        self._cases: dict[str, list[Case]] = {}
        for case in known:
            self._keep(case)

    def offer(self, image: str, kind: str, index: int, iou: float, mask: np.ndarray, prompt: Prompt) -> Case | None:
        """Keep an answer if it is among the worst; returns what was kept."""
        cases = self._cases.get(kind, [])
        if len(cases) == KEPT and iou >= cases[-1].iou:
            return None
        points = tuple((float(x), float(y)) for x, y in prompt.points)
        labels = tuple(int(label) for label in prompt.labels)
        case = Case(self._subject, kind, image, index, iou, points, labels, prompt.box, encode(mask))
        self._keep(case)
        return case

    def _keep(self, case: Case) -> None:
        cases = self._cases.setdefault(case.prompts, [])
        cases.append(case)
        cases.sort(key=lambda one: one.iou)
        del cases[KEPT:]

    @property
    def cases(self) -> list[Case]:
        """The worst first, by kind of prompt."""
        return [case for cases in self._cases.values() for case in cases]
