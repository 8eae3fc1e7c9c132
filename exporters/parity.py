"""The judge: does a file answer as PyTorch does?

Three comparisons, because one hides errors: each stage alone on the reference's inputs, and the chained pair, the
candidate's encoder into the candidate's decoder. Everything is measured before anything is judged, and a report holds
all that failed.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from PIL import Image

from lightsam.metrics import cosine, mask_iou, max_abs_error, psnr_db
from lightsam.prompts import Prompt, encode_prompts
from lightsam.stages import LOW_RES_MASKS, MASKS, ORIG_IM_SIZE, Arrays, Stages
from lightsam.transforms import MASK_THRESHOLD, open_picture, to_model_input, upscale_masks

from .base import LoadedStage

CHAIN = "chain"
"""Scope of a measurement of both stages together; the others are the stages' names."""


@dataclass(frozen=True)
class Gate:
    """What an export must reach."""

    psnr_db: float
    """At least, of every output of a stage on the reference's inputs."""
    mask_iou: float
    """At least, of every mask at the picture's own size."""
    origin: str
    """Where the numbers come from."""


GATES: dict[tuple[str, str], Gate] = {
    ("coreml", "float32"): Gate(
        110,
        0.9999,
        "measured with seeded weights at 1024: mobile_sam 126.2 dB, repvit_sam 119.7, edge_sam 125.3, sam_vit_b 131.4",
    ),
    ("coreml", "float16"): Gate(
        50,
        0.995,
        "measured with seeded weights at 1024, every result rounded to its declared dtype: at least 55.8 dB a stage "
        "and 0.9968, both of repvit_sam; converted networks are accepted from 40 dB on in Apple's own guide",
    ),
    ("onnx", "float32"): Gate(
        110,
        0.9999,
        "measured with seeded weights at 1024: mobile_sam 127.0 dB, repvit_sam 120.7, edge_sam 126.0, sam_vit_b 122.0",
    ),
    ("onnx", "float16"): Gate(
        50, 0.995, "measured with seeded weights at 1024: at least 63.0 dB a stage and 0.9985, both of repvit_sam"
    ),
    ("tflite", "float32"): Gate(
        110,
        0.9999,
        "measured with seeded weights at 1024: mobile_sam 124.7 dB, repvit_sam 119.1, edge_sam 122.3, sam_vit_b 123.3",
    ),
    ("tflite", "float16"): Gate(
        50, 0.995, "measured with seeded weights at 1024: at least 63.4 dB a stage and 0.9986, both of repvit_sam"
    ),
    ("coreai", "float32"): Gate(110, 0.9999, "measured with seeded weights at 1024: mobile_sam 124.3 dB"),
}
"""Per format and precision. Apple's guide: https://github.com/apple/coreai-models, skills/model-authoring."""


@dataclass(frozen=True)
class Measurement:
    """One output of one stage, or of the chain, for one prompt."""

    scope: str
    """"encoder", "decoder" or "chain"."""
    prompt: str
    """Name of the prompt; empty for the encoder, which sees none."""
    output: str
    psnr_db: float | None
    """None when both are equal in every bit."""
    cosine: float
    max_abs_error: float
    mask_iou: float | None
    """Of the worst of the four masks; None for an output that is no mask."""
    failure: str
    """What is wrong, in words; empty when it passed."""


@dataclass(frozen=True)
class ParityReport:
    """What the judge found about one export."""

    judge: str
    """Who ran the candidate."""
    picture: str
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
        """For the manifest; JSON has no infinity, so an exact match has a PSNR of null."""
        return {"passed": self.passed, **asdict(self), "failures": self.failures}

    def worst(self) -> list[Measurement]:
        """For every scope and output, the prompt with the lowest PSNR; failures first."""
        groups: dict[tuple[str, str], list[Measurement]] = {}
        for measurement in self.measurements:
            groups.setdefault((measurement.scope, measurement.output), []).append(measurement)
        return [min(group, key=lambda m: (not m.failure, _sortable(m.psnr_db))) for group in groups.values()]


def _sortable(value: float | None) -> float:
    if value is None:
        return math.inf
    return -math.inf if math.isnan(value) else value


@dataclass
class Trial:
    """A photograph and prompts, with the reference's answers."""

    reference: Stages
    picture: Image.Image
    name: str
    prompts: Mapping[str, Prompt]
    image: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        size = self.reference.encoder.inputs[0].shape[-1]
        self.image, self.frame = to_model_input(self.picture, size)

    @classmethod
    def default(cls, reference: Stages) -> "Trial":
        """The photograph that lightsam brings, and one prompt of every kind.

        "Coffee" by Rachel Michetti (Pikolo Espresso Bar), dedicated to the public domain (CC0), from scikit-image's
        collection. Not square, so padding is judged too.
        """
        with as_file(files(__package__) / "data" / "coffee.jpg") as path:
            picture = open_picture(path)
        trial = cls(reference, picture, path.name, {})
        cup, spoon, saucer = (300.0, 150.0), (390.0, 210.0), (160.0, 260.0)
        box = (135.0, 60.0, 480.0, 320.0)
        point = Prompt(points=[cup])
        earlier = trial.answer(point)[LOW_RES_MASKS][0, 0]
        trial.prompts = {
            "point": point,
            "points": Prompt(points=[cup, spoon, saucer], labels=[1, 1, 0]),
            "box": Prompt(box=box),
            "box_and_point": Prompt(points=[saucer], labels=[0], box=box),
            "mask": Prompt(points=[cup], mask=earlier),
        }
        return trial

    @cached_property
    def embeddings(self) -> np.ndarray:
        """The reference's embeddings of the picture."""
        return self.reference.encoder.run({"image": self.image})["image_embeddings"]

    def against(self, reference: Stages) -> "Trial":
        """The same trial with another form of the reference's decoder; its embeddings are not computed again."""
        other = copy(self)
        other.reference = reference
        return other

    def decoder_inputs(self, prompt: Prompt, point_slots: int | None) -> Arrays:
        """What the decoder is given for one prompt: the reference's embeddings and the encoded prompt.

        Args:
            point_slots: of the decoder; None for a dynamic one.
        """
        inputs = {"image_embeddings": self.embeddings, **encode_prompts([prompt], self.frame, point_slots)}
        if any(spec.name == ORIG_IM_SIZE for spec in self.reference.decoder.inputs):
            inputs[ORIG_IM_SIZE] = np.array([self.frame.height, self.frame.width], np.float32)
        return inputs

    def answer(self, prompt: Prompt) -> Arrays:
        """The reference's answer."""
        return self.reference.decoder.run(self.decoder_inputs(prompt, None))

    def worst_iou(self, output: str, reference: np.ndarray, candidate: np.ndarray) -> float | None:
        """IoU of the worst of K masks at the picture's own size; None for an output that is no mask.

        Args:
            output: its name; low-res masks are brought to the picture's size first.
            reference: (1, K, height, width) logits.
            candidate: likewise.
        """
        if output not in (LOW_RES_MASKS, MASKS):
            return None
        logits = [reference[0], candidate[0]]
        if output == LOW_RES_MASKS:
            logits = [upscale_masks(masks, self.frame) for masks in logits]
        pair = [masks > MASK_THRESHOLD for masks in logits]
        return min(mask_iou(a, b) for a, b in zip(*pair, strict=True))


def judge(
    trial: Trial,
    encoder: LoadedStage | None,
    decoder: LoadedStage | None,
    gate: Gate,
    other_failures: Sequence[str] = (),
) -> ParityReport:
    """Compare candidates with the reference.

    Args:
        encoder: candidate, or None when there is only a decoder.
        decoder: likewise; the chain is judged when both are there.
        other_failures: found before, to stand in the same report.
    """
    measurements: list[Measurement] = []
    failures = list(other_failures)

    def measure(scope: str, prompt: str, reference: Arrays, candidate: Arrays) -> None:
        found, missing = _compare(trial, gate, scope, prompt, reference, candidate)
        measurements.extend(found)
        failures.extend(missing)

    embeddings: Arrays = {}
    if encoder is not None:
        embeddings = encoder({"image": trial.image})
        measure("encoder", "", {"image_embeddings": trial.embeddings}, embeddings)
    if decoder is not None:
        for name, prompt in trial.prompts.items():
            inputs = trial.decoder_inputs(prompt, decoder.provenance.point_slots)
            reference = trial.reference.decoder.run(inputs)
            measure("decoder", name, reference, decoder(inputs))
            if "image_embeddings" in embeddings:
                measure(CHAIN, name, reference, decoder({**inputs, **embeddings}))
    judges = dict.fromkeys(candidate.judge for candidate in (encoder, decoder) if candidate is not None)
    return ParityReport("; ".join(judges), trial.name, gate, tuple(measurements), tuple(failures))


def _compare(
    trial: Trial, gate: Gate, scope: str, prompt: str, reference: Arrays, candidate: Arrays
) -> tuple[list[Measurement], list[str]]:
    """Every output of one run, by name."""
    where = f"{scope}, {prompt}" if prompt else scope
    missing = [
        f"{where}: the output {name!r} is missing; there are {sorted(candidate)}"
        for name in reference
        if name not in candidate
    ]
    measurements = []
    for name, expected in reference.items():
        if name not in candidate:
            continue
        found = candidate[name]
        if found.shape != expected.shape:
            missing.append(f"{where}: {name} is {found.shape}, the reference's is {expected.shape}")
            continue
        decibels = psnr_db(expected, found)
        iou = trial.worst_iou(name, expected, found)
        reasons = []
        if not np.isfinite(found).all():
            reasons.append(f"{int((~np.isfinite(found)).sum())} values are NaN or infinite")
        elif scope != CHAIN and decibels < gate.psnr_db:
            reasons.append(f"PSNR {decibels:.1f} dB is below the gate of {gate.psnr_db:g} dB")
        if iou is not None and iou < gate.mask_iou:
            reasons.append(f"mask IoU {iou:.5f} is below the gate of {gate.mask_iou:g}")
        measurements.append(
            Measurement(
                scope,
                prompt,
                name,
                None if math.isinf(decibels) and decibels > 0 else decibels,
                cosine(expected, found),
                max_abs_error(expected, found),
                iou,
                f"{where}: {name}: {'; '.join(reasons)}" if reasons else "",
            )
        )
    return measurements, missing
