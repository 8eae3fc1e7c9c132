"""One image of a suite, and what is asked about it: of PyTorch once, and of every file in the same way."""

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property

import numpy as np

from lightsam.prompts import Prompt, encode_prompts
from lightsam.stages import IOU_PREDICTIONS, LOW_RES_MASKS, ORIG_IM_SIZE, STAGE_NAMES, Arrays, Runner, Stages
from lightsam.transforms import to_model_input

from .suite import Case, SuiteImage


class ReferenceImage:
    """One image of a suite, with the reference's answers: each is computed once, for all candidates."""

    def __init__(self, reference: Stages, image: SuiteImage, point_slots: int | None = None) -> None:
        """Prepare an image.

        Args:
            reference: whose answers are right.
            image: and what is asked about it.
            point_slots: of the reference, where its shapes are static.
        """
        self.reference = reference
        self.point_slots = point_slots
        self.name = image.name
        self.image = image.image
        rules = reference.rules.prompts
        asked = [(case, case.for_model(rules)) for case in image.cases]
        self.cases = tuple(taken for _, taken in asked if taken is not None)
        self.left_out = tuple(
            case.name if taken is None else f"{case.name} after its first round"
            for case, taken in asked
            if taken != case
        )
        """Names of the cases, or what of them, that the model does not take."""
        self.pixels, self.frame = to_model_input(image.image, reference.preprocess)
        self._expected: dict[str, list[Arrays]] = {}

    @cached_property
    def features(self) -> Arrays:
        """The reference's feature maps of the image."""
        return self.reference.encoder.run({"image": self.pixels})

    def against(self, reference: Stages) -> "ReferenceImage":
        """The same image with another form of the reference's decoder; its features are not computed again."""
        assert self.features  # computed by now, and copied
        other = copy(self)
        other.reference = reference
        other._expected = {}
        return other

    def expected(self, case: Case) -> list[Arrays]:
        """The reference's answers, a round each."""
        if case.name not in self._expected:
            self._expected[case.name] = self.ask(self.reference.decoder.run, self.point_slots, self.features, case)
        return self._expected[case.name]

    def shown(self, case: Case) -> list[list[int]]:
        """Which mask a user is shown, as the reference chooses: an index a prompt, a list of them a round."""
        return [self._shown(case, index, prediction) for index, prediction in enumerate(self.expected(case))]

    def _shown(self, case: Case, index: int, prediction: Arrays) -> list[int]:
        answers = zip(case.prompts, prediction[LOW_RES_MASKS], prediction[IOU_PREDICTIONS], strict=True)
        # Only the first round asks without a mask.
        return [
            self.reference.rules.masks.shown(masks, ious, ambiguous=index == 0 and prompt.ambiguous)
            for prompt, masks, ious in answers
        ]

    def ask(
        self,
        decoder: Runner,
        point_slots: int | None,
        features: Arrays,
        case: Case,
        *,
        expected: Sequence[Arrays] | None = None,
        forced: bool = False,
    ) -> list[Arrays]:
        """Ask a decoder every prompt of a case, in every round.

        Later rounds refine the mask that a user was shown. A file follows the reference's choice among the masks:
        were a tie to fall the other way, its later rounds would be about another thing.

        Args:
            decoder: with the inputs and outputs of the contract.
            point_slots: of a decoder with static shapes, which is asked one prompt a call; None for a dynamic one.
            features: all that the encoder gave.
            expected: the reference's answers, whose choice of masks is followed; None for the decoder's own.
            forced: whether later rounds are given the masks of ``expected`` and not the decoder's own.

        Returns:
            A round each, the prompts along the first axis.
        """
        rounds: list[Arrays] = []
        for index in range(case.rounds):
            prompts = list(case.prompts)
            if index:
                choosing = rounds if expected is None else expected
                shown = self._shown(case, index - 1, choosing[index - 1])
                masks = (choosing if forced else rounds)[index - 1].get(LOW_RES_MASKS, np.empty(0))  # (B, K, 4E, 4E)
                if masks.ndim != 4 or masks.shape[1] <= max(shown) or not np.isfinite(masks).all():
                    rounds.append(rounds[-1])  # nothing to go on with; it fails as it is
                    continue
                prompts = [prompt.refined(mask[k]) for prompt, mask, k in zip(prompts, masks, shown, strict=True)]
            calls = [prompts] if point_slots is None else [[prompt] for prompt in prompts]
            predictions = [decoder(self.inputs(features, call, point_slots)) for call in calls]
            rounds.append(
                {name: np.concatenate([prediction[name] for prediction in predictions]) for name in predictions[0]}
                if len(predictions) > 1
                else predictions[0]
            )
        return rounds

    def inputs(self, features: Arrays, prompts: Sequence[Prompt], point_slots: int | None) -> Arrays:
        """What a decoder is given for one call."""
        encoded = encode_prompts(prompts, self.frame, point_slots, self.reference.rules.prompts)
        inputs = {**features, **encoded}
        if any(spec.name == ORIG_IM_SIZE for spec in self.reference.decoder.inputs):
            inputs[ORIG_IM_SIZE] = np.array([self.frame.height, self.frame.width], np.float32)
        return inputs

    def stage_inputs(self, stage: str, point_slots: int | None) -> Iterator[Arrays]:
        """What a stage is given about this image, one call after the other; grids left out."""
        if stage == STAGE_NAMES[0]:
            yield {"image": self.pixels}
            return
        for case in self.cases:
            for prompt in () if case.chain_only else case.prompts:
                yield self.inputs(self.features, [prompt], point_slots)
