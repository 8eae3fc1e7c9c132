"""The judge: does a file answer as PyTorch does?

Three comparisons, because one hides errors: each stage alone on the reference's inputs, and the chained pair, the
candidate's encoder into the candidate's decoder. Everything is measured before anything is judged, and a report holds
all that failed. Held to the gate are the mask that a user is shown and every other one about which the reference is
decided; see `masks`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lightsam.metrics import cosine, max_abs_error, mean_abs_error, psnr_db, same_best, same_order, sqnr_db
from lightsam.stages import IOU_PREDICTIONS, LOW_RES_MASKS, Arrays
from lightsam_exporters.formats.gate import Gate
from lightsam_exporters.formats.running import LoadedStage

from .masks import MaskErrors, compare_masks
from .measurement import Measurement, ParityReport
from .reference_image import ReferenceImage
from .suite import Case

CHAIN = "chain"
"""Scope of a measurement of both stages together; the others are the stages' names."""


OnPrediction = Callable[[ReferenceImage, Case, Arrays, Arrays], None]
"""Told the last round's answers of the reference and of a candidate."""


def judge(
    reference_images: Sequence[ReferenceImage],
    suite: str,
    encoder: LoadedStage | None,
    decoder: LoadedStage | None,
    gate: Gate,
    other_failures: Sequence[str] = (),
    on_prediction: OnPrediction = lambda *_: None,
    *,
    decoder_gate: Gate | None = None,
) -> ParityReport:
    """Compare candidates with the reference.

    Args:
        reference_images: with what is asked about each.
        suite: name and version of the questions.
        encoder: candidate, or None when there is only a decoder.
        decoder: likewise; the chain is judged when both are there.
        gate: what both stages and the chain must reach.
        other_failures: found before, to stand in the same report.
        decoder_gate: what the decoder alone must reach, where its precision is another; the chain is then held to the
            looser of both.
        on_prediction: shown what the chain answered, or the decoder where there is no encoder, beside the reference.
    """
    measurements: list[Measurement] = []
    failures = list(other_failures)
    loosest = min((gate, decoder_gate or gate), key=lambda one: one.psnr_db)
    gates = {"encoder": gate, "decoder": decoder_gate or gate, CHAIN: loosest}
    for reference_image in reference_images:
        comparison = _Comparison(reference_image, gates, measurements, failures)
        own: Arrays = {}
        if encoder is not None:
            own = encoder({"image": reference_image.pixels})
            comparison.add("encoder", None, reference_image.features, own)
        chained = _alike(own, reference_image.features)
        for case in reference_image.cases if decoder is not None else ():
            assert decoder is not None  # by the line above
            slots = decoder.provenance.point_slots
            expected = reference_image.expected(case)
            found: list[Arrays] = []
            if not (case.chain_only and own):
                found = reference_image.ask(
                    decoder, slots, reference_image.features, case, expected=expected, forced=True
                )
                comparison.add("decoder", case, _stacked(expected), _stacked(found))
            if chained:
                found = reference_image.ask(decoder, slots, own, case, expected=expected)
                comparison.add(CHAIN, case, _stacked(expected), _stacked(found))
            if found:  # features of another shape have no answers to what is asked of the chain alone
                on_prediction(reference_image, case, expected[-1], found[-1])
    candidates = [candidate for candidate in (encoder, decoder) if candidate is not None]
    judges = "; ".join(dict.fromkeys(candidate.judge for candidate in candidates))
    simulated = any(candidate.simulated for candidate in candidates)
    left_out = tuple(f"{one.name}: {case}" for one in reference_images for case in one.left_out)
    return ParityReport(judges, suite, gate, tuple(measurements), tuple(failures), simulated, left_out, decoder_gate)


def _alike(own: Arrays, reference: Arrays) -> bool:
    """Whether a candidate's feature maps can be given to a decoder."""
    return all(name in own and own[name].shape == expected.shape for name, expected in reference.items())


def _stacked(rounds: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([prediction[name] for prediction in rounds]) for name in rounds[0]}


@dataclass
class _Comparison:
    """Measures the outputs about one image, and collects what is wrong."""

    reference_image: ReferenceImage
    gates: Mapping[str, Gate]
    """By scope."""
    measurements: list[Measurement]
    failures: list[str]

    def add(self, scope: str, case: Case | None, reference: Arrays, candidate: Arrays) -> None:
        """Compare every output of the reference, by name; without a case those of the encoder."""
        where = ", ".join(filter(None, (scope, self.reference_image.name, case.name if case else "")))
        for name, expected in reference.items():
            found = candidate.get(name)
            if found is None:
                self.failures.append(f"{where}: the output {name!r} is missing; there are {sorted(candidate)}")
            elif found.shape != expected.shape:
                self.failures.append(f"{where}: {name} is {found.shape}, the reference's is {expected.shape}")
            else:
                same = None
                if name == IOU_PREDICTIONS:
                    same = self._same_choice(scope, case, reference, candidate)
                self.measurements.append(self._measure(scope, where, case, name, expected, found, same))

    def _same_choice(self, scope: str, case: Case | None, reference: Arrays, candidate: Arrays) -> bool | None:
        """Whether the mask that answers each prompt is the reference's, where there are several to choose from.

        A choice that the reference itself hardly makes is no other choice: scores within the tolerance tie.

        Args:
            reference: (rounds * prompts, ...) outputs; only the first round asks without a mask.
            candidate: likewise.
        """
        masks = candidate.get(LOW_RES_MASKS)
        if case is None or masks is None or masks.shape != reference[LOW_RES_MASKS].shape:
            return None
        rules, tolerance = self.reference_image.reference.rules.masks, self.gates[scope].iou_tolerance
        same: list[bool] = []
        rows = zip(reference[LOW_RES_MASKS], masks, reference[IOU_PREDICTIONS], candidate[IOU_PREDICTIONS], strict=True)
        for index, (expected_masks, found_masks, expected, found) in enumerate(rows):
            ambiguous = index < len(case.prompts) and case.prompts[index].ambiguous
            ours = rules.competing(expected_masks, ambiguous=ambiguous)
            theirs = rules.competing(found_masks, ambiguous=ambiguous)
            if ours != theirs:
                assert rules.fallback is not None  # nothing else depends on the masks
                margin = rules.fallback.stability(expected_masks[0]) - rules.fallback.threshold
                same.append(abs(margin) <= tolerance)
            elif len(expected[ours]) > 1:
                same.append(same_best(expected[ours], found[ours], tolerance))
        return all(same) if same else None

    def _measure(
        self,
        scope: str,
        where: str,
        case: Case | None,
        name: str,
        expected: np.ndarray,
        found: np.ndarray,
        choice: bool | None,
    ) -> Measurement:
        gate = self.gates[scope]
        specs = [spec for stage in self.reference_image.reference for spec in stage.outputs]
        magnitude = next(spec.magnitude for spec in specs if spec.name == name)
        decibels, noise = psnr_db(expected, found, magnitude), sqnr_db(expected, found)
        masks = order = None
        if case is not None:
            shown = [index for prediction in self.reference_image.shown(case) for index in prediction]
            masks = compare_masks(name, expected, found, self.reference_image.frame, shown, gate.rounding)
            if name == IOU_PREDICTIONS:
                order = all(same_order(a, b, gate.iou_tolerance) for a, b in zip(expected, found, strict=True))
        reasons = []
        if not np.isfinite(found).all():
            reasons.append(f"{int((~np.isfinite(found)).sum())} values are NaN or infinite")
        elif scope != CHAIN and decibels < gate.psnr_db and not _ties(name, expected, found, gate):
            reasons.append(f"PSNR {decibels:.1f} dB is below the gate of {gate.psnr_db:g} dB")
        if masks is not None:
            reasons += _below(gate, "the mask that is shown", masks.shown)
            reasons += _below(gate, "another mask, of which the reference is sure", masks.decided)
        if choice is False:
            reasons.append("another mask has the best predicted IoU, and is shown")
        return Measurement(
            scope=scope,
            image=self.reference_image.name,
            prompt=case.name if case else "",
            output=name,
            exact=decibels == math.inf,
            psnr_db=None if decibels == math.inf else decibels,
            sqnr_db=None if noise == math.inf else noise,
            cosine=cosine(expected, found),
            max_abs_error=max_abs_error(expected, found),
            mean_abs_error=mean_abs_error(expected, found),
            masks=masks,
            same_choice=choice,
            same_order=order,
            failure=f"{where}: {name}: {'; '.join(reasons)}" if reasons else "",
        )


def _ties(name: str, expected: np.ndarray, found: np.ndarray, gate: Gate) -> bool:
    """Whether these are predicted IoUs that are all so close to the reference's that no choice may depend on it."""
    return name == IOU_PREDICTIONS and max_abs_error(expected, found) <= gate.iou_tolerance


def _below(gate: Gate, which: str, errors: MaskErrors | None) -> list[str]:
    """What of a group of masks is below the gate, in words."""
    if errors is None:
        return []
    return [
        f"{what} of {which} is {value:.5f}, below the gate of {least:g}"
        for what, value, least in (
            ("mask IoU", errors.real_mask_iou, gate.mask_iou),
            ("boundary IoU", errors.real_boundary_iou, gate.boundary_iou),
        )
        if value < least
    ]
