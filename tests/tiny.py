"""A small model of the real kinds of layer, so that a test can convert it in seconds."""

from lightsam.modeling.sam import Sam
from lightsam.models import Checkpoint, ModelCard
from lightsam.models.mobile_sam import TinyViT, TinyViTConfig

NAME = "tiny_sam"
SIZE = 128

CONFIG = TinyViTConfig(
    channels=(16, 32, 40, 64), depths=(1, 1, 1, 1), heads=(1, 2, 2, 4), windows=(7, 7, 14, 7), classes=10
)


def build(image_size: int) -> Sam:
    """TinyViT cut down, and SAM's own decoder."""
    return Sam(TinyViT(image_size, CONFIG), image_size)


CARD = ModelCard(
    name=NAME,
    title="Tiny SAM",
    build=build,
    image_sizes=(SIZE, 192),
    licence="CC0-1.0",
    paper="https://example.org/paper",
    source="https://example.org/source",
    checkpoint=Checkpoint(url="http://127.0.0.1:9/tiny_sam.pt", sha256=None),
)
