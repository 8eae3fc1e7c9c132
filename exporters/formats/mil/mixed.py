"""A number of bits for each part of a model: the smallest file that still loses no more than it may.

Single groups at moderate bits move masks by less than the noise of a few photographs. So the bits of a group are chosen
by the error that they bring to the stage's outputs, which is smooth and adds up over groups; how far that goes is then
decided by mIoU, measured on whole mixtures of several sizes. All outputs count: predicted IoUs move no mask, but choose
among them.
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
_RUNGS = 10
"""Mixtures that are measured."""
_HALVINGS = 60
"""Of the range of prices: nothing is measured for it."""
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
    """mIoU on the calibration images; see `non_increasing`."""
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

    ladder = _ladder(table)
    losses = []
    for picked in ladder:
        losses.append(measured(picked, images))
        on_step(f"{_size(picked) / 1e6:.2f} MB of weights lose {losses[-1]:.4f} of mIoU")
    smooth = non_increasing(losses)
    good = [rung for rung, loss in enumerate(smooth) if loss <= max_loss]
    if not good:
        raise ExportError(
            f"no mixture loses at most {max_loss:g} of mIoU on the calibration images: {CHOICES[-1]} bits for "
            f"everything lose {losses[-1]:.4f}; give a larger --max-loss"
        )
    best, lost = ladder[good[0]], smooth[good[0]]
    bits: dict[str, dict[str, int]] = {test.name: {} for test in tests}
    for (group, options), option in zip(table, best, strict=True):
        chosen = next(count for count, other in options.items() if other is option)
        bits[group.stage] |= dict.fromkeys(option.forms, chosen)
    return Mixture(bits, _size(best), lost, measured(best, others) if others else None)


_Table = Sequence[tuple[Group, Mapping[int, _Option]]]


def _size(picked: Sequence[_Option]) -> int:
    return sum(option.nbytes for option in picked)


def _ladder(table: _Table) -> list[list[_Option]]:
    """Mixtures from the fewest bits for everything to the most, each with the least error for its size."""
    first, last = ([options[bits] for _, options in table] for bits in (CHOICES[0], CHOICES[-1]))
    ladder = [first]
    for rung in range(1, _RUNGS - 1):
        # Closer together where they are small: that is where they begin to lose.
        wanted = _size(first) + (_size(last) - _size(first)) * (rung / (_RUNGS - 1)) ** 2
        picked = _of_size(table, wanted)
        if _size(picked) > _size(ladder[-1]):
            ladder.append(picked)
    return [*ladder, last] if _size(last) > _size(ladder[-1]) else ladder


def _of_size(table: _Table, nbytes: float) -> list[_Option]:
    """The options that minimise bytes + price * error, at the highest price that keeps them within a size."""

    def priced(price: float) -> list[_Option]:
        return [min(options.values(), key=lambda option: option.nbytes + price * option.error) for _, options in table]

    low, high = _prices(table)
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        if _size(priced(middle)) <= nbytes:
            low = middle
        else:
            high = middle
    return priced(low)


def non_increasing(values: Sequence[float]) -> list[float]:
    """The nearest row that never rises, in the least squares: neighbours that do are replaced by their mean.

    The loss of a mixture is measured on a few hundred masks, of which one more or less moves it by as much as it may
    be. More bits do not lose more: a mixture that happens to look better than larger ones is judged with them.
    Pool adjacent violators: https://en.wikipedia.org/wiki/Isotonic_regression.
    """
    blocks: list[list[float]] = []  # mean and count of each
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            mean, count = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * count) / (before[1] + count)
            before[1] += count
    return [mean for mean, count in blocks for _ in range(int(count))]


def _prices(table: _Table) -> tuple[float, float]:
    """Prices of an error, in bytes, below which every group takes the fewest bits and above which the most."""
    rates = [
        (options[more].nbytes - options[less].nbytes) / max(options[less].error - options[more].error, 1e-12)
        for _, options in table
        for less, more in pairwise(CHOICES)
    ]
    return min(rates) / 2, max(rates) * 2


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
