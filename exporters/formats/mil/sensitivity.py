"""What each part of a model costs when its weights have fewer bits.

One group of weights after another is replaced, in the evaluator, by exactly what a file would hold of it; everything
else stays as it was.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from lightsam.metrics import psnr_db
from lightsam.prompts import encode_prompts
from lightsam.stages import STAGE_NAMES, Arrays, Runner, Stage, Stages
from lightsam_exporters.formats.base import OnStep
from lightsam_exporters.formats.quantizers import Linear, Palette
from lightsam_exporters.objects import ImageObjects, ious

from .compress import Bits, channel_axis, packed, weights_of
from .evaluator import Evaluator

OTHERS = "constants of the graph"
"""The group of what is no parameter of the model: position encodings that were computed beforehand."""
_ADDED = re.compile(r"^[pbc]_|_to_fp16$")
"""What converters put around the names of parameters and buffers."""


@dataclass(frozen=True)
class Group:
    """Weights of one module."""

    stage: str
    name: str
    """Path of the module that holds the layers."""
    weights: tuple[Any, ...]
    """Variables of the program."""

    @property
    def numbers(self) -> int:
        """How many numbers they hold."""
        return sum(var.val.size for var in self.weights)

    @property
    def nbytes(self) -> int:
        """As they are."""
        return sum(var.val.nbytes for var in self.weights)

    def packed(self, how: Bits, *, one_table: bool) -> dict[str, Linear | Palette]:
        """The form in which each is stored, by name."""
        return {var.name: packed(var.val, how, channel_axis(var), one_table=one_table) for var in self.weights}


@dataclass(frozen=True)
class GroupCost:
    """What compressing one group gives and takes."""

    stage: str
    group: str
    numbers: int
    """Of its weights."""
    bytes_saved: int
    """Against the float package."""
    psnr_db: float
    """Of the stage's worst output, on the worst image."""
    miou_lost: float
    """On the calibration images; below zero where masks happened to become better."""

    @property
    def lost_per_megabyte(self) -> float:
        """MIoU lost for each megabyte saved."""
        return self.miou_lost / (self.bytes_saved / 1e6)


class StageUnderTest:
    """A stage of a float package, whose weights can be replaced."""

    def __init__(self, package: Path, stage: Stage, graph: Stage, slots: int | None, stages: Stages) -> None:
        """Read a package.

        Args:
            package: of floats.
            stage: as the contract has it.
            graph: that the package was converted from; its module tells where the weights belong.
            slots: of prompts, where it is a decoder.
            stages: of the uncompressed model.

        Raises:
            ContractError: if the package is damaged.
        """
        self.name = stage.name
        self.evaluator = Evaluator(package, "float32")
        self.groups = _grouped(stage.name, weights_of(self.evaluator.program.function), graph)
        self._slots, self._stages = slots, stages

    def runner(self, changed: Mapping[str, np.ndarray]) -> Runner:
        """The stage with other weights, by the names of its constants."""
        return self.evaluator.with_weights(changed)

    def questions(self, one: ImageObjects) -> list[Arrays]:
        """Inputs about an image: a decoder is asked for the first object, by each of its prompts."""
        if self.name == STAGE_NAMES[0]:
            return [{"image": one.pixels}]
        rules = self._stages.rules.prompts
        prompts = [encode_prompts([prompt], one.frame, self._slots, rules) for prompt in one.prompts[:2]]
        return [{**one.features, **prompt} for prompt in prompts]

    def variants(
        self, one: ImageObjects, changes: Mapping[str, Mapping[str, np.ndarray]]
    ) -> Iterator[tuple[str, list[Arrays]]]:
        """Of each set of other weights: its name, and all outputs for each of the `questions`."""
        for answers in zip(*(self.evaluator.variants(asked, changes) for asked in self.questions(one)), strict=True):
            yield answers[0][0], [outputs for _, outputs in answers]

    def ious(self, one: ImageObjects, outputs: Arrays, changed: Mapping[str, np.ndarray]) -> list[float]:
        """Of this stage with other weights, with the uncompressed other one.

        Args:
            one: image.
            outputs: of the stage about it, as `variants` gave them.
            changed: the weights.
        """
        if self.name == STAGE_NAMES[0]:
            return ious(one, self._stages, outputs)
        return ious(one, self._stages, None, self.runner(changed), self._slots)


def rank(
    tests: Sequence[StageUnderTest],
    images: Sequence[ImageObjects],
    how: Bits,
    *,
    one_table: bool,
    on_step: OnStep = lambda _: None,
) -> list[GroupCost]:
    """What each group costs when it alone is compressed, the cheapest megabyte first.

    Args:
        tests: of the stages whose groups are ranked.
        images: with their objects.
        how: kind and bits that each group gets.
        one_table: as for `compress.packed`.
        on_step: progress callback.
    """
    costs = []
    for test in tests:
        forms = {group.name: group.packed(how, one_table=one_table) for group in test.groups}
        changes = {name: {key: one.restored for key, one in form.items()} for name, form in forms.items()}
        whole: list[float] = []
        found: dict[str, list[float]] = defaultdict(list)
        decibels: dict[str, list[float]] = defaultdict(list)
        for number, one in enumerate(images, 1):
            on_step(f"{test.name}: image {number} of {len(images)}, {len(test.groups)} groups")
            expected = [test.evaluator(asked) for asked in test.questions(one)]
            whole += test.ious(one, expected[0], {})
            for name, answers in test.variants(one, changes):
                decibels[name] += [
                    psnr_db(right[output], wrong[output])
                    for right, wrong in zip(expected, answers, strict=True)
                    for output in right
                ]
                found[name] += test.ious(one, answers[0], changes[name])
        costs += [
            GroupCost(
                stage=test.name,
                group=group.name,
                numbers=group.numbers,
                bytes_saved=group.nbytes - sum(form.nbytes for form in forms[group.name].values()),
                psnr_db=min(decibels[group.name]),
                miou_lost=float(np.mean(whole) - np.mean(found[group.name])),
            )
            for group in test.groups
        ]
    return sorted(costs, key=lambda cost: cost.lost_per_megabyte)


def _grouped(stage: str, weights: Sequence[Any], graph: Stage) -> list[Group]:
    """Weights by the module that holds their layer, in the order of the program."""
    named = chain(graph.module.named_parameters(), graph.module.named_buffers())
    paths = {path.replace(".", "_"): path for path, _ in named}
    found: dict[str, list[Any]] = defaultdict(list)
    for var in weights:
        path = paths.get(_ADDED.sub("", var.name), "")
        found[path.rsplit(".", 2)[0] if path.count(".") > 1 else OTHERS].append(var)
    return [Group(stage, name, tuple(members)) for name, members in found.items()]
