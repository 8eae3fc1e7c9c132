"""The proof of an import: ONNX Runtime on the files as they are, PyTorch on what was read from them, the same answers.

The photograph is a part of "Astronaut" (NASA, public domain, by way of scikit-image). It is square, so that it does not
matter whether a file pads, and with which color.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lightsam.errors import CheckpointError
from lightsam.metrics import psnr_db
from lightsam.modeling.graphs import DecoderModule
from lightsam.modeling.prompt_encoder import PointLabel
from lightsam.modeling.sam import EMBEDDING_CHANNELS, EMBEDDING_STRIDE, PIXEL_MEAN, PIXEL_STD, Sam

from .graph import Graph, TensorInfo, attributes
from .placing import Placement
from .running import Arrays, run, start

REQUIRED_DB = 100.0
"""PSNR that every output must reach: rounding of float32 leaves 110 to 140 dB, one wrong tensor less than 60."""


class ProofError(CheckpointError):
    """Weights that do not answer as the files do that they were read from."""


@dataclass(frozen=True)
class Agreement:
    """How closely one output agrees."""

    prompt: str
    """"" for the encoder."""
    output: str
    psnr_db: float


def photograph(image_size: int) -> np.ndarray:
    """(S, S, 3) uint8 RGB."""
    with as_file(files("lightsam") / "data" / "portrait.jpg") as path, Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((image_size, image_size), Image.Resampling.BICUBIC))


def _normalized(pixels: np.ndarray) -> np.ndarray:
    return (pixels - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_STD, np.float32)


SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normalized": _normalized,
    "0..255, normalized inside": lambda pixels: pixels,
    "0..1, normalized inside": lambda pixels: pixels / np.float32(255),
}
"""What an encoder may want its pixels to be."""


def prove_encoder(graph: Graph, model: Sam) -> tuple[Agreement, str, np.ndarray]:
    """Run the encoder's file and the model on the photograph.

    How the file wants its pixels does not stand in it, so each usual way is tried; only the right one agrees.

    Returns:
        How well the embeddings agree, how the file wants its picture, and the model's embeddings (1, C, E, E).

    Raises:
        ProofError: if they do not.
    """
    (wanted,) = graph.inputs
    picture = photograph(model.image_size).astype(np.float32)  # (S, S, 3)
    with torch.no_grad(), _as_exported(graph, model):
        image = torch.from_numpy(_normalized(picture)).permute(2, 0, 1)[None].contiguous()
        embeddings = model.image_encoder(image).numpy()
    session = start(graph.path)
    layout, arrange = _layout(wanted, graph.path)
    best, convention = float("-inf"), ""
    for scale, apply in SCALES.items():
        pixels = np.ascontiguousarray(arrange(apply(picture)))
        (found, *_) = run(session, {wanted.name: pixels}, graph.path).values()
        db = psnr_db(embeddings, found) if found.shape == embeddings.shape else float("-inf")
        if not db <= best:  # NaN is kept, and fails
            best, convention = db, f"{layout}, {scale}"
        if best >= REQUIRED_DB:
            break
    if not best >= REQUIRED_DB:
        raise ProofError(
            f"the weights read from {graph.path} do not answer as it does: {best:.1f} dB on the image embeddings of a "
            f"photograph, {REQUIRED_DB:g} are required{_hint(graph)}; nothing was written"
        )
    return Agreement("", "image_embeddings", best), convention, embeddings


def _layout(wanted: TensorInfo, path: Path) -> tuple[str, Any]:
    layouts = {
        (4, 1): ("NCHW", lambda pixels: pixels.transpose(2, 0, 1)[None]),
        (4, 3): ("NHWC", lambda pixels: pixels[None]),
        (3, 0): ("CHW", lambda pixels: pixels.transpose(2, 0, 1)),
        (3, 2): ("HWC", lambda pixels: pixels),
    }
    for (rank, axis), layout in layouts.items():
        if len(wanted.shape) == rank and wanted.shape[axis] == len(PIXEL_MEAN):
            return layout
    raise CheckpointError(f"{path} is no image encoder: its input {wanted.name} has the shape {wanted.shape}")


def _hint(graph: Graph) -> str:
    kinds = {node.op_type for node in graph.nodes}
    approximate = "Tanh" in kinds and "Erf" not in kinds
    return " (it computes an approximation of GELU: export it without)" if approximate else ""


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


@dataclass(frozen=True)
class _Question:
    name: str
    points: tuple[tuple[float, float], ...]
    """In parts of the picture's side."""
    labels: tuple[int, ...]
    refines: bool = False
    """Whether an earlier answer's mask goes with it."""


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
    taps = {} if _gives_all(graph) else _taps(model, placement)
    session = start(graph.path, tuple(taps))
    side = 4 * model.image_size // EMBEDDING_STRIDE
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
    failed = [one for one in found if not one.psnr_db >= REQUIRED_DB]
    if failed or not found:
        worst = min(failed, key=lambda one: one.psnr_db, default=None)
        what = "no output could be compared" if worst is None else f"{worst.psnr_db:.1f} dB on {worst.output}"
        where = "" if worst is None else f" for the prompt {worst.prompt!r}"
        raise ProofError(
            f"the weights read from {graph.path} do not answer as it does: {what}{where}, {REQUIRED_DB:g} are required"
            f"{_hint(graph)}; nothing was written"
        )
    return found


def decoder_inputs(graph: Graph) -> dict[str, TensorInfo]:
    """The file's inputs by the names that segment-anything gives them; by their shapes where they are called otherwise.

    Raises:
        CheckpointError: if the file is no mask decoder.
    """
    found: dict[str, TensorInfo] = {}
    for info in graph.inputs:
        shape = info.shape
        by_shape = {
            3: "point_coords",
            2: "point_labels",
            4: "image_embeddings" if EMBEDDING_CHANNELS in shape[1:2] else "mask_input",
            1: "has_mask_input" if shape[:1] == (1,) else "orig_im_size",
        }
        found[by_shape.get(len(shape), info.name)] = info
    missing = {"image_embeddings", "point_coords", "point_labels"} - set(found)
    if missing:
        names = ", ".join(info.name for info in graph.inputs)
        raise CheckpointError(f"{graph.path} is no mask decoder: its inputs are {names}")
    return found


def _gives_all(graph: Graph) -> bool:
    """Whether the file gives all four masks; a dimension that it leaves open counts as one."""
    return any(len(info.shape) == 4 and info.shape[1] == 4 for info in graph.outputs)


def _taps(model: Sam, placement: Placement) -> dict[str, str]:
    """Where to look into a file that gives one mask of four: what all four and their scores are made from."""
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
        self.decoder = DecoderModule(model)
        self.size, self.embeddings = model.image_size, embeddings
        self._inner: Arrays = {}
        for name in taps.values():
            model.get_submodule(name).register_forward_hook(self._keep(name))
        side = 4 * self.size // EMBEDDING_STRIDE
        self.earlier = np.zeros((1, 1, side, side), np.float32)

    def _keep(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            self._inner[name] = output.numpy()

        return hook

    def __call__(self, values: Arrays) -> tuple[np.ndarray, np.ndarray, Arrays]:
        names = ("image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input")
        with torch.no_grad():
            masks, ious = self.decoder(*(torch.from_numpy(values[name]) for name in names))
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
    scores = next((a for name, a in theirs.items() if a.shape == (1, count) and "." not in name), None)
    if scores is not None:
        yield Agreement(prompt, "iou_predictions", psnr_db(ious[:, start : start + count], scores))
