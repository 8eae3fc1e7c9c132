"""Did it get worse? A judgement held to one that an older manifest records."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lightsam.errors import UsageError
from lightsam_exporters import manifest
from lightsam_exporters.facts import ExportFacts

from .masks import MaskErrors
from .measurement import Measurement, ParityReport

_AS_GOOD_AS_EXACT_DB = 120.0
"""Float32's own rounding: what was exact, or closer than this, is no worse for reaching it. With another number of
threads the same file comes out at 132 dB and not at 137."""


@dataclass(frozen=True)
class Margin:
    """By how much a number may be worse before it counts."""

    decibels: float = 3.0
    """Of PSNR. Runtimes of one file on two machines differ by less."""
    iou: float = 0.001
    """Of mask IoU."""


def read_baseline(path: Path) -> dict[str, ExportFacts]:
    """The exports of an older manifest, by name.

    Raises:
        ContractError: if it cannot be read or is of another schema.
    """
    return manifest.read(path).exports


def find_regressions(name: str, report: ParityReport, baseline: Mapping[str, ExportFacts], margin: Margin) -> list[str]:
    """A line for every number of an export that is worse than the baseline's by more than the margin.

    Raises:
        UsageError: if the baseline has no such export, or was judged by another suite.
    """
    if name not in baseline:
        raise UsageError(f"the baseline has no export {name}; it has: {', '.join(baseline) or 'none'}")
    parity = baseline[name].parity
    if parity.suite != report.suite:
        suite = parity.suite.split()[0] if parity.suite else "?"
        raise UsageError(f"the baseline was judged by the suite {parity.suite}, not {report.suite}: --suite {suite}")
    old = {_key(measurement): measurement for measurement in parity.measurements}
    lines = []
    for new in report.measurements:
        before = old.pop(_key(new), None)
        if before is not None:
            lines += _worse(new, before, margin)
    lines += [f"{', '.join(filter(None, key))} was measured, and no longer is" for key in old]
    return lines


def _key(measurement: Measurement) -> tuple[str, ...]:
    return measurement.scope, measurement.image, measurement.prompt, measurement.output


def _worse(new: Measurement, old: Measurement, margin: Margin) -> list[str]:
    where = ", ".join(filter(None, (new.scope, new.image, new.prompt)))
    lines = []
    was_db = _decibels(old.exact, old.psnr_db)
    for what, now, before, least in (
        ("PSNR", _decibels(new.exact, new.psnr_db), was_db, min(was_db, _AS_GOOD_AS_EXACT_DB) - margin.decibels),
        *((f"mask IoU ({group})", now, before, before - margin.iou) for group, now, before in _mask_ious(new, old)),
    ):
        if not now >= least:
            lines.append(f"{where}: {new.output}: {what} was {before:.5g} and is {now:.5g}")
    return lines


def _decibels(exact: bool, psnr_db: float | None) -> float:
    if exact:
        return math.inf
    return math.nan if psnr_db is None else psnr_db


def _mask_ious(new: Measurement, old: Measurement) -> Iterator[tuple[str, float, float]]:
    """The mask IoUs that gates hold, by group, where both have them."""
    if new.masks is None or old.masks is None:
        return
    for group in ("shown", "decided"):
        now: MaskErrors | None = getattr(new.masks, group)
        before: MaskErrors | None = getattr(old.masks, group)
        if now is not None and before is not None:
            yield group, now.real_mask_iou, before.real_mask_iou
