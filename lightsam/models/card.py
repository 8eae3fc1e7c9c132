"""What lightsam knows of a model besides its layers."""

from collections.abc import Callable
from dataclasses import dataclass

from lightsam.errors import UsageError
from lightsam.modeling.sam import Sam

REPVIT_SAM_README = "RepViT-SAM README, https://github.com/THU-MIG/RepViT/tree/main/sam"
"""Compares its authors' model with others, all by the same protocol: Core ML, measured by Xcode, encoder at 1024."""


@dataclass(frozen=True)
class Checkpoint:
    """Where the published weights are."""

    url: str
    sha256: str | None
    """Hex digest of the file, where the authors or their distributors publish one."""


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
    licence: str
    """SPDX identifier of the weights' licence."""
    licence_url: str
    paper: str
    source: str
    checkpoint: Checkpoint
    published: Published = Published()
    commercial_use: bool = True
    """Whether the licence allows it."""

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
