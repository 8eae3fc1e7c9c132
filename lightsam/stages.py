"""The stage contract: the two graphs that every format holds, with the names, shapes and meaning of their tensors.

The tensors are derived from the parts of a model: its feature maps, which prompts its prompt encoder takes, which
masks its decoder gives, how images come to its input. Exporters, the parity judge, the manifest and the contract's page
derive from what is here. What a caller must do besides, such as which padding points follow a prompt, is in
`Stages.rules`.

S is the model's image size, E the side of the embeddings (S / 16 in SAM), C their channels (256), B the number of
prompts, N that of prompt slots, K that of masks.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from lightsam.errors import ContractError
from lightsam.geometry import Preprocess, mask_side
from lightsam.modeling.common import fold
from lightsam.modeling.image_encoder import FeatureMap
from lightsam.modeling.sam import Sam
from lightsam.rules import MaskRules, Padding, PointLabel, PromptRules, Rules

CONTRACT_VERSION = "2"
"""Changes when a tensor's name, shape, unit or meaning does; files of different versions do not pair.

2: a model states its feature maps, prompts, masks and the way of its images, which version 1 knew of SAM alone.
"""

POINT_SLOTS = 8
"""Prompt slots of formats with static shapes, unless asked for otherwise or fixed by the model."""

MASK_INPUT = "mask_input"
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
    magnitude: float = 0.0
    """Typical of values that may be close to zero, so that their own tells no error of theirs; 0 for all others."""
    passed_on: bool = False
    """Whether it goes from the encoder to the decoder, in whatever form the files hold it."""

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Draw values that the stage may see in use.

        Args:
            shape: one that the dynamic axes allow; None for the declared one.

        Returns:
            An array of this shape and of the declared dtype.
        """
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
        """Run the module in PyTorch, on the device that it is on: the reference for every exported file.

        Args:
            inputs: by name; whatever their dtype, they are passed on as float32.

        Returns:
            The outputs by name.

        Raises:
            ContractError: if an input is missing or is not one of the stage's, or the module has no numbers.
        """
        if self.device.type == "meta":
            raise ContractError(f"the {self.name} has shapes and no weights: load the model with load_model to run it")
        names = [spec.name for spec in self.inputs]
        if set(names) != set(inputs):
            raise ContractError(f"the {self.name} takes {names}; it was given {sorted(inputs)}")
        arrays = (np.ascontiguousarray(inputs[name], dtype=np.float32) for name in names)
        outputs = self.module(*(torch.from_numpy(array).to(self.device) for array in arrays))
        return {spec.name: output.cpu().numpy() for spec, output in zip(self.outputs, outputs, strict=True)}

    @property
    def device(self) -> torch.device:
        """Where the module's weights are; the CPU for a module without any."""
        tensors = chain(self.module.parameters(), self.module.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    def folded(self) -> "Stage":
        """The same stage with everything constant computed: what exporters convert."""
        return replace(self, module=fold(deepcopy(self.module)))

    def check(self) -> None:
        """Compare the specs with the module's signature and with one real run.

        Raises:
            ContractError: naming the stage and what differs.
        """
        declared = [spec.name for spec in self.inputs]
        parameters = inspect.signature(self.module.forward).parameters
        taken = [name for name, one in parameters.items() if name in declared or one.default is one.empty]
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
    """The two stages of a model; the encoder's output specs are the decoder's first input specs."""

    encoder: Stage
    decoder: Stage
    rules: Rules
    """What a caller must know besides the tensors."""

    def __iter__(self) -> Iterator[Stage]:
        """In the order of the data."""
        return iter((self.encoder, self.decoder))

    def __getitem__(self, name: str) -> Stage:
        return {stage.name: stage for stage in self}[name]

    @property
    def preprocess(self) -> Preprocess:
        """How an image comes to the encoder's input."""
        return self.rules.preprocess


STAGE_NAMES = ("encoder", "decoder")


def split(model: Sam, *, batch: int = 1, point_slots: int = POINT_SLOTS, with_masks: bool = False) -> Stages:
    """Make the two stages of ``model``; they share its weights.

    Args:
        model: set to evaluation mode.
        batch: B, the number of prompts in one call, of formats with static shapes.
        point_slots: N, likewise; a model that fixes its slots has those.
        with_masks: let the decoder bring the masks to the image's own size, too.

    Returns:
        Both stages, their specs derived from the model's parts.
    """
    model.eval()
    size, rules = model.image_size, model.rules
    maps = tuple(_feature_map(one, size) for one in model.image_encoder.feature_maps)
    encoder = Stage("encoder", model.encoder_graph().eval(), inputs=(_image(model.preprocess),), outputs=maps)
    decoder = Stage(
        "decoder",
        model.decoder_graph().eval(),
        inputs=(
            *maps,
            *_points(batch, point_slots, size, rules.prompts),
            *(_mask_prompt(batch, size) if rules.prompts.masks else ()),
        ),
        outputs=(
            *_masks(batch, rules, size),
            *(
                TensorSpec(one.name, (batch, one.width), one.meaning, dynamic=_PROMPTS, magnitude=one.magnitude)
                for one in model.mask_decoder.further_outputs
            ),
        ),
    )
    return Stages(encoder, _with_masks(decoder, size) if with_masks else decoder, rules)


_PROMPTS = {0: "prompts"}


def _image(preprocess: Preprocess) -> TensorSpec:
    size = preprocess.image_size
    meaning = f"RGB, 0..255, {preprocess.description}; normalisation is inside"
    return TensorSpec("image", (1, 3, size, size), meaning, low=0, high=255)


def _feature_map(one: FeatureMap, size: int) -> TensorSpec:
    return TensorSpec(one.name, one.shape(size), one.meaning, low=-2, high=2, passed_on=True)


_LABELS = {
    PointLabel.FOREGROUND: "1 foreground",
    PointLabel.BACKGROUND: "0 background",
    PointLabel.BOX_TOP_LEFT: "2 box top-left",
    PointLabel.BOX_BOTTOM_RIGHT: "3 box bottom-right",
    PointLabel.PADDING: "-1 padding point",
    PointLabel.EMPTY: "-2 empty slot (nothing attends to it)",
}
_PADDING = {
    Padding.WITHOUT_BOX: "append one, at 0, 0, when there are points and no box",
    Padding.ALWAYS: "append one, at 0, 0, after points and box",
    Padding.FILL: "fill all slots with them, at 0, 0",
}


def _points(batch: int, slots: int, size: int, rules: PromptRules) -> tuple[TensorSpec, ...]:
    dynamic = _PROMPTS if rules.slots is not None else {**_PROMPTS, 1: "points"}
    slots = rules.slots or slots
    words = {**_LABELS, PointLabel.PADDING: f"{_LABELS[PointLabel.PADDING]} ({_PADDING[rules.padding]})"}
    return (
        TensorSpec(
            "point_coords",
            (batch, slots, 2),
            "x, y in pixels of the resized image; box corners are points too. Pixel centres (+0.5) are inside",
            low=0,
            high=size,
            dynamic=dynamic,
        ),
        TensorSpec(
            "point_labels",
            (batch, slots),
            ", ".join(text for label, text in words.items() if label in rules.labels),
            values=tuple(float(label) for label in rules.labels),
            dynamic=dynamic,
        ),
    )


def _mask_prompt(batch: int, size: int) -> tuple[TensorSpec, ...]:
    return (
        TensorSpec(
            MASK_INPUT,
            (batch, 1, mask_side(size), mask_side(size)),
            "Logits of an earlier prediction (one of low_res_masks), or zeros",
            low=-8,
            high=8,
            dynamic=_PROMPTS,
        ),
        TensorSpec(
            "has_mask_input", (batch,), "1 to use mask_input, 0 to ignore it", values=(0.0, 1.0), dynamic=_PROMPTS
        ),
    )


def _masks(batch: int, rules: Rules, size: int) -> tuple[TensorSpec, ...]:
    count = rules.masks.count
    return (
        TensorSpec(
            LOW_RES_MASKS,
            (batch, count, mask_side(size), mask_side(size)),
            f"Mask logits in the frame of {rules.preprocess.mask_frame}, foreground above 0. {_answers(rules.masks)}",
            dynamic=_PROMPTS,
        ),
        TensorSpec(IOU_PREDICTIONS, (batch, count), "Predicted IoU of each mask", dynamic=_PROMPTS),
    )


def _answers(rules: MaskRules) -> str:
    """Which of the masks answers a prompt, in words."""
    if not rules.single:
        return "The one of the highest predicted IoU is the answer"
    others = f"masks 1 to {rules.count - 1}"
    text = f"Mask 0 is the single answer, {others} those of an ambiguous prompt"
    if rules.fallback is None:
        return text
    return (
        f"{text}. Where mask 0 is unstable, show the best of {others} by predicted IoU: the IoU of (mask 0 > "
        f"{rules.fallback.delta}) and (mask 0 > -{rules.fallback.delta}) is then below {rules.fallback.threshold}"
    )


def _with_masks(decoder: Stage, size: int) -> Stage:
    """The decoder whose first output is masks at the image's own size."""
    low_res_masks, iou_predictions, *further = decoder.outputs
    orig_im_size = TensorSpec(ORIG_IM_SIZE, (2,), "Height and width of the image, in pixels", values=(float(size),))
    masks = TensorSpec(
        MASKS,
        (*low_res_masks.shape[:2], size, size),
        "Mask logits at the image's own size, foreground above 0; in the order of low_res_masks",
        dynamic={**low_res_masks.dynamic, 2: "height", 3: "width"},
    )
    return replace(
        decoder,
        inputs=(*decoder.inputs, orig_im_size),
        outputs=(masks, iou_predictions, low_res_masks, *further),
    )
