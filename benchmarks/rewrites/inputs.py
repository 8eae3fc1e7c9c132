"""What the files of a case are given: a photograph, or points on it with the embeddings that PyTorch gives for it."""

from pathlib import Path

import numpy as np

from lightsam.prompts import encode_prompts
from lightsam.stages import STAGE_NAMES, Arrays, Stages
from lightsam.transforms import open_image, to_model_input
from lightsam_benchmarks.latency.worker import taps

from .table import Case


class Inputs:
    """Inputs about one image, for the files of one model."""

    def __init__(self, stages: Stages, image: Path) -> None:
        """Prepare them.

        Args:
            stages: of the model, whose encoder is run where a decoder asks for it.
            image: a photograph.
        """
        self._stages = stages
        self._image = image
        self._pixels, self._frame = to_model_input(open_image(image), stages.preprocess)
        self._features: Arrays | None = None

    def of(self, case: Case) -> Arrays:
        """As the stage contract has them."""
        if case.stage == STAGE_NAMES[0]:
            return {"image": self._pixels}
        if self._features is None:
            self._features = self._stages.encoder.run({"image": self._pixels})
        points = taps(self._image, case.prompts)
        return {**self._features, **encode_prompts(points, self._frame, case.slots, self._stages.rules.prompts)}

    def for_authors(self, case: Case) -> Arrays:
        """As the authors' graphs take them: the image is normalised, and zero where it is padded."""
        inputs = self.of(case)
        if case.stage != STAGE_NAMES[0]:
            return inputs
        rules = self._stages.preprocess
        mean, std = (np.array(values, np.float32)[None, :, None, None] for values in (rules.mean, rules.std))
        normalised = (inputs["image"] - mean) / std
        width, height = self._frame.resized
        padded = np.zeros_like(normalised)
        padded[..., :height, :width] = normalised[..., :height, :width]
        return {"image": padded}
