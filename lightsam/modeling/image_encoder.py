"""What an image encoder states about its output, and SAM's neck, in which the encoders of all light SAMs end."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lightsam.modeling.common import LayerNorm2d


@dataclass(frozen=True)
class FeatureMap:
    """One tensor that an image encoder gives to the mask decoder."""

    name: str
    """In the stage contract."""
    channels: int
    stride: int
    """Pixels of the model's input per position."""
    meaning: str

    def side(self, image_size: int) -> int:
        """E: positions a side, for square inputs of ``image_size`` pixels."""
        return image_size // self.stride

    def shape(self, image_size: int) -> tuple[int, int, int, int]:
        """(1, C, E, E)."""
        return (1, self.channels, self.side(image_size), self.side(image_size))


SAM_EMBEDDINGS = FeatureMap(
    "image_embeddings", 256, 16, "Image embeddings: the encoder's output goes into the decoder as it is"
)
"""The one feature map of every SAM-shaped model."""


class ImageEncoder(nn.Module):
    """Base of the image encoders: a normalised image (B, 3, S, S) to image embeddings (B, C, E, E).

    One with several feature maps gives a tuple of them, in their order.
    """

    feature_maps: tuple[FeatureMap, ...] = (SAM_EMBEDDINGS,)
    """All that the decoder gets, the image embeddings first."""
    neck: nn.Module

    @property
    def embeddings(self) -> FeatureMap:
        """The image embeddings."""
        return self.feature_maps[0]

    @property
    def output_norm(self) -> LayerNorm2d:
        """The last layer: how the embeddings are spread is in its weights."""
        assert isinstance(self.neck, nn.Sequential)
        norm = self.neck[-1]
        assert isinstance(norm, LayerNorm2d)
        return norm

    def spread(self, drawn: Sequence[Tensor]) -> list[Tensor]:
        """Give drawn feature maps the spread of real ones, as far as the weights tell it.

        Args:
            drawn: (1, C, E, E) from a standard normal distribution, one of each of `feature_maps`.

        Returns:
            As many of the same shapes.
        """
        norm = self.output_norm
        scale, shift = (values.to(drawn[0].dtype)[:, None, None] for values in (norm.weight, norm.bias))
        return [drawn[0] * scale + shift, *drawn[1:]]


def sam_neck(in_channels: int, out_channels: int = SAM_EMBEDDINGS.channels) -> nn.Sequential:
    """SAM's neck: backbone features to image embeddings, (B, in, E, E) to (B, out, E, E)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    )
