"""A number of bits for each part of a model: the smallest file that still loses no more than it may.

Single groups at moderate bits move masks by less than the noise of a few photographs. So the bits of a group are chosen
by the error that they bring to the stage's outputs, which is smooth and adds up over groups; how far that goes is then
decided by mIoU, measured on the whole mixture. All outputs count: predicted IoUs move no mask, but choose among them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lightsam.errors import ExportError
from lightsam.stages import STAGE_NAMES, Arrays, Stages
from lightsam_exporters.formats.base import OnStep
from lightsam_exporters.formats.quantizers import Linear, Palette
from lightsam_exporters.objects import ImageObjects, mean_iou

from .compress import PALETTE, Bits
from .sensitivity import Group, StageUnderTest

CHOICES = (4, 6, 8)
"""Bits of a palette: those that every target knows."""
_HALVINGS = 8
"""Of the range of prices: the mixture then changes by a group or two."""
_LOOKED_AT = 3
"""Images that the error of a group is averaged over."""


@dataclass(frozen=True)
class Mixture:
    """What was found."""

    bits: dict[str, dict[str, int]]
    """By stage and name of the weight."""
    nbytes: int
    """Of all weights that are compressed."""
    lost: float
    """mIoU on the calibration images."""
    lost_elsewhere: float | None
    """mIoU on images that nothing was chosen by; None if there were too few."""


@dataclass(frozen=True)
class _Option:
    """One group in so many bits."""

    forms: Mapping[str, Linear | Palette]
    nbytes: int
    error: float
    """What it adds to the relative squared errors of the stage's outputs."""


def choose(
    tests: Sequence[StageUnderTest],
    stages: Stages,
    images: Sequence[ImageObjects],
    others: Sequence[ImageObjects],
    max_loss: float,
    slots: int | None,
    *,
    one_table: bool,
    on_step: OnStep = lambda _: None,
) -> Mixture:
    """The smallest mixture of palettes that loses at most ``max_loss`` of mIoU on ``images``.

    Args:
        tests: of the stages that are compressed.
        stages: of the uncompressed model.
        images: with their objects.
        others: likewise, to see what holds beyond the images that were chosen by.
        max_loss: mIoU, from 0 to 1.
        slots: of prompts, of a compressed decoder.
        one_table: as for `compress.packed`.
        on_step: progress callback.

    Raises:
        ExportError: if even eight bits for everything lose more.
    """
    table = [row for test in tests for row in _options(test, images, one_table, on_step)]

    def measured(picked: Sequence[_Option], shown: Sequence[ImageObjects]) -> float:
        changed: dict[str, dict[str, np.ndarray]] = {test.name: {} for test in tests}
        for (group, _), option in zip(table, picked, strict=True):
            changed[group.stage] |= {name: form.restored for name, form in option.forms.items()}
        runners = {test.name: test.runner(changed[test.name]) for test in tests}
        encoder, decoder = (runners.get(name) for name in STAGE_NAMES)
        return mean_iou(shown, stages, None, None, None) - mean_iou(shown, stages, encoder, decoder, slots)

    def priced(price: float) -> list[_Option]:
        """The options that minimise bytes + price * error."""
        return [min(options.values(), key=lambda o: o.nbytes + price * o.error) for _, options in table]

    smallest = [options[CHOICES[0]] for _, options in table]
    best, lost = smallest, measured(smallest, images)
    on_step(f"{CHOICES[0]} bits for everything lose {lost:.4f} of mIoU")
    if lost > max_loss:
        best = [options[CHOICES[-1]] for _, options in table]
        lost = measured(best, images)
        on_step(f"{CHOICES[-1]} bits for everything lose {lost:.4f} of mIoU")
        if lost > max_loss:
            raise ExportError(
                f"no mixture loses at most {max_loss:g} of mIoU on the calibration images: {CHOICES[-1]} bits for "
                f"everything lose {lost:.4f}; give a larger --max-loss"
            )
        low, high = _prices(table)
        known = {_identity(smallest): np.inf}  # it was found to lose too much
        for _ in range(_HALVINGS):
            middle = float(np.sqrt(low * high))
            tried = priced(middle)
            found = known.get(_identity(tried))
            if found is None:
                found = known[_identity(tried)] = measured(tried, images)
                on_step(f"{_size(tried) / 1e6:.2f} MB of weights lose {found:.4f} of mIoU")
            if found <= max_loss:
                high = middle
                if _size(tried) < _size(best):
                    best, lost = tried, found
            else:
                low = middle
    bits: dict[str, dict[str, int]] = {test.name: {} for test in tests}
    for (group, options), picked in zip(table, best, strict=True):
        chosen = next(count for count, option in options.items() if option is picked)
        bits[group.stage] |= dict.fromkeys(picked.forms, chosen)
    return Mixture(bits, _size(best), lost, measured(best, others) if others else None)


def _identity(picked: Sequence[_Option]) -> tuple[int, ...]:
    """The same for the same mixture only: near the end of the search prices no longer change any group."""
    return tuple(id(option) for option in picked)


def _size(picked: Sequence[_Option]) -> int:
    return sum(option.nbytes for option in picked)


def _prices(table: Sequence[tuple[Group, Mapping[int, _Option]]]) -> tuple[float, float]:
    """Prices of an error, in bytes, below which every group takes the fewest bits and above which the most."""
    rates = [
        (options[more].nbytes - options[less].nbytes) / max(options[less].error - options[more].error, 1e-12)
        for _, options in table
        for less, more in pairwise(CHOICES)
    ]
    return min(rates), max(rates)


def _options(
    test: StageUnderTest, images: Sequence[ImageObjects], one_table: bool, on_step: OnStep
) -> list[tuple[Group, dict[int, _Option]]]:
    """Every group in every number of bits.

    The outputs' error is measured at the fewest bits, and falls with more as that of the weights does.
    """
    forms = {
        group.name: {bits: group.packed(Bits(PALETTE, bits), one_table=one_table) for bits in CHOICES}
        for group in test.groups
    }
    changes = {
        name: {key: form.restored for key, form in by_bits[CHOICES[0]].items()} for name, by_bits in forms.items()
    }
    ratios: dict[str, list[float]] = defaultdict(list)
    for number, one in enumerate(images[:_LOOKED_AT], 1):
        on_step(f"{test.name}: {len(test.groups)} groups of weights, image {number}")
        expected = [test.evaluator(asked) for asked in test.questions(one)]
        for name, answers in test.variants(one, changes):
            ratios[name] += [_relative_error(right, found) for right, found in zip(expected, answers, strict=True)]
    table = []
    for group in test.groups:
        off = {bits: _weight_error(group, form) for bits, form in forms[group.name].items()}
        error = float(np.mean(ratios[group.name])) / (off[CHOICES[0]] or 1.0)
        options = {
            bits: _Option(form, sum(one.nbytes for one in form.values()), error * off[bits])
            for bits, form in forms[group.name].items()
        }
        table.append((group, options))
    return table


def _relative_error(right: Arrays, found: Arrays) -> float:
    """Squared error of each output against its own mean square, summed over outputs."""
    return sum(float(((found[name] - right[name]) ** 2).mean() / (right[name] ** 2).mean()) for name in right)


def _weight_error(group: Group, forms: Mapping[str, Linear | Palette]) -> float:
    """Squared error of the weights, each against its own mean square."""
    return sum(
        float(np.mean((forms[var.name].restored.astype(np.float32) - var.val.astype(np.float32)) ** 2))
        / (float(np.mean(var.val.astype(np.float32) ** 2)) or 1.0)
        for var in group.weights
    )
