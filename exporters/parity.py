"""The judge: does a file answer as PyTorch does?

Three comparisons, because one hides errors: each stage alone on the reference's inputs, and the chained pair, the
candidate's encoder into the candidate's decoder. Everything is measured before anything is judged, and a report holds
all that failed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lightsam.metrics import (
    boundary_iou,
    cosine,
    flipped_pixels,
    mask_iou,
    max_abs_error,
    mean_abs_error,
    psnr_db,
    same_best,
    same_order,
    sqnr_db,
)
from lightsam.prompts import Prompt, encode_prompts
from lightsam.stages import (
    IOU_PREDICTIONS,
    LOW_RES_MASKS,
    MASKS,
    ORIG_IM_SIZE,
    STAGE_NAMES,
    Arrays,
    Runner,
    Stages,
)
from lightsam.transforms import MASK_THRESHOLD, to_model_input, upscale_masks

from .base import LoadedStage
from .gates import Gate
from .suite import Case, SuitePicture

CHAIN = "chain"
"""Scope of a measurement of both stages together; the others are the stages' names."""


@dataclass(frozen=True)
class MaskErrors:
    """How far masks are apart at the picture's own size; the worst of all masks of a case, but for the count."""

    mask_iou: float
    boundary_iou: float
    flipped_pixels: int
    """Of all masks together."""


@dataclass(frozen=True)
class Measurement:
    """One output of one stage, or of the chain, for one case: all its prompts and rounds together."""

    scope: str
    """"encoder", "decoder" or "chain"."""
    picture: str
    prompt: str
    """Name of the case; empty for the encoder, which sees none."""
    output: str
    psnr_db: float | None
    """None when both are equal in every bit."""
    sqnr_db: float | None
    """Likewise."""
    cosine: float
    max_abs_error: float
    mean_abs_error: float
    mask_iou: float | None
    """Of the worst mask; None for an output that is no mask."""
    boundary_iou: float | None
    """Likewise."""
    flipped_pixels: int | None
    """Of all masks together; None for an output that is no mask."""
    same_best: bool | None
    """Whether the best mask by predicted IoU is the reference's; None for other outputs."""
    same_order: bool | None
    """Whether the predicted IoUs rank the masks as the reference does; None for other outputs."""
    failure: str
    """What is wrong, in words; empty when it passed."""


@dataclass(frozen=True)
class ParityReport:
    """What the judge found about one export."""

    judge: str
    """Who ran the candidate."""
    suite: str
    """Name and version of the questions."""
    gate: Gate
    measurements: tuple[Measurement, ...] = ()
    other_failures: tuple[str, ...] = ()
    """What failed before it could be measured: a changed file, a missing output."""

    @property
    def failures(self) -> list[str]:
        """Everything that failed, a line each."""
        return [*self.other_failures, *(m.failure for m in self.measurements if m.failure)]

    @property
    def passed(self) -> bool:
        """Whether something was measured and nothing failed."""
        return bool(self.measurements) and not self.failures

    def as_dict(self) -> dict[str, Any]:
        """For the manifest; JSON has no infinity, so an exact match has a PSNR of null, as has a NaN, which fails."""
        return {"passed": self.passed, **_finite(asdict(self)), "failures": self.failures}

    def worst(self) -> list[Measurement]:
        """For every scope and output, the case with the lowest PSNR; failures first."""
        groups: dict[tuple[str, str], list[Measurement]] = {}
        for measurement in self.measurements:
            groups.setdefault((measurement.scope, measurement.output), []).append(measurement)
        return [min(group, key=lambda m: (not m.failure, _sortable(m.psnr_db))) for group in groups.values()]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _sortable(value: float | None) -> float:
    if value is None:
        return math.inf
    return -math.inf if math.isnan(value) else value


class Trial:
    """One picture of a suite, with the reference's answers: each is computed once, for all candidates."""

    def __init__(self, reference: Stages, picture: SuitePicture, point_slots: int | None = None) -> None:
        """Prepare a picture.

        Args:
            reference: whose answers are right.
            picture: and what is asked about it.
            point_slots: of the reference, where its shapes are static.
        """
        self.reference = reference
        self.point_slots = point_slots
        self.name = picture.name
        self.picture = picture.image
        self.cases = picture.cases
        self.image, self.frame = to_model_input(picture.image, reference.encoder.inputs[0].shape[-1])
        self._expected: dict[str, list[Arrays]] = {}

    @cached_property
    def embeddings(self) -> np.ndarray:
        """The reference's embeddings of the picture."""
        return self.reference.encoder.run({"image": self.image})["image_embeddings"]

    def against(self, reference: Stages) -> "Trial":
        """The same trial with another form of the reference's decoder; its embeddings are not computed again."""
        other = copy(self)
        other.reference = reference
        other._expected = {}
        return other

    def expected(self, case: Case) -> list[Arrays]:
        """The reference's answers, a round each."""
        if case.name not in self._expected:
            self._expected[case.name] = self.ask(self.reference.decoder.run, self.point_slots, self.embeddings, case)
        return self._expected[case.name]

    def ask(
        self,
        decoder: Runner,
        point_slots: int | None,
        embeddings: np.ndarray,
        case: Case,
        earlier: Sequence[Arrays] | None = None,
    ) -> list[Arrays]:
        """Ask a decoder every prompt of a case, in every round.

        Args:
            decoder: with the inputs and outputs of the contract.
            point_slots: of a decoder with static shapes, which is asked one prompt a call; None for a dynamic one.
            embeddings: (1, 256, E, E).
            earlier: whose masks are the prompts of the later rounds; None for the decoder's own.

        Returns:
            A round each, the prompts along the first axis.
        """
        rounds: list[Arrays] = []
        for index in range(case.rounds):
            prompts = list(case.prompts)
            if index:
                masks = (earlier or rounds)[index - 1].get(LOW_RES_MASKS, np.empty(0))  # (B, K, 4E, 4E)
                if masks.ndim != 4 or not np.isfinite(masks).all():
                    rounds.append(rounds[-1])  # nothing to go on with; it fails as it is
                    continue
                prompts = [prompt.refined(mask[0]) for prompt, mask in zip(prompts, masks, strict=True)]
            calls = [prompts] if point_slots is None else [[prompt] for prompt in prompts]
            answers = [decoder(self.inputs(embeddings, call, point_slots)) for call in calls]
            rounds.append(
                {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
                if len(answers) > 1
                else answers[0]
            )
        return rounds

    def inputs(self, embeddings: np.ndarray, prompts: Sequence[Prompt], point_slots: int | None) -> Arrays:
        """What a decoder is given for one call."""
        inputs = {"image_embeddings": embeddings, **encode_prompts(prompts, self.frame, point_slots)}
        if any(spec.name == ORIG_IM_SIZE for spec in self.reference.decoder.inputs):
            inputs[ORIG_IM_SIZE] = np.array([self.frame.height, self.frame.width], np.float32)
        return inputs

    def stage_inputs(self, stage: str, point_slots: int | None) -> Iterator[Arrays]:
        """What a stage is given about this picture, one call after the other; grids left out."""
        if stage == STAGE_NAMES[0]:
            yield {"image": self.image}
            return
        for case in self.cases:
            for prompt in () if case.chain_only else case.prompts:
                yield self.inputs(self.embeddings, [prompt], point_slots)

    def mask_errors(self, output: str, reference: np.ndarray, candidate: np.ndarray) -> MaskErrors | None:
        """Compare masks at the picture's own size; None for an output that is no mask.

        Args:
            output: its name; low-res masks are brought to the picture's size first.
            reference: (B, K, height, width) logits.
            candidate: likewise.
        """
        if output not in (LOW_RES_MASKS, MASKS):
            return None
        iou, boundary, flipped = 1.0, 1.0, 0
        for pair in zip(reference, candidate, strict=True):
            logits = [upscale_masks(masks, self.frame) for masks in pair] if output == LOW_RES_MASKS else pair
            for a, b in zip(*(masks > MASK_THRESHOLD for masks in logits), strict=True):
                wrong = flipped_pixels(a, b)
                if wrong:  # equal masks have an IoU of 1 and need no outlines
                    flipped += wrong
                    iou, boundary = min(iou, mask_iou(a, b)), min(boundary, boundary_iou(a, b))
        return MaskErrors(iou, boundary, flipped)


OnAnswer = Callable[[Trial, Case, Arrays, Arrays], None]
"""Told the last round's answers of the reference and of a candidate."""


def judge(
    trials: Sequence[Trial],
    suite: str,
    encoder: LoadedStage | None,
    decoder: LoadedStage | None,
    gate: Gate,
    other_failures: Sequence[str] = (),
    on_answer: OnAnswer = lambda *_: None,
) -> ParityReport:
    """Compare candidates with the reference.

    Args:
        trials: a picture each.
        suite: name and version of the questions.
        encoder: candidate, or None when there is only a decoder.
        decoder: likewise; the chain is judged when both are there.
        other_failures: found before, to stand in the same report.
        on_answer: shown what the chain answered, or the decoder where there is no encoder, beside the reference.
    """
    measurements: list[Measurement] = []
    failures = list(other_failures)
    for trial in trials:
        comparison = _Comparison(trial, gate, measurements, failures)
        embeddings: Arrays = {}
        if encoder is not None:
            embeddings = encoder({"image": trial.image})
            comparison.add("encoder", "", {"image_embeddings": trial.embeddings}, embeddings)
        for case in trial.cases if decoder is not None else ():
            assert decoder is not None  # by the line above
            slots = decoder.provenance.point_slots
            expected = trial.expected(case)
            found: list[Arrays] = []
            if not (case.chain_only and "image_embeddings" in embeddings):
                found = trial.ask(decoder, slots, trial.embeddings, case, earlier=expected)
                comparison.add("decoder", case.name, _stacked(expected), _stacked(found))
            own = embeddings.get("image_embeddings")
            if own is not None and own.shape == trial.embeddings.shape:
                found = trial.ask(decoder, slots, own, case)
                comparison.add(CHAIN, case.name, _stacked(expected), _stacked(found))
            on_answer(trial, case, expected[-1], found[-1])
    judges = dict.fromkeys(candidate.judge for candidate in (encoder, decoder) if candidate is not None)
    return ParityReport("; ".join(judges), suite, gate, tuple(measurements), tuple(failures))


def _stacked(rounds: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([answer[name] for answer in rounds]) for name in rounds[0]}


@dataclass
class _Comparison:
    """Measures the outputs about one picture, and collects what is wrong."""

    trial: Trial
    gate: Gate
    measurements: list[Measurement]
    failures: list[str]

    def add(self, scope: str, prompt: str, reference: Arrays, candidate: Arrays) -> None:
        """Compare every output of the reference, by name."""
        where = ", ".join(filter(None, (scope, self.trial.name, prompt)))
        for name, expected in reference.items():
            found = candidate.get(name)
            if found is None:
                self.failures.append(f"{where}: the output {name!r} is missing; there are {sorted(candidate)}")
            elif found.shape != expected.shape:
                self.failures.append(f"{where}: {name} is {found.shape}, the reference's is {expected.shape}")
            else:
                self.measurements.append(self._measure(scope, where, prompt, name, expected, found))

    def _measure(
        self, scope: str, where: str, prompt: str, name: str, expected: np.ndarray, found: np.ndarray
    ) -> Measurement:
        gate = self.gate
        decibels, noise = psnr_db(expected, found), sqnr_db(expected, found)
        masks = self.trial.mask_errors(name, expected, found)
        best = order = None
        if name == IOU_PREDICTIONS:
            rows = list(zip(expected, found, strict=True))
            best = all(same_best(a, b, gate.iou_tolerance) for a, b in rows)
            order = all(same_order(a, b, gate.iou_tolerance) for a, b in rows)
        reasons = []
        if not np.isfinite(found).all():
            reasons.append(f"{int((~np.isfinite(found)).sum())} values are NaN or infinite")
        elif scope != CHAIN and decibels < gate.psnr_db:
            reasons.append(f"PSNR {decibels:.1f} dB is below the gate of {gate.psnr_db:g} dB")
        if masks is not None:
            for what, value, least in (
                ("mask IoU", masks.mask_iou, gate.mask_iou),
                ("boundary IoU", masks.boundary_iou, gate.boundary_iou),
            ):
                if value < least:
                    reasons.append(f"{what} {value:.5f} is below the gate of {least:g}")
        if best is False:
            reasons.append("another mask has the best predicted IoU")
        if order is False:
            reasons.append("the predicted IoUs rank the masks in another order")
        return Measurement(
            scope=scope,
            picture=self.trial.name,
            prompt=prompt,
            output=name,
            psnr_db=None if decibels == math.inf else decibels,
            sqnr_db=None if noise == math.inf else noise,
            cosine=cosine(expected, found),
            max_abs_error=max_abs_error(expected, found),
            mean_abs_error=mean_abs_error(expected, found),
            mask_iou=None if masks is None else masks.mask_iou,
            boundary_iou=None if masks is None else masks.boundary_iou,
            flipped_pixels=None if masks is None else masks.flipped_pixels,
            same_best=best,
            same_order=order,
            failure=f"{where}: {name}: {'; '.join(reasons)}" if reasons else "",
        )
