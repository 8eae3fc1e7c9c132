"""The decoder's half of the check: both decoders on prompts about the photograph."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from lightsam.errors import CheckpointError
from lightsam.geometry import mask_side
from lightsam.metrics import psnr_db
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.sam import Sam
from lightsam.rules import PointLabel, PromptRules
from lightsam.stages import IOU_PREDICTIONS, LOW_RES_MASKS, MASK_INPUT, split

from .graph import Graph
from .placing import Placement
from .proof import REQUIRED_DB, Agreement, ProofError
from .roles import decoder_inputs
from .running import Arrays, run, start


@dataclass(frozen=True)
class _Question:
    name: str
    points: tuple[tuple[float, float], ...]
    """x, y as fractions of the image's side."""
    labels: tuple[int, ...]
    refines: bool = False
    """Whether the mask of an earlier prediction goes with it."""

    def asked_of(self, rules: PromptRules) -> bool:
        """Whether a model takes such a prompt."""
        return (rules.masks or not self.refines) and set(self.labels) <= set(rules.labels)


_QUESTIONS = (
    _Question("point", ((0.55, 0.45),), (1,)),
    _Question("box", ((0.3, 0.1), (0.8, 0.75)), (2, 3)),
    _Question("points", ((0.55, 0.45), (0.5, 0.7), (0.05, 0.9)), (1, 1, 0)),
    _Question("mask", ((0.55, 0.45),), (1,), refines=True),
)


def prove_decoder(
    graph: Graph, model: Sam, placement: Placement, features: Sequence[np.ndarray]
) -> tuple[list[Agreement], bool]:
    """Run the decoder's file and the model on prompts about the photograph.

    Whether the file puts padding points behind those of a prompt itself does not stand in it, so both are tried.

    Args:
        graph: of the file.
        model: with the weights that were read.
        placement: where they were in the file.
        features: the photograph's feature maps, (1, C, E, E) each.

    Returns:
        How well each output of each prompt agrees, and whether the file pads the points itself.

    Raises:
        ProofError: if one does not.
    """
    proof = _Proof(graph, model, placement, features)
    failed: Agreement | None = None
    for pads in (False, True):
        found = list(proof.agreements(pads=pads))
        if not found:
            slots = proof.inputs["point_coords"].shape[1]
            raise CheckpointError(f"{graph.path} takes {slots} points: none of the prompts of the proof fits")
        short = [one for one in found if not one.psnr_db >= REQUIRED_DB]
        if not short:
            return found, pads
        worst = min(short, key=lambda one: one.psnr_db)
        failed = worst if failed is None or worst.psnr_db > failed.psnr_db else failed
    assert failed is not None
    raise ProofError(graph, f"{failed.psnr_db:.1f} dB on {failed.output} for the prompt {failed.prompt!r}")


class _Proof:
    """Both decoders, and the photograph."""

    def __init__(self, graph: Graph, model: Sam, placement: Placement, features: Sequence[np.ndarray]) -> None:
        maps = model.image_encoder.feature_maps
        self.path, self.model = graph.path, model
        self.features = {one.name: feature for one, feature in zip(maps, features, strict=True)}
        self.inputs = decoder_inputs(graph, maps)
        self.taps = _taps(model, placement)
        self.limited = _limited(graph)
        self.session = start(graph, (*self.taps, *self.limited.values()))
        self.decoder = split(model).decoder
        self.inner: Arrays = {}
        for tap in self.taps.values():
            model.get_submodule(tap.name).register_forward_hook(self._keep(tap.name))

    def _keep(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            self.inner[name] = output.numpy()

        return hook

    def agreements(self, *, pads: bool) -> Iterator[Agreement]:
        """Ask both.

        Args:
            pads: whether the file puts padding points behind those of a prompt itself.

        Raises:
            CheckpointError: if the file gives no masks.
        """
        side = mask_side(self.model.image_size)
        earlier = np.zeros((1, 1, side, side), np.float32)
        for question in _QUESTIONS:
            if not question.asked_of(self.model.rules.prompts):
                continue
            mask = {MASK_INPUT: earlier, "has_mask_input": np.array([question.refines], np.float32)}
            asked = {**self.features, **self._points(question, padded=True), **mask}
            ours = self.decoder.run({spec.name: asked[spec.name] for spec in self.decoder.inputs})
            if not question.refines:
                earlier = ours[LOW_RES_MASKS][:, :1]
            size = np.array([self.model.image_size] * 2, np.float32)
            fed = {**asked, **self._points(question, padded=not pads), "orig_im_size": size}
            if not self._holds(fed["point_coords"].shape[1]):
                continue
            theirs = run(self.session, {self.inputs[name].name: fed[name] for name in self.inputs}, self.path)
            for tensor, tap in self.taps.items():
                inner = _ACTIVATIONS[tap.activation](self.inner[tap.name])
                yield Agreement(question.name, tap.name, psnr_db(inner.ravel(), theirs.pop(tensor).ravel()))
            for output, unlimited in self.limited.items():
                theirs[output] = theirs.pop(unlimited)
            yield from self._masks(question.name, ours, theirs)

    def _points(self, question: _Question, *, padded: bool) -> Arrays:
        """The points of a prompt, with the padding points that the model wants behind them, or without."""
        rules = self.model.rules.prompts
        points, labels = [*question.points], [*question.labels]
        if padded:
            box = PointLabel.BOX_TOP_LEFT in labels
            padding = rules.padding_points(len(points) - 2 * box, box=box)
            static = self.inputs["point_coords"].shape[1]
            if static is not None:
                padding = max(padding, static - len(points))
            points += [(0.0, 0.0)] * padding
            labels += [int(PointLabel.PADDING)] * padding
        return {
            "point_coords": np.array([points], np.float32) * self.model.image_size,
            "point_labels": np.array([labels], np.float32),
        }

    def _holds(self, points: int) -> bool:
        """Whether the file has just as many slots, or any number."""
        return self.inputs["point_coords"].shape[1] in (None, points)

    def _masks(self, prompt: str, ours: Arrays, theirs: Arrays) -> Iterator[Agreement]:
        """Masks and scores, whichever of all the file gives."""
        masks, ious = ours[LOW_RES_MASKS], ours[IOU_PREDICTIONS]
        low_res = next((a for a in theirs.values() if a.ndim == 4 and a.shape[-2:] == masks.shape[-2:]), None)
        if low_res is None:
            height, width = masks.shape[-2:]
            raise CheckpointError(
                f"{self.path} gives no masks of {height} x {width} pixels: nothing would prove what was read from it"
            )
        count, all_ = low_res.shape[1], masks.shape[1]
        starts = range(all_ - count + 1)
        start = max(starts, key=lambda first: psnr_db(masks[:, first : first + count], low_res))
        yield Agreement(prompt, LOW_RES_MASKS, psnr_db(masks[:, start : start + count], low_res))
        # Of several rows of scores, the first: extra metrics follow.
        scores = next((a for a in theirs.values() if a.shape == (1, count)), None)
        if scores is not None:
            yield Agreement(prompt, IOU_PREDICTIONS, psnr_db(ious[:, start : start + count], scores))


@dataclass(frozen=True)
class _Tap:
    name: str
    """Of the module."""
    activation: str
    """What the file has joined to it."""


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda values: values,
    "Relu": lambda values: np.maximum(values, 0),
    "Sigmoid": lambda values: 1 / (1 + np.exp(-values)),
}


def _taps(model: Sam, placement: Placement) -> dict[str, _Tap]:
    """Where to look into the file: what all masks and their scores are made from, of which it may give one."""
    decoder = model.mask_decoder
    assert isinstance(decoder, MaskDecoder)
    heads = [decoder.iou_prediction_head, *decoder.output_hypernetworks_mlps]
    last = {[one for one in head.modules() if isinstance(one, nn.Linear)][-1] for head in heads}
    names = [name for name, module in model.named_modules() if module in last]
    return {placement.uses[name].output: _Tap(name, placement.uses[name].activation) for name in names}


def _limited(graph: Graph) -> dict[str, str]:
    """Outputs that a file cuts off at a largest and a smallest value, and the tensor before that."""
    found = {info.name: graph.producers.get(info.name) for info in graph.outputs}
    return {name: node.input[0] for name, node in found.items() if node is not None and node.op_type == "Clip"}
