"""What the judge found about an export, as it is recorded."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from lightsam_exporters.formats.gate import Gate

from .masks import MaskGroups


@dataclass(frozen=True)
class Measurement:
    """One output of one stage, or of the chain, for one case: all its prompts and rounds together."""

    scope: str
    """"encoder", "decoder" or "chain"."""
    image: str
    """Name of the suite's image."""
    prompt: str
    """Name of the case; empty for the encoder, which sees none."""
    output: str
    """Name of the tensor."""
    exact: bool
    """Whether both are equal in every bit."""
    psnr_db: float | None
    """None when they are."""
    sqnr_db: float | None
    """Likewise."""
    cosine: float | None
    """Similarity, 1 when equal; None in a document where it is no number, as are the next two."""
    max_abs_error: float | None
    """Of any value."""
    mean_abs_error: float | None
    """Of all values."""
    masks: MaskGroups | None
    """None for an output that is no mask."""
    same_choice: bool | None
    """Whether a user is shown the same masks; None for other outputs, and where no prompt leaves a choice."""
    same_order: bool | None
    """Whether the predicted IoUs rank all masks as the reference does; None for other outputs. No gate holds it: of
    masks that nobody is shown the order is nobody's concern."""
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
    """What had to be reached."""
    measurements: tuple[Measurement, ...] = ()
    """One output of one stage, or of the chain, for one case."""
    other_failures: tuple[str, ...] = ()
    """What failed before it could be measured: a changed file, a missing output."""
    simulated: bool = False
    """Whether the file was not run by its own runtime, but computed as it declares."""
    left_out: tuple[str, ...] = ()
    """Cases of the suite that the model does not take, such as background points, each with its image."""
    decoder_gate: Gate | None = None
    """What the decoder alone had to reach, where its precision is another; the chain was held to the looser of both."""

    @property
    def failures(self) -> list[str]:
        """Everything that failed, a line each."""
        return [*self.other_failures, *(m.failure for m in self.measurements if m.failure)]

    @property
    def passed(self) -> bool:
        """Whether something was measured and nothing failed."""
        return bool(self.measurements) and not self.failures

    def as_dict(self) -> dict[str, Any]:
        """For the manifest; JSON has no infinity and no NaN: both are null, and `exact` tells them apart."""
        return {"passed": self.passed, **finite(asdict(self)), "failures": self.failures}

    def worst(self) -> list[Measurement]:
        """For every scope and output, the case with the lowest PSNR; failures first."""
        groups: dict[tuple[str, str], list[Measurement]] = {}
        for measurement in self.measurements:
            groups.setdefault((measurement.scope, measurement.output), []).append(measurement)
        return [min(group, key=lambda m: (not m.failure, _sortable(m.psnr_db))) for group in groups.values()]


def finite(value: Any) -> Any:
    """A value, and all that is in it, as JSON can hold it: what is no number, or infinite, is None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _sortable(value: float | None) -> float:
    if value is None:
        return math.inf
    return -math.inf if math.isnan(value) else value
