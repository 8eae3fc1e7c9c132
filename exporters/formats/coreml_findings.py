"""What an export to Core ML finds out on real images before a package is made.

Everything is found on packages of floats, which the evaluator runs, and comes back as options: they are recorded with
the files.
"""

import logging
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from lightsam.errors import ExportError
from lightsam.stages import Stage

from .base import OnStep, Seen
from .coreml_options import MIXED, SAFE, W8A8, CoreMLOptions, one_table

_LOG = logging.getLogger("lightsam.export")
_RANGES_OF = 12
"""Inputs of each stage that ranges are taken from: with more they hardly move."""
CHOOSE_BY, CHECK_BY = 16, 8
"""Images that a mixture is chosen by, and others that it is checked on."""

Floats = Callable[[str, str], Path]
"""Takes a stage's name and ``float16`` or ``float32``; gives its package, made anew."""


def find(
    wanted: Mapping[str, str],
    graphs: Mapping[str, Stage],
    seen: Seen,
    options: CoreMLOptions,
    floats: Floats,
    on_step: OnStep,
) -> dict[str, Any]:
    """Options that precisions need and nobody gives.

    Args:
        wanted: precision of each stage that is exported.
        graphs: that the packages are converted from, by stage.
        seen: images, and the uncompressed model.
        options: of the export.
        floats: makes the packages that are looked at.
        on_step: progress callback.

    Raises:
        ExportError: if a mixture cannot keep to its loss.
        UsageError: if the images hold nothing to measure on.
    """
    unsafe: list[str] = []
    ranges: list[str] = []
    for name, precision in wanted.items():
        if precision == SAFE:
            on_step(f"looking for what float16 cannot hold in the {name}")
            unsafe += _unsafe(name, floats(name, "float32"), seen)
        elif precision == W8A8:
            ranges += _ranges(name, floats(name, "float16"), seen)
    found: dict[str, Any] = {"float32_operations": tuple(unsafe), "activation_ranges": tuple(ranges)}
    if MIXED in wanted.values():
        found |= _mixture([name for name in wanted if wanted[name] == MIXED], graphs, seen, options, floats, on_step)
    return found


def _unsafe(name: str, package: Path, seen: Seen) -> list[str]:
    from .mil.risks import scan

    found = scan(package, seen.inputs(name))
    _LOG.info("%s: %d of %d operations stay in float32", name, len(found.risks), found.operations)
    for risk in found.risks:
        _LOG.info("%s: %s %s %s (%.4g)", name, risk.op_type, risk.name, risk.reason, risk.largest)
    return [f"{name}/{risk.name}" for risk in found.risks]


def _ranges(name: str, package: Path, seen: Seen) -> list[str]:
    from .mil.activations import layer_ranges

    found = layer_ranges(package, islice(seen.inputs(name), _RANGES_OF))
    return [f"{name}/{layer}={largest:.6g}" for layer, largest in found.items()]


def _mixture(
    names: list[str],
    graphs: Mapping[str, Stage],
    seen: Seen,
    options: CoreMLOptions,
    floats: Floats,
    on_step: OnStep,
) -> dict[str, Any]:
    from lightsam_exporters.objects import find_objects

    from .mil.mixed import choose
    from .mil.sensitivity import StageUnderTest

    on_step("finding objects in the calibration images")
    images = find_objects(seen.stages, islice(seen.images(), CHOOSE_BY + CHECK_BY))
    if len(images) < CHOOSE_BY + CHECK_BY:  # of few images a third is held back
        chosen_by = images[: max(1, len(images) * CHOOSE_BY // (CHOOSE_BY + CHECK_BY))]
    else:
        chosen_by = images[:CHOOSE_BY]
    others = images[len(chosen_by) :]
    tests = [
        StageUnderTest(floats(name, "float16"), seen.stages[name], graphs[name], options.point_slots, seen.stages)
        for name in names
    ]
    mixture = choose(
        tests,
        seen.stages,
        chosen_by,
        others,
        options.max_loss,
        options.point_slots,
        one_table=one_table(options.minimum_deployment_target),
        on_step=on_step,
    )
    elsewhere = "" if mixture.lost_elsewhere is None else f", {mixture.lost_elsewhere:.4f} on {len(others)} others"
    lines = tuple(f"{name}/{weight}={bits}" for name, chosen in mixture.bits.items() for weight, bits in chosen.items())
    if not lines:
        raise ExportError("there is no weight that is worth compressing: give --precision float16")
    return {
        "mixture": lines,
        "mixture_lost": f"{mixture.lost:.4f} of mIoU on {len(chosen_by)} images that it was chosen by{elsewhere}",
    }
