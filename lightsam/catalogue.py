"""What ``lightsam models`` shows of each model, kept in ``data/models.json``: read without torch, and without counting.

`lightsam_exporters.cost` makes the file from the cards (``make models``), and a test compares the two.
"""

from dataclasses import dataclass
from pathlib import Path

from lightsam.documents import convert, read_json

PATH = Path(__file__).parent / "data" / "models.json"
IPHONE_12, M1_PRO = "iPhone 12", "M1 Pro"
"""The devices that most of the published latencies are of."""


@dataclass(frozen=True)
class Cost:
    """What one stage costs."""

    parameters: int
    """Of the model, with everything constant folded."""
    gmacs: float
    """Billions of multiply-accumulates of convolutions and matrix products, for one image or one prompt, in the graph
    that is exported to ONNX."""


@dataclass(frozen=True)
class Figure:
    """A published figure."""

    value: float | str
    """The number, or the reason why there is none."""
    source: str


@dataclass(frozen=True)
class WeightEntry:
    """One set of a model's weights."""

    name: str
    license: str
    """In a few words."""
    cached_as: str
    """Path of the checkpoint below the cache's folder."""


@dataclass(frozen=True)
class Entry:
    """One model."""

    name: str
    image_sizes: tuple[int, ...]
    cost: dict[str, Cost]
    """By the stage's name, at the first image size."""
    coco_ap: Figure | None
    encoder_ms: dict[str, Figure]
    """Published latencies of the encoder, by device."""
    paper: str
    weights: tuple[WeightEntry, ...]
    """The first set is the official one."""


def read(path: Path = PATH) -> tuple[Entry, ...]:
    """Every model, in the order of the registry.

    Raises:
        ContractError: if the file is missing or damaged.
    """
    what = "the catalogue of models"
    return convert(read_json(path, what), tuple[Entry, ...], path, what)
