"""What a format is: one object, which the command, the judge, the benchmark, the tests and the docs ask."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image

from lightsam.errors import UsageError
from lightsam.stages import STAGE_NAMES, Arrays, Stage, Stages
from lightsam_exporters.graphs import rewritten
from lightsam_exporters.provenance import Provenance

from .gate import Gate
from .listing import Graph
from .options import FAITHFUL, Options
from .running import LoadedStage, RunOptions, Session

OptionsT = TypeVar("OptionsT", bound=Options)
OnStep = Callable[[str], None]
"""Progress callback: receives the name of the step that starts."""
StageInputs = Callable[[str], Iterator[Arrays]]
"""Inputs of a stage, by its name, about real images and prompts: one call after another, anew whenever it is asked."""


@dataclass(frozen=True)
class Seen:
    """What an export may look at."""

    stages: Stages
    """Both, of the model that is exported."""
    images: Callable[[], Iterator[Image.Image]]
    """The calibration images, one in memory at a time."""
    inputs: StageInputs
    """Of these images, and prompts about them."""


class Value(NamedTuple):
    """One float tensor inside a file, as it was computed."""

    op_type: str
    name: str
    """Of the result, without what a precision adds to it."""
    array: np.ndarray


Observe = Callable[[Value], None]


def no_inputs(stage: str) -> Iterator[Arrays]:
    """Where no images are given.

    Raises:
        UsageError: whatever is asked.
    """
    raise UsageError(f"the {stage} must be calibrated on images, and none were given")


@dataclass(frozen=True)
class Share:
    """What one device does of a file."""

    device: str
    operations: int
    cost: float
    """Of the whole, from 0 to 1: as the runtime estimates or measures it."""


@dataclass(frozen=True)
class Delegation:
    """How much of a file a delegate runs, as it was divided when the file was made."""

    delegate: str
    """Its name, for people."""
    operations: int
    """That it took."""
    outside: dict[str, int]
    """How many of each operator it left to the runtime's own kernels, the most first."""

    @property
    def share(self) -> float:
        """Of all operations, from 0 to 1."""
        return self.operations / ((self.operations + sum(self.outside.values())) or 1)


class Inspector(ABC):
    """Looks into files of a format: shows every value inside them under the name that it has in PyTorch's graph."""

    unrounded: ClassVar[bool] = False
    """Whether a file can also be run without its own rounding, to tell rounding from another meaning."""

    @abstractmethod
    def trace(self, stage: Stage, options: Options) -> torch.export.ExportedProgram:
        """The graph that the names inside a file of these options come from."""

    @abstractmethod
    def observe(self, path: Path, inputs: Mapping[str, np.ndarray], each: Observe, *, unrounded: bool = False) -> None:
        """Run a file and show every float inside it, in the order of the file.

        Raises:
            ContractError: if the file is damaged.
        """


class Format(ABC, Generic[OptionsT]):
    """One kind of file, and the runtime that runs it. A format is a subclass with one instance, ``FORMAT``."""

    name: ClassVar[str]
    """As on the command line; also of its module and of the extra that brings its packages."""
    title: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    """Packages that it imports."""
    options: type[OptionsT]
    """What can be asked of an export; see `Options`."""
    gates: ClassVar[Mapping[str, Gate]]
    """What an export must reach, by precision."""
    units: ClassVar[tuple[str, ...]]
    """What its runtime can be asked to run on, where it finds that; the first is the default."""
    runtime: ClassVar[str]
    """Module to import before a first load is timed."""
    threaded: ClassVar[bool] = False
    """Whether its runtime can be told how many threads to use."""
    devices: ClassVar[tuple[str, ...]] = ()
    """What the default unit runs on, by the names in `lint.rule.DEVICES`: whose rules an export is held to."""
    inspector: Inspector | None = None

    @abstractmethod
    def file_name(self, stage: str) -> str:
        """Name of the file that holds a stage; a format that keeps both in one file gives one name."""

    @property
    def whole(self) -> bool:
        """Whether both stages lie in one file."""
        return len({self.file_name(stage) for stage in STAGE_NAMES}) == 1

    @property
    def dynamic_prompts(self) -> bool:
        """Whether a decoder takes any number of prompts and points in one call."""
        return self.options.of({}).point_slots is None

    def form(self, options: OptionsT) -> str:
        """Which rewrites its graphs get: a key of `graphs.FORMS`."""
        return self.name

    def graph(self, stage: Stage, options: OptionsT) -> Stage:
        """What is converted: the stage, folded, and rewritten unless the faithful graph is asked for."""
        form = FAITHFUL if options.graph == FAITHFUL else self.form(options)
        return rewritten(stage, form, without=options.left_out)

    @abstractmethod
    def interface(self, stage: Stage, options: OptionsT) -> Stage:
        """The stage with its specs as the file has them: dtypes, layout, dynamic axes."""

    def complete(
        self,
        names: Sequence[str],
        seen: Seen,
        options: OptionsT,
        provenance: Provenance,
        folder: Path,
        on_step: OnStep,
    ) -> OptionsT:
        """The options with what the export itself must find out; by default there is nothing.

        Args:
            names: of the stages that will be exported.
            seen: what the export may look at.
            options: as they were asked for.
            provenance: of the files.
            folder: for files that are needed meanwhile.
            on_step: progress callback.

        Raises:
            ExportError: with the converter's own message, or if what is asked for cannot be reached.
        """
        return options

    @abstractmethod
    def export(
        self,
        stages: Sequence[Stage],
        path: Path,
        options: OptionsT,
        provenance: Provenance,
        inputs: StageInputs = no_inputs,
    ) -> None:
        """Convert the stages of one file, as the contract has them, and save it.

        Args:
            stages: of the file.
            path: of the file.
            options: of the file: its own precision.
            provenance: of the file.
            inputs: of the images that an export may look at; precisions in `Options.calibrated` need some.

        Raises:
            ExportError: with the converter's own message.
        """

    @abstractmethod
    def load(self, path: Path, stage: str, how: RunOptions) -> LoadedStage:
        """Read a stage back, to be run with the inputs and outputs of the contract.

        Raises:
            ContractError: if the file is damaged, or was not exported by lightsam.
            UsageError: for a way to run that does not exist.
        """

    @abstractmethod
    def start(self, path: Path, stage: str, how: RunOptions) -> Session:
        """What `load` does after its checks: bring the stage into its runtime, and nothing else.

        Raises:
            ContractError: if the runtime refuses the file.
            UsageError: for a unit that is not there.
        """

    def stored_weights(self, path: Path) -> dict[str, int]:
        """How many numbers of a file's weights are stored in each dtype, counted in the file itself.

        Scales, zero points, palettes and what only configures an operation are left out. Empty where a file does not
        tell.

        Raises:
            ContractError: if the file is damaged.
        """
        return {}

    def delegation(self, path: Path) -> Delegation | None:
        """How much of a file a delegate runs; None where a format has no delegates that are chosen beforehand.

        Raises:
            ContractError: if the file is damaged.
        """
        return None

    def listing(self, path: Path) -> tuple[Graph, ...]:
        """The operations of a file, whoever made it: a graph a function; by default the file tells nothing.

        Raises:
            ContractError: if the file is damaged.
        """
        return (Graph("", self.name, notes=(f"{self.title} files do not tell their operations",)),)

    def why_not(self, unit: str) -> str:
        """Why a file cannot be timed on one of the ``units`` here, in a sentence; empty if it can."""
        return ""

    def why_not_unasked(self) -> str:
        """Why it is timed only when it is asked for by name, in a sentence; empty if it is timed anyway."""
        return ""

    def residency(self, path: Path, unit: str, inputs: Mapping[str, np.ndarray]) -> list[Share]:
        """Where a file's operations run, the largest cost first; empty if the runtime does not say.

        Raises:
            ContractError: if the file is damaged.
            UsageError: if it cannot be found out here.
        """
        return []


def static_shapes(stage: Stage) -> Stage:
    """The stage for a format without dynamic axes."""
    return replace(
        stage,
        inputs=tuple(replace(spec, dynamic={}) for spec in stage.inputs),
        outputs=tuple(replace(spec, dynamic={}) for spec in stage.outputs),
    )


def first_line(error: BaseException) -> str:
    """What a library's exception says, in one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def shares(costs: Iterable[tuple[str, float]]) -> list[Share]:
    """Add up the device and the cost of every operation, the largest cost first."""
    operations: dict[str, int] = defaultdict(int)
    cost: dict[str, float] = defaultdict(float)
    for device, share in costs:
        operations[device] += 1
        cost[device] += share
    found = [Share(device, count, cost[device]) for device, count in operations.items()]
    return sorted(found, key=lambda share: -share.cost)
