"""The check of an import: ONNX Runtime runs the files, PyTorch what was read from them, and the outputs must agree.

The photograph is a part of "Astronaut" (NASA, public domain, by way of scikit-image). It is square, so that it does not
matter whether and with which colour a file pads.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
from PIL import Image

from lightsam.errors import CheckpointError

from .graph import Graph

REQUIRED_DB = 100.0
"""PSNR that every output must reach: rounding of float32 leaves 110 to 140 dB, one wrong tensor less than 60."""


class ProofError(CheckpointError):
    """Weights whose outputs are not those of the file that they were read from."""

    def __init__(self, graph: Graph, found: str) -> None:
        kinds = {node.op_type for node in graph.nodes}
        approximate = "Tanh" in kinds and "Erf" not in kinds
        hint = " (it computes an approximation of GELU: export it without)" if approximate else ""
        super().__init__(
            f"the weights read from {graph.path} do not answer as it does: {found}, {REQUIRED_DB:g} are required"
            f"{hint}; nothing was written"
        )


@dataclass(frozen=True)
class Agreement:
    """How closely one output agrees."""

    prompt: str
    """"" for the encoder."""
    output: str
    psnr_db: float


def photograph(image_size: int) -> np.ndarray:
    """(S, S, 3) float32 RGB, whole numbers 0..255."""
    with as_file(files("lightsam") / "data" / "portrait.jpg") as path, Image.open(path) as image:
        resized = image.convert("RGB").resize((image_size, image_size), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float32)
