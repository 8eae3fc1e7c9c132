"""The decoder's half of the check: both decoders on prompts about the photograph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightsam.errors import CheckpointError
from lightsam.geometry import mask_side
from lightsam.metrics import psnr_db
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.sam import Sam
from lightsam.rules import PointLabel

from .graph import Graph
from .placing import Placement
from .proof import REQUIRED_DB, Agreement, ProofError
from .roles import INPUTS, decoder_inputs
from .running import Arrays, run, start


@dataclass(frozen=True)
class _Question:
    name: str
    points: tuple[tuple[float, float], ...]
    """x, y as fractions of the image's side."""
    labels: tuple[int, ...]
    refines: bool = False
    """Whether the mask of an earlier prediction goes with it."""


_QUESTIONS = (
    _Question("point", ((0.55, 0.45),), (1,)),
    _Question("box", ((0.3, 0.1), (0.8, 0.75)), (2, 3)),
    _Question("points", ((0.55, 0.45), (0.5, 0.7), (0.05, 0.9)), (1, 1, 0)),
    _Question("mask", ((0.55, 0.45),), (1,), refines=True),
)


def prove_decoder(graph: Graph, model: Sam, placement: Placement, embeddings: np.ndarray) -> list[Agreement]:
    """Run the decoder's file and the model on prompts about the photograph.

    Args:
        embeddings: the photograph's, (1, C, E, E).

    Returns:
        How well each output of each prompt agrees.

    Raises:
        ProofError: if one does not.
    """
    inputs = decoder_inputs(graph)
    taps = _taps(model, placement)
    session = start(graph.path, tuple(taps))
    side = mask_side(model.image_size)
    ours = _Ours(model, taps, embeddings)
    found: list[Agreement] = []
    for question in _QUESTIONS:
        values = _values(question, ours, inputs["point_coords"].shape[1])
        if values is None:
            continue
        masks, ious, inner = ours(values)
        fed = {inputs[name].name: value for name, value in values.items() if name in inputs}
        theirs = run(session, fed, graph.path)
        if not question.refines:
            ours.earlier = masks[:, :1]
        found += _compare(question.name, masks, ious, theirs, side)
        found += [
            Agreement(question.name, taps[name], psnr_db(inner[taps[name]].ravel(), theirs[name].ravel()))
            for name in taps
        ]
    if "low_res_masks" not in {one.output for one in found}:
        raise CheckpointError(
            f"{graph.path} gives no masks of {side} x {side} pixels: nothing would prove what was read from it"
        )
    failed = [one for one in found if not one.psnr_db >= REQUIRED_DB]
    if failed:
        worst = min(failed, key=lambda one: one.psnr_db)
        raise ProofError(graph, f"{worst.psnr_db:.1f} dB on {worst.output} for the prompt {worst.prompt!r}")
    return found


def _taps(model: Sam, placement: Placement) -> dict[str, str]:
    """Where to look into the file: what all four masks and their scores are made from, of which it may give one."""
    assert isinstance(model.mask_decoder, MaskDecoder)
    mlps = {
        "mask_decoder.iou_prediction_head": model.mask_decoder.iou_prediction_head,
        **{
            f"mask_decoder.output_hypernetworks_mlps.{index}": mlp
            for index, mlp in enumerate(model.mask_decoder.output_hypernetworks_mlps)
        },
    }
    last = [f"{name}.layers.{len(mlp.layers) - 1}" for name, mlp in mlps.items()]  # type: ignore[arg-type]
    return {placement.uses[name].output: name for name in last}


class _Ours:
    """The model's decoder, with what was tapped."""

    def __init__(self, model: Sam, taps: Mapping[str, str], embeddings: np.ndarray) -> None:
        self.decoder = model.decoder_graph()
        self.size, self.embeddings = model.image_size, embeddings
        self._inner: Arrays = {}
        for name in taps.values():
            model.get_submodule(name).register_forward_hook(self._keep(name))
        side = mask_side(self.size)
        self.earlier = np.zeros((1, 1, side, side), np.float32)

    def _keep(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            self._inner[name] = output.numpy()

        return hook

    def __call__(self, values: Arrays) -> tuple[np.ndarray, np.ndarray, Arrays]:
        with torch.no_grad():
            masks, ious = self.decoder(*(torch.from_numpy(values[name]) for name in INPUTS[:-1]))
        return masks.numpy(), ious.numpy(), dict(self._inner)


def _values(question: _Question, ours: _Ours, slots: int | None) -> Arrays | None:
    """One prompt as the decoder takes it; None if the file has no room for it."""
    points, labels = [*question.points], [*question.labels]
    if PointLabel.BOX_TOP_LEFT not in labels:
        points, labels = [*points, (0.0, 0.0)], [*labels, int(PointLabel.PADDING)]
    if slots is not None:
        if len(points) > slots:
            return None
        labels += [int(PointLabel.PADDING)] * (slots - len(points))
        points += [(0.0, 0.0)] * (slots - len(points))
    return {
        "image_embeddings": ours.embeddings,
        "point_coords": np.array([points], np.float32) * ours.size,
        "point_labels": np.array([labels], np.float32),
        "mask_input": ours.earlier,
        "has_mask_input": np.array([question.refines], np.float32),
        "orig_im_size": np.array([ours.size, ours.size], np.float32),
    }


def _compare(prompt: str, masks: np.ndarray, ious: np.ndarray, theirs: Arrays, side: int) -> Iterator[Agreement]:
    """Masks and scores, whichever of the four the file gives."""
    low_res = next((a for a in theirs.values() if a.ndim == 4 and a.shape[-2:] == (side, side)), None)
    if low_res is None:
        return
    count, all_ = low_res.shape[1], masks.shape[1]
    starts = range(all_ - count + 1)
    start = max(starts, key=lambda first: psnr_db(masks[:, first : first + count], low_res))
    yield Agreement(prompt, "low_res_masks", psnr_db(masks[:, start : start + count], low_res))
    # Of several rows of scores, the first: extra metrics follow.
    scores = next((a for a in theirs.values() if a.shape == (1, count)), None)
    if scores is not None:
        yield Agreement(prompt, "iou_predictions", psnr_db(ious[:, start : start + count], scores))
