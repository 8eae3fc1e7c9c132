"""The encoder's half of the check: both encoders on a photograph."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightsam.errors import CheckpointError
from lightsam.geometry import Preprocess
from lightsam.metrics import psnr_db
from lightsam.modeling.sam import Sam

from .graph import Graph, TensorInfo, attributes
from .proof import REQUIRED_DB, Agreement, ProofError, photograph
from .running import Arrays, run, start

_CHANNELS = 3
"""Of an RGB image."""


def _scales(preprocess: Preprocess) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What an encoder may want its pixels to be, from (..., 3) float32 RGB, 0..255."""
    mean, std = np.array(preprocess.mean, np.float32), np.array(preprocess.std, np.float32)
    return {
        "normalized": lambda pixels: (pixels - mean) / std,
        "0..255, normalized inside": lambda pixels: pixels,
        "0..1, normalized inside": lambda pixels: pixels / np.float32(255),
    }


def prove_encoder(graph: Graph, model: Sam) -> tuple[list[Agreement], str, list[np.ndarray]]:
    """Run the encoder's file and the model on the photograph.

    How the file wants its pixels does not stand in it, so each usual way is tried; only the right one agrees.

    Returns:
        How well each feature map agrees, how the file wants its image, and the model's feature maps, (1, C, E, E) each.

    Raises:
        ProofError: if they do not.
    """
    (wanted,) = graph.inputs
    image = photograph(model.image_size)  # (S, S, 3)
    scales = _scales(model.preprocess)
    with torch.no_grad(), _as_exported(graph, model):
        normalized = torch.from_numpy(scales["normalized"](image)).permute(2, 0, 1)[None].contiguous()
        given = model.image_encoder(normalized)
    features = [one.numpy() for one in (given if isinstance(given, tuple) else (given,))]
    session = start(graph)
    layout, arrange = _layout(wanted, graph.path)
    best, convention = [float("-inf")] * len(features), ""
    for scale, apply in scales.items():
        pixels = np.ascontiguousarray(arrange(apply(image)))
        found = run(session, {wanted.name: pixels}, graph.path)
        dbs = [_closest(feature, found) for feature in features]
        if not float(np.min(dbs)) <= min(best):  # NaN is kept, and fails
            best, convention = dbs, f"{layout}, {scale}"
        if min(best) >= REQUIRED_DB:
            break
    agreements = [Agreement("", one.name, db) for one, db in zip(model.image_encoder.feature_maps, best, strict=True)]
    failed = next((one for one in agreements if not one.psnr_db >= REQUIRED_DB), None)
    if failed is not None:
        raise ProofError(graph, f"{failed.psnr_db:.1f} dB on the {failed.output.replace('_', ' ')} of a photograph")
    return agreements, convention, features


def _closest(feature: np.ndarray, found: Arrays) -> float:
    """Agreement with the one of a file's outputs that is this feature map: of its shape, whatever it is called."""
    return max((psnr_db(feature, one) for one in found.values() if one.shape == feature.shape), default=float("-inf"))


def _layout(wanted: TensorInfo, path: Path) -> tuple[str, Any]:
    layouts = {
        (4, 1): ("NCHW", lambda pixels: pixels.transpose(2, 0, 1)[None]),
        (4, 3): ("NHWC", lambda pixels: pixels[None]),
        (3, 0): ("CHW", lambda pixels: pixels.transpose(2, 0, 1)),
        (3, 2): ("HWC", lambda pixels: pixels),
    }
    for (rank, axis), layout in layouts.items():
        if len(wanted.shape) == rank and wanted.shape[axis] == _CHANNELS:
            return layout
    raise CheckpointError(f"{path} is no image encoder: its input {wanted.name} has the shape {wanted.shape}")


@contextmanager
def _as_exported(graph: Graph, model: Sam) -> Iterator[None]:
    """The model as the file was exported, where its authors' export is another function than their model."""
    modes = {attributes(node).get("mode", b"nearest").decode() for node in graph.nodes if node.op_type == "Resize"}
    changed = [m for m in model.image_encoder.modules() if callable(getattr(m, "use_mode", None))] if modes else []
    for module in changed:
        if modes == {"linear"}:
            module.use_mode("bilinear")  # type: ignore[operator]
    try:
        yield
    finally:
        for module in changed:
            module.use_mode("bicubic")  # type: ignore[operator]
