"""Did it get worse? A judgement held to one that an older manifest records."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError, UsageError

from .manifest import SCHEMA
from .parity import Measurement, ParityReport


@dataclass(frozen=True)
class Margin:
    """By how much a number may be worse before it counts."""

    decibels: float = 3.0
    """Of PSNR. Runtimes of one file on two machines differ by less."""
    iou: float = 0.001
    """Of mask IoU."""


def read_baseline(path: Path) -> dict[str, Any]:
    """The exports of an older manifest.

    Raises:
        ContractError: if it cannot be read or is of another schema.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ContractError(f"the baseline {path} cannot be read ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ContractError(f"the baseline {path} is not a manifest of schema {SCHEMA}: make it with this release")
    return dict(content["exports"])


def what_got_worse(name: str, report: ParityReport, baseline: Mapping[str, Any], margin: Margin) -> list[str]:
    """A line for every number of an export that is worse than the baseline's by more than the margin.

    Raises:
        UsageError: if the baseline has no such export, or was judged by another suite.
    """
    if name not in baseline:
        raise UsageError(f"the baseline has no export {name}; it has: {', '.join(baseline) or 'none'}")
    parity = baseline[name]["parity"]
    if parity["suite"] != report.suite:
        suite = str(parity["suite"]).split()[0]
        raise UsageError(f"the baseline was judged by the suite {parity['suite']}, not {report.suite}: --suite {suite}")
    old = {_key(entry): entry for entry in parity["measurements"]}
    lines = []
    for new in report.measurements:
        before = old.get(_key(vars(new)))
        if before is not None:
            lines += _worse(new, before, margin)
    return lines


def _key(measurement: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(measurement[field]) for field in ("scope", "picture", "prompt", "output"))


def _worse(new: Measurement, old: Mapping[str, Any], margin: Margin) -> list[str]:
    where = ", ".join(filter(None, (new.scope, new.picture, new.prompt)))
    lines = []
    # None is an exact match. What is far beyond float32's own rounding is not worse for being less far.
    for what, now, before, allowed in (
        ("PSNR", new.psnr_db, old["psnr_db"], margin.decibels),
        ("mask IoU", new.mask_iou, old["mask_iou"], margin.iou),
    ):
        if now is not None and before is not None and not now >= before - allowed:
            lines.append(f"{where}: {new.output}: {what} was {before:.5g} and is {now:.5g}")
    return lines
