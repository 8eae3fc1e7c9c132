"""Everything in an image, as `lightsam everything` waits for it: how long, and how much of that inside the runtimes."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lightsam.everything import Everything
from lightsam.predictor import Predictor
from lightsam.rules import Rules
from lightsam.stages import STAGE_NAMES, Arrays, Runner

from .timing import Samples


class WholeImage:
    """A call that finds everything in an image, and keeps of each call what the runtimes took of it."""

    def __init__(self, runners: Mapping[str, Runner], rules: Rules, point_slots: int | None, image: Path) -> None:
        """Join two stages.

        Args:
            runners: of the stages, by their names.
            rules: of the model.
            point_slots: see `lightsam.predictor.Predictor`.
            image: a file, which every call reads.
        """
        encoder, decoder = (self._watched(name, runners[name]) for name in STAGE_NAMES)
        self._predictor = Predictor(encoder, decoder, rules, point_slots=point_slots)
        self._image = image
        self._how = Everything()
        self._inside_ms: list[float] = []
        self._calls = dict.fromkeys(STAGE_NAMES, 0)
        self._found = 0

    def __call__(self) -> None:
        """Find everything once."""
        self._inside_ms.append(0.0)
        self._calls = dict.fromkeys(STAGE_NAMES, 0)
        encoding = self._predictor.encode(self._image)
        self._found = len(self._predictor.segment_everything(encoding, self._how))

    def _watched(self, name: str, run: Runner) -> Runner:
        def watched(inputs: Mapping[str, np.ndarray]) -> Arrays:
            began = time.perf_counter_ns()
            outputs = run(inputs)
            self._inside_ms[-1] += (time.perf_counter_ns() - began) / 1e6
            self._calls[name] += 1
            return outputs

        return watched

    def inside(self, whole: Samples) -> Samples:
        """What the runtimes took of the calls that were timed last.

        Args:
            whole: of these calls.
        """
        counted = len(whole.ms)
        warmup = self._inside_ms[-counted - len(whole.warmup_ms) : -counted]
        return Samples(tuple(warmup), tuple(self._inside_ms[-counted:]), whole.complete)

    @property
    def counts(self) -> dict[str, int]:
        """Of the last call."""
        return {
            "points": self._how.points_per_side**2,
            "decoder_calls": self._calls[STAGE_NAMES[1]],
            "masks": self._found,
        }
