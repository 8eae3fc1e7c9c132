"""What an encoder makes of an image, kept for any number of prompts."""

from dataclasses import dataclass

from lightsam.geometry import Frame
from lightsam.stages import Arrays


@dataclass(frozen=True)
class Encoding:
    """An image that prompts can be answered about."""

    features: Arrays
    """The encoder's outputs by name: ``image_embeddings`` (1, C, E, E) float32, and what else the model has."""
    frame: Frame
    """Where the image lies in the model's input."""
