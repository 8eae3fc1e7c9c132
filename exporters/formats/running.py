"""Files that were read back and run: how, by what, and what they say of themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lightsam.errors import ContractError
from lightsam.stages import STAGE_NAMES, Arrays, Runner
from lightsam_exporters.provenance import Provenance


@dataclass(frozen=True)
class RunOptions:
    """How a file is run; each format takes what concerns it."""

    unit: str | None = None
    """One of the format's ``units``; None for the first of them."""
    numerics: str = "declared"
    """The evaluator of ML Programs, where Core ML is not; see `mil.NUMERICS`."""
    threads: int | None = None
    """Runtimes that can be told, on the CPU; None leaves it to the runtime."""


Prepare = Callable[[Mapping[str, np.ndarray]], Callable[[], Arrays]]


class Session(NamedTuple):
    """A stage of a file in its runtime."""

    prepare: Prepare
    """Brings inputs into the runtime's own form, and gives the call that takes them."""
    runtime: str
    """Name and version."""
    unit: str
    """What the runtime says that it runs on."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """One call, from arrays to arrays."""
        return self.prepare(inputs)()


@dataclass(frozen=True)
class LoadedStage:
    """A file that was read back and can be run."""

    stage: str
    run: Runner
    provenance: Provenance
    judge: str
    """Who runs it: the format's own runtime and unit, or lightsam's evaluator and its numerics."""
    simulated: bool = False
    """Whether it is not run by the format's own runtime, but computed as its file declares."""

    @classmethod
    def of(cls, session: Session, stage: str, provenance: Provenance) -> "LoadedStage":
        """One that a runtime runs."""
        return cls(stage, session.run, provenance, f"{session.runtime}, {session.unit}")

    def __call__(self, inputs: Mapping[str, Any]) -> Arrays:
        return self.run(inputs)


def check_pair(encoder: LoadedStage, decoder: LoadedStage) -> None:
    """Refuse two stages that do not belong together.

    Raises:
        ContractError: naming what differs.
    """
    for loaded, expected in zip((encoder, decoder), STAGE_NAMES, strict=True):
        if loaded.stage != expected:
            raise ContractError(f"the {expected} was expected and the {loaded.stage} was found")
    mine, other = encoder.provenance, decoder.provenance
    if mine.pairing_id != other.pairing_id:
        facts = ("model", "image_size", "weights", "weights_sha256", "contract_version")
        differing = [
            f"{fact} {getattr(mine, fact)} and {getattr(other, fact)}"
            for fact in facts
            if getattr(mine, fact) != getattr(other, fact)
        ]
        raise ContractError(f"this encoder and this decoder are not a pair: {'; '.join(differing)}")
