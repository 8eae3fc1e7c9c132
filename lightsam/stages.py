"""The stage contract: the two graphs that every format holds, with the names, shapes and meaning of their tensors.

This is the only place where a tensor's name, shape or meaning is written. Exporters, the parity judge, the manifest
and the README's table derive from it.

S is the model's image size, E = S / 16 the side of the embeddings, B the number of prompts, N that of prompt slots.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from lightsam.errors import ContractError
from lightsam.modeling.common import fold
from lightsam.modeling.graphs import DecoderModule, DecoderWithMasks, EncoderModule
from lightsam.modeling.mask_decoder import NUM_MASKS
from lightsam.modeling.prompt_encoder import PointLabel
from lightsam.modeling.sam import EMBEDDING_CHANNELS, EMBEDDING_STRIDE, PADDING_COLOUR, Sam

CONTRACT_VERSION = "1"
"""Changes when a tensor's name, shape, unit or meaning does; files of different versions do not pair."""

POINT_SLOTS = 8
"""Prompt slots of formats with static shapes, unless asked for otherwise."""

LOW_RES_MASKS = "low_res_masks"
IOU_PREDICTIONS = "iou_predictions"
ORIG_IM_SIZE = "orig_im_size"
MASKS = "masks"
"""Input and output of a decoder that also gives masks at the image's own size; names of SAM's published ONNX file."""

Arrays = dict[str, np.ndarray]
Runner = Callable[[Mapping[str, np.ndarray]], Arrays]
"""A stage that can be run, in whatever format: named inputs to named outputs."""


@dataclass(frozen=True)
class TensorSpec:
    """One named tensor of a stage."""

    name: str
    shape: tuple[int, ...]
    meaning: str
    """With unit, range and coordinate frame; written into the artifact's own metadata."""
    low: float = -1.0
    high: float = 1.0
    """Range of sample values."""
    values: tuple[float, ...] | None = None
    """The only values allowed, where there are such."""
    dynamic: Mapping[int, str] = field(default_factory=dict)
    """Axes that formats with dynamic shapes leave open, and what they count."""
    dtype: str = "float32"

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Values that the stage may really see, drawn from ``rng``; of another shape where that is dynamic."""
        if self.values is not None:
            return rng.choice(np.array(self.values, self.dtype), shape or self.shape)
        return rng.uniform(self.low, self.high, shape or self.shape).astype(self.dtype)


@dataclass(frozen=True)
class Stage:
    """One graph that is exported: named tensors in, a tuple of tensors out."""

    name: str
    """"encoder" or "decoder"."""
    module: nn.Module
    """Its ``forward`` takes the inputs by name and in order, and returns the outputs in order."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def sample_inputs(self, seed: int = 0) -> Arrays:
        """Inputs of the right names, shapes and ranges; the same for the same seed."""
        rng = np.random.Generator(np.random.PCG64(seed))
        return {spec.name: spec.sample(rng) for spec in self.inputs}

    def example_tensors(self) -> tuple[Tensor, ...]:
        """Sample inputs in the order of ``forward``, for a tracer."""
        return tuple(torch.from_numpy(array) for array in self.sample_inputs().values())

    @torch.inference_mode()
    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Run the module in PyTorch: the reference.

        Raises:
            ContractError: if an input is missing or nobody asked for it.
        """
        names = [spec.name for spec in self.inputs]
        if set(names) != set(inputs):
            raise ContractError(f"the {self.name} takes {names}; it was given {sorted(inputs)}")
        tensors = [torch.from_numpy(np.ascontiguousarray(inputs[name], dtype=np.float32)) for name in names]
        outputs = self.module(*tensors)
        return {spec.name: output.numpy() for spec, output in zip(self.outputs, outputs, strict=True)}

    def folded(self) -> "Stage":
        """The same stage with everything constant computed: what exporters convert."""
        return replace(self, module=fold(deepcopy(self.module)))

    def check(self) -> None:
        """Compare the specs with the module's signature and with one real run.

        Raises:
            ContractError: naming the stage and what differs.
        """
        declared = [spec.name for spec in self.inputs]
        taken = list(inspect.signature(self.module.forward).parameters)
        if declared != taken:
            raise ContractError(f"{self.name}: the specs declare inputs {declared}, forward takes {taken}")
        found = self.run(self.sample_inputs())
        for spec in self.outputs:
            array = found[spec.name]
            if array.shape != spec.shape or array.dtype != spec.dtype:
                raise ContractError(
                    f"{self.name}: {spec.name} is declared {spec.dtype} {spec.shape}, "
                    f"a run gave {array.dtype} {array.shape}"
                )


@dataclass(frozen=True)
class Stages:
    """The two stages of a model; the encoder's output spec is the decoder's first input spec."""

    encoder: Stage
    decoder: Stage

    def __iter__(self) -> Iterator[Stage]:
        """In the order of the data."""
        return iter((self.encoder, self.decoder))

    def __getitem__(self, name: str) -> Stage:
        return {stage.name: stage for stage in self}[name]


STAGE_NAMES = ("encoder", "decoder")


def mask_side(image_size: int) -> int:
    """Side of low-res masks, in pixels."""
    return 4 * image_size // EMBEDDING_STRIDE


def split(model: Sam, *, batch: int = 1, point_slots: int = POINT_SLOTS, with_masks: bool = False) -> Stages:
    """Make the two stages of ``model``; they share its weights.

    Args:
        batch: B, the number of prompts in one call, of formats with static shapes.
        point_slots: N, likewise.
        with_masks: let the decoder bring the masks to the image's own size, too.
    """
    model.eval()
    size, side, low_res = model.image_size, model.image_size // EMBEDDING_STRIDE, mask_side(model.image_size)
    image_embeddings = TensorSpec(
        "image_embeddings",
        (1, EMBEDDING_CHANNELS, side, side),
        "Image embeddings: the encoder's output goes into the decoder as it is",
        low=-2,
        high=2,
    )
    prompts = {0: "prompts"}
    encoder = Stage(
        "encoder",
        EncoderModule(model).eval(),
        inputs=(
            TensorSpec(
                "image",
                (1, 3, size, size),
                f"RGB, 0..255, longest side resized to {size} (bilinear), padded right and bottom with the pixel mean "
                f"as whole numbers, {PADDING_COLOUR}; normalisation is inside",
                low=0,
                high=255,
            ),
        ),
        outputs=(image_embeddings,),
    )
    decoder = Stage(
        "decoder",
        DecoderModule(model).eval(),
        inputs=(
            image_embeddings,
            TensorSpec(
                "point_coords",
                (batch, point_slots, 2),
                "x, y in pixels of the resized image; box corners are points too. Pixel centres (+0.5) are inside",
                low=0,
                high=size,
                dynamic={**prompts, 1: "points"},
            ),
            TensorSpec(
                "point_labels",
                (batch, point_slots),
                "1 foreground, 0 background, 2 box top-left, 3 box bottom-right, -1 SAM's padding point (append one, "
                "at 0, 0, when there are points and no box), -2 empty slot (nothing attends to it)",
                values=tuple(float(label) for label in PointLabel),
                dynamic={**prompts, 1: "points"},
            ),
            TensorSpec(
                "mask_input",
                (batch, 1, low_res, low_res),
                "Logits of an earlier answer (one of low_res_masks), or zeros",
                low=-8,
                high=8,
                dynamic=prompts,
            ),
            TensorSpec(
                "has_mask_input", (batch,), "1 to use mask_input, 0 to ignore it", values=(0.0, 1.0), dynamic=prompts
            ),
        ),
        outputs=(
            TensorSpec(
                LOW_RES_MASKS,
                (batch, NUM_MASKS, low_res, low_res),
                "Mask logits in the frame of the padded input, foreground above 0. Mask 0 is the single answer, masks "
                "1 to 3 those of an ambiguous prompt",
                dynamic=prompts,
            ),
            TensorSpec(IOU_PREDICTIONS, (batch, NUM_MASKS), "Predicted IoU of each mask", dynamic=prompts),
        ),
    )
    return Stages(encoder, _with_masks(decoder, model) if with_masks else decoder)


def _with_masks(decoder: Stage, model: Sam) -> Stage:
    """The decoder whose first output is masks at the image's own size."""
    low_res_masks, iou_predictions = decoder.outputs
    size = float(model.image_size)
    orig_im_size = TensorSpec(ORIG_IM_SIZE, (2,), "Height and width of the image, in pixels", values=(size,))
    masks = TensorSpec(
        MASKS,
        (*low_res_masks.shape[:2], model.image_size, model.image_size),
        "Mask logits at the image's own size, foreground above 0; in the order of low_res_masks",
        dynamic={**low_res_masks.dynamic, 2: "height", 3: "width"},
    )
    return replace(
        decoder,
        module=DecoderWithMasks(model).eval(),
        inputs=(*decoder.inputs, orig_im_size),
        outputs=(masks, iou_predictions, low_res_masks),
    )
