"""What every format shares: what a format is, options, provenance, and what a loaded file is."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np

from lightsam import __version__
from lightsam.errors import ContractError, UsageError
from lightsam.models import ModelCard
from lightsam.stages import CONTRACT_VERSION, POINT_SLOTS, STAGE_NAMES, Arrays, Runner, Stage
from lightsam.weights.checkpoints import Weights

Precision = Literal["float32", "float16", "float16-safe"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
ImageInput = Literal["image", "tensor"]
ImageLayout = Literal["nchw", "nhwc"]


@dataclass(frozen=True)
class ExportOptions:
    """Everything that changes what is in the files; stored in the manifest as it is."""

    precision: Precision = "float16"
    point_slots: int = POINT_SLOTS
    """Prompt slots of formats with static shapes."""
    minimum_deployment_target: str = "iOS16"
    """Core ML: the oldest system that must run the package; names as in ``coremltools.target``."""
    image_input: ImageInput = "image"
    """Core ML: "image" takes an 8-bit RGB image (a CVPixelBuffer), "tensor" a float MLMultiArray."""

    opset: int = 20
    """ONNX: version of the operator set."""
    with_masks: bool = False
    """ONNX: let the decoder bring the masks to the image's size too, as SAM's published one does."""
    image_layout: ImageLayout = "nchw"
    """LiteRT: "nhwc" takes the image with its channels last, as Android's cameras give it."""
    float32_operations: tuple[str, ...] = ()
    """Core ML, float16-safe: what stays in float32, as ``stage/operation``; found by the export itself."""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("precision", PRECISIONS),
            ("image_input", get_args(ImageInput)),
            ("image_layout", get_args(ImageLayout)),
        ):
            if getattr(self, name) not in allowed:
                raise UsageError(f"there is no {name} {getattr(self, name)!r}; choose from: {', '.join(allowed)}")
        if not 2 <= self.point_slots <= 256:
            raise UsageError(f"a decoder has 2 to 256 point slots (a box alone takes two), not {self.point_slots}")

    def changed(self) -> list[str]:
        """Names of the options that are not at their default, the precision aside."""
        return [f.name for f in fields(self) if f.name != "precision" and getattr(self, f.name) != f.default]

    def recorded(self, names: Sequence[str]) -> dict[str, Any]:
        """The precision and the options of these names: those that change a format's files."""
        return {name: getattr(self, name) for name in ("precision", *names)}


@dataclass(frozen=True)
class RunOptions:
    """How a file is run; each format takes what concerns it."""

    compute_units: str = "ALL"
    """Core ML, on macOS."""
    numerics: str = "declared"
    """The evaluator of ML Programs, where Core ML is not; see `mil.NUMERICS`."""
    unit: str = "CPU"
    """ONNX Runtime and LiteRT; see the format's ``UNITS``."""
    threads: int | None = None
    """ONNX Runtime and LiteRT, on the CPU; None leaves it to the runtime."""


Prepare = Callable[[Mapping[str, np.ndarray]], Callable[[], Arrays]]


class Session(NamedTuple):
    """A stage of a file in its runtime."""

    prepare: Prepare
    """A call with these inputs, which are brought into the runtime's own form beforehand."""
    runtime: str
    """Name and version."""
    unit: str
    """What the runtime says that it runs on."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """One call, from arrays to arrays."""
        return self.prepare(inputs)()


class Value(NamedTuple):
    """One float tensor inside a file, as it was computed."""

    op_type: str
    name: str
    """Of the result, without what a precision adds to it."""
    array: np.ndarray


Observe = Callable[[Value], None]
OnStep = Callable[[str], None]
"""Told what begins, in a few words."""


class Format(Protocol):
    """What a module of a format has; as properties, since nobody may set them."""

    @property
    def NAME(self) -> str:
        """As on the command line."""

    @property
    def REQUIRES(self) -> tuple[str, ...]:
        """Packages that it imports."""

    @property
    def PRECISIONS(self) -> tuple[Precision, ...]:
        """Those that it can be had in; the first is the default."""

    @property
    def OPTIONS(self) -> tuple[str, ...]:
        """Names of the options that change its files, besides the precision."""

    @property
    def DYNAMIC_PROMPTS(self) -> bool:
        """Whether a decoder takes any number of prompts and points in one call."""

    @property
    def UNITS(self) -> tuple[str, ...]:
        """What it can be asked to run on, where its runtime finds that; the first is the default."""

    def file_name(self, stage: str) -> str:
        """Name of the file that holds a stage; a format that keeps both in one file gives one name."""

    def check_options(self, options: ExportOptions) -> None:
        """Refuse what this format cannot do, before any work.

        Raises:
            UsageError: saying what can be chosen.
        """

    def interface(self, stage: Stage, options: ExportOptions) -> Stage:
        """The stage with its specs as the file has them: dtypes, layout, dynamic axes."""

    def export(self, stages: Sequence[Stage], path: Path, options: ExportOptions, provenance: "Provenance") -> None:
        """Convert the stages of one file, as the contract has them, and save it.

        Raises:
            ExportError: with the converter's own message.
        """

    def load(self, path: Path, stage: str, how: RunOptions) -> "LoadedStage":
        """Read a stage back, to be run with the inputs and outputs of the contract.

        Raises:
            ContractError: if the file is damaged, or was not exported by lightsam.
            UsageError: for a way to run that does not exist.
        """

    def start(self, path: Path, stage: str, how: RunOptions) -> Session:
        """What `load` does after its checks: bring the stage into its runtime, and nothing else.

        Raises:
            ContractError: if the runtime refuses the file.
            UsageError: for a unit that is not there.
        """


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


_DYNAMIC = "dynamic"


@dataclass(frozen=True)
class Provenance:
    """Where a file comes from; written into its own metadata, so that it can be told apart without the manifest."""

    model: str
    image_size: int
    point_slots: int | None
    """Prompt slots of a decoder with static shapes; None for a dynamic one."""
    license: str
    """Of the weights, as are the next three."""
    license_url: str
    license_note: str
    commercial_use: bool
    paper: str
    source: str
    weights: str
    """Of the set ("official", say), "seeded", or the name of the user's file."""
    weights_sha256: str
    weights_authors: str
    """Whose they are."""
    trained: bool
    contract_version: str = CONTRACT_VERSION
    lightsam_version: str = __version__

    @classmethod
    def of(cls, card: ModelCard, image_size: int, point_slots: int | None, weights: Weights) -> "Provenance":
        return cls(
            model=card.name,
            image_size=image_size,
            point_slots=point_slots,
            license=weights.license,
            license_url=weights.license_url,
            license_note=weights.license_note,
            commercial_use=weights.commercial_use,
            paper=card.paper,
            source=card.source,
            weights=weights.name,
            weights_sha256=weights.sha256,
            weights_authors=weights.authors,
            trained=weights.trained,
        )

    @property
    def made_from(self) -> Weights:
        """What the weights are."""
        return Weights(
            name=self.weights,
            sha256=self.weights_sha256,
            trained=self.trained,
            authors=self.weights_authors,
            license=self.license,
            license_url=self.license_url,
            license_note=self.license_note,
            commercial_use=self.commercial_use,
        )

    @property
    def pairing_id(self) -> str:
        """What an encoder and a decoder must share to be used together, in any format and precision."""
        facts = (self.model, self.image_size, self.weights_sha256, self.contract_version)
        return hashlib.sha256("|".join(map(str, facts)).encode()).hexdigest()[:16]

    @property
    def license_line(self) -> str:
        """The license in one line."""
        return self.made_from.license_line

    @property
    def author(self) -> str:
        """Who made it, in one line."""
        weights = (
            f"; weights: {self.weights}, by {self.weights_authors}" if self.trained and self.weights_authors else ""
        )
        return f"{self.source}{weights}; exported by lightsam {self.lightsam_version}"

    @property
    def headline(self) -> str:
        """One line for a model viewer."""
        warning = "" if self.trained else " UNTRAINED: seeded random weights, for testing the conversion only."
        return f"{self.model} at {self.image_size} x {self.image_size}.{warning}"

    def metadata(self) -> dict[str, str]:
        """Flat strings, as every format's own metadata can hold them."""
        facts = {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in asdict(self).items()
        }
        if self.point_slots is None:
            facts["point_slots"] = _DYNAMIC
        return {**facts, "pairing_id": self.pairing_id}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], origin: str) -> "Provenance":
        """Read back what `metadata` gave.

        Raises:
            ContractError: if a fact is missing or the pairing id is not that of the facts.
        """
        try:
            facts: dict[str, Any] = {name: metadata[name] for name in cls.__dataclass_fields__}
            slots = facts["point_slots"]
            facts.update(image_size=int(facts["image_size"]), point_slots=None if slots == _DYNAMIC else int(slots))
            facts.update({name: facts[name] == "true" for name in ("trained", "commercial_use")})
            provenance = cls(**facts)
            if metadata["pairing_id"] != provenance.pairing_id:
                raise ContractError(f"{origin} has a pairing id that is not that of its own metadata")
        except (KeyError, ValueError) as error:
            if isinstance(error, ContractError):
                raise
            raise ContractError(f"{origin} was not exported by lightsam: its metadata lacks {error}") from error
        return provenance


@dataclass(frozen=True)
class LoadedStage:
    """A file that was read back and can be run."""

    stage: str
    run: Runner
    provenance: Provenance
    judge: str
    """Who runs it: the format's own runtime and compute unit, or lightsam's evaluator and its numerics."""

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
