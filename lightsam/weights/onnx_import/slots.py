"""What a model expects to find in an ONNX file: layers and tables in order of execution, and how each comes back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from lightsam.modeling.common import ConvBN, LayerNorm2d, LooksUp, Lookup, Reparametrizable, Sum, SumsUp
from lightsam.modeling.mask_decoder import MaskDecoder
from lightsam.modeling.prompt_encoder import PositionEmbeddingRandom, PromptEncoder
from lightsam.modeling.sam import Sam
from lightsam.models import ModelCard
from lightsam.rules import PointLabel
from lightsam.stages import split

from .uses import Normalization, Use

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.LayerNorm, LayerNorm2d, nn.BatchNorm2d, PositionEmbeddingRandom)
_RANK = 1e-10
"""Eigenvalues below this part of the largest are zero but for rounding in float64."""
_ROUNDING = 1e-5
"""Of a table in float32, with what adding up and resampling leave; in parts of its largest number."""
Restore = Callable[[Use], dict[str, Tensor]]
"""An operation's constants to the tensors of a module, by their names in it."""


class UndoError(ValueError):
    """What an exporter did cannot be undone; the message says what is odd."""


@dataclass(frozen=True)
class Slot:
    """One layer or table that an ONNX file must hold."""

    name: str
    """Of the module, as in the checkpoint."""
    kinds: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    """That the constant may have, sides of 1 left out."""
    restore: Restore
    keys: tuple[str, ...]
    """Of the checkpoint, that it fills."""
    label: int | None = None
    biased: bool = True
    remark: str = ""
    """What a user should know of how it comes back."""

    def accepts(self, use: Use) -> bool:
        """Whether an operation may be this layer."""
        return (
            use.kind in self.kinds
            and _squeezed(use.weight.shape) in self.shapes
            and use.label == self.label
            and (self.biased or use.bias is None)
        )

    @property
    def title(self) -> str:
        """In words, for a message."""
        return f"{self.name} {self.shapes[0]}"


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32, order="C"))  # a copy: what is read from a file may be read-only


def order_of_execution(card: ModelCard, image_size: int, *, decoder: bool) -> list[str]:
    """Names of the modules that one call of a stage runs, in the order in which they begin; nothing is computed."""
    model = card.skeleton(image_size)
    with torch.device("meta"):
        names = {module: name for name, module in model.named_modules()}
        seen: dict[str, None] = {}
        for module in model.modules():
            module.register_forward_pre_hook(lambda module, _: seen.setdefault(names[module]))
        if decoder:
            decoder_stage = split(model, point_slots=1).decoder
            decoder_stage.module(*(torch.empty(spec.shape) for spec in decoder_stage.inputs))
        else:
            model.image_encoder(torch.empty(1, 3, image_size, image_size))
    return list(seen)


def expected(
    card: ModelCard,
    model: Sam,
    *,
    decoder: bool,
    fused: bool = False,
    summed: bool = False,
    lacking: tuple[str, ...] = (),
) -> list[Slot]:
    """The layers and tables of one stage.

    Args:
        card: of the model.
        model: with whatever weights.
        decoder: the decoder's stage, or the encoder's.
        fused: as in files whose blocks were reparametrized into one convolution before the export.
        summed: as in files whose tables were added up before the export.
        lacking: names of modules that are not looked for.
    """
    whole = Reparametrizable if fused else ConvBN
    slots: list[Slot] = []
    inside = tuple(f"{name}." for name in lacking)
    for name in order_of_execution(card, model.image_size, decoder=decoder):
        module = model.get_submodule(name)
        if f"{name}.".startswith(inside):
            continue
        if isinstance(module, whole):
            assert isinstance(module, nn.Module)
            slots.append(_block(name, module))
            inside += (f"{name}.",)
        elif isinstance(module, _LAYERS):
            slots.append(_layer(name, module))
        else:
            slots += _tables(name, module, summed=summed)
    if decoder:
        assert isinstance(model.prompt_encoder, PromptEncoder)
        assert isinstance(model.mask_decoder, MaskDecoder)
        slots += [*_prompts("prompt_encoder", model.prompt_encoder), _tokens("mask_decoder", model.mask_decoder)]
    return slots


def _slot(name: str, module: nn.Module, kinds: tuple[str, ...], shape: tuple[int, ...], restore: Restore) -> Slot:
    keys = tuple(f"{name}.{key}" for key in module.state_dict())
    biased = isinstance(module, Reparametrizable) or getattr(module, "bias", None) is not None
    return Slot(name, kinds, (_squeezed(shape),), restore, keys, biased=biased)


def _block(name: str, module: nn.Module) -> Slot:
    """A block that is exported as one convolution."""
    block = cast(Reparametrizable, module)
    shape = tuple(block.reparametrize().weight.shape)
    own_epsilon = module.get_submodule("bn").eps if type(module) is ConvBN else None

    def restore(use: Use) -> dict[str, Tensor]:
        weight, bias = use.weight.reshape(shape), use.bias
        norm = use.batchnorm
        if norm is not None and own_epsilon == norm.epsilon and bias is None:
            return {"c.weight": _tensor(weight), **_batchnorm(norm, "bn.")}
        if norm is not None:  # fold it, as the exporter could have
            scale = norm.weight.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
            bias = norm.bias + scale * ((0 if bias is None else bias) - norm.mean)
            weight = weight * scale.reshape(-1, 1, 1, 1)
        return block.restored(_tensor(weight), _tensor(np.zeros(shape[0]) if bias is None else bias))

    return _slot(name, module, ("conv",), shape, restore)


def _batchnorm(norm: Normalization, prefix: str) -> dict[str, Tensor]:
    return {
        f"{prefix}weight": _tensor(norm.weight),
        f"{prefix}bias": _tensor(norm.bias),
        f"{prefix}running_mean": _tensor(norm.mean),
        f"{prefix}running_var": _tensor(norm.variance),
        f"{prefix}num_batches_tracked": torch.tensor(0),
    }


def _layer(name: str, module: nn.Module) -> Slot:
    if isinstance(module, PositionEmbeddingRandom):
        matrix = "positional_encoding_gaussian_matrix"
        shape = tuple(module.positional_encoding_gaussian_matrix.shape)[::-1]
        return _slot(name, module, ("linear",), shape, lambda use: {matrix: _tensor(use.weight.T)})
    if isinstance(module, nn.BatchNorm2d):
        return _slot(name, module, ("batchnorm", "norm"), (module.num_features,), partial(_standing_norm, module))
    kinds = {nn.Conv2d: "conv", nn.ConvTranspose2d: "deconv", nn.Linear: "linear"}
    kind = next((kind for cls, kind in kinds.items() if isinstance(module, cls)), "norm")
    weight = module.weight
    assert isinstance(weight, Tensor)

    def restore(use: Use) -> dict[str, Tensor]:
        state = {"weight": _tensor(use.weight).reshape(weight.shape)}
        if isinstance(module.bias, Tensor):  # an optimizer may have dropped one of zeros
            state["bias"] = torch.zeros(module.bias.shape) if use.bias is None else _tensor(use.bias)
        return state

    return _slot(name, module, (kind,), tuple(weight.shape), restore)


def _standing_norm(module: nn.BatchNorm2d, use: Use) -> dict[str, Tensor]:
    """A BatchNorm that no convolution stands before: as it was, or as a scale and a shift."""
    if use.batchnorm is not None and use.batchnorm.epsilon == module.eps:
        return _batchnorm(use.batchnorm, "")
    scale, shift = use.weight, use.bias
    if use.batchnorm is not None:
        norm = use.batchnorm
        scale = norm.weight.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
        shift = norm.bias - scale * norm.mean
    return {
        "weight": _tensor(scale),
        "bias": torch.zeros(module.num_features) if shift is None else _tensor(shift),
        "running_mean": torch.zeros(module.num_features),
        "running_var": torch.full((module.num_features,), 1 - module.eps),
        "num_batches_tracked": torch.tensor(0),
    }


def _tables(name: str, module: nn.Module, *, summed: bool) -> list[Slot]:
    """The parameters that a block uses itself: as they are, looked up into a table, or added up to one."""
    lookups = module.lookups() if isinstance(module, LooksUp) else {}
    sums = module.sums() if summed and isinstance(module, SumsUp) else ()
    slots = [_sum(name, module, one) for one in sums]
    inside = {key for one in sums for key in one.parameters}
    for key, parameter in module.named_parameters(recurse=False):
        if key in inside:
            continue
        shape, lookup = tuple(parameter.shape), lookups.get(key)
        shapes = [_squeezed(shape)]
        if lookup is not None:
            shapes.append(_squeezed((*shape[: lookup.axis], *lookup.index.shape, *shape[lookup.axis + 1 :])))
        slots.append(
            Slot(name, ("table",), tuple(shapes), partial(_from_table, key, shape, lookup), (f"{name}.{key}",))
        )
    return slots


def _sum(name: str, module: nn.Module, one: Sum) -> Slot:
    """Parameters that are in the file as their sum alone."""
    shapes = {key: tuple(module.get_parameter(key).shape) for key in one.parameters}
    sides = one.table(*(torch.zeros(1, 1, *shape[2:]) for shape in shapes.values())).shape[2:]
    channels = next(iter(shapes.values()))[1]

    def restore(use: Use) -> dict[str, Tensor]:
        table = _tensor(use.weight)
        table = table.reshape(channels, *sides) if use.weight.shape[-1] != channels else table.reshape(*sides, channels)
        return apart(one, shapes, table if table.shape[0] == channels else table.permute(2, 0, 1))

    keys = " and ".join(f"{name}.{key}" for key in one.parameters)
    return Slot(
        name, ("table",), (_squeezed((channels, *sides)), _squeezed((*sides, channels))), restore,
        tuple(f"{name}.{key}" for key in one.parameters),
        remark=f"only the sum of {keys} is in the file: the smallest tensors of that sum stand for them",
    )  # fmt: skip


def apart(one: Sum, shapes: Mapping[str, tuple[int, ...]], table: Tensor) -> dict[str, Tensor]:
    """Parameters whose sum is a table: of all that there are, those of the least squares.

    There are several, because what is added to one parameter may be taken from another.

    Args:
        one: how they are added up.
        shapes: (1, C, h, w) by name.
        table: (C, H, W).

    Raises:
        UndoError: if it is no such sum, beyond rounding.
    """
    counts = [int(np.prod(shape[2:])) for shape in shapes.values()]
    # One channel for each number of the parameters, so that the table's channels say what each number does.
    units = torch.eye(sum(counts), dtype=torch.float64).split(counts, dim=1)
    basis = one.table(*(unit.reshape(1, -1, *shape[2:]) for unit, shape in zip(units, shapes.values(), strict=True)))
    effect = basis[0].flatten(1)  # (numbers, H * W)
    wanted = table.flatten(1).double()  # (C, H * W)
    found = wanted @ effect.T @ torch.linalg.pinv(effect @ effect.T, hermitian=True, rtol=_RANK)  # (C, numbers)
    if (found @ effect - wanted).abs().max() > _ROUNDING * wanted.abs().max():
        raise UndoError(f"the table is no sum of {' and '.join(shapes)}")
    parts = found.float().split(counts, dim=1)
    return {key: part.reshape(shape).contiguous() for (key, shape), part in zip(shapes.items(), parts, strict=True)}


def _from_table(key: str, shape: tuple[int, ...], lookup: Lookup | None, use: Use) -> dict[str, Tensor]:
    """A parameter from the table that it was looked up into.

    Raises:
        UndoError: if the table has different numbers where the parameter has one, or leaves some out.
    """
    table = _tensor(use.weight)
    if table.numel() == np.prod(shape) or lookup is None:
        return {key: table.reshape(shape)}
    index = lookup.index.reshape(-1)
    rows = table.reshape(*shape[: lookup.axis], len(index), *shape[lookup.axis + 1 :]).movedim(lookup.axis, 0)
    found = torch.full((shape[lookup.axis], *rows.shape[1:]), float("nan"))
    found[index] = rows
    if not torch.equal(found[index], rows):
        raise UndoError("the table has several values for one distance")
    if found.isnan().any():
        raise UndoError("the table does not use every distance, so not every value is in the file")
    return {key: found.movedim(0, lookup.axis).contiguous()}


def _prompts(name: str, module: PromptEncoder) -> list[Slot]:
    embeddings = {PointLabel.PADDING: "not_a_point_embed"}
    embeddings |= {PointLabel(index): f"point_embeddings.{index}" for index in range(len(module.point_embeddings))}
    channels = module.no_mask_embed.embedding_dim
    as_weight: Restore = lambda use: {"weight": _tensor(use.weight).reshape(1, channels)}  # noqa: E731
    slots = [
        Slot(f"{name}.{key}", ("label",), ((channels,),), as_weight, (f"{name}.{key}.weight",), label)
        for label, key in embeddings.items()
    ]
    absent = f"{name}.no_mask_embed"
    return [*slots, Slot(absent, ("table",), ((channels,),), as_weight, (f"{absent}.weight",))]


def _tokens(name: str, module: MaskDecoder) -> Slot:
    """The output tokens, which are put together before they meet the prompt's."""
    own = module.own_tokens()[0].detach()  # (own, C)
    places = {key: _rows(own, part.weight) for key, part in module.named_children() if isinstance(part, nn.Embedding)}

    def restore(use: Use) -> dict[str, Tensor]:
        table = _tensor(use.weight).reshape(own.shape)
        return {f"{key}.weight": table[rows].clone() for key, rows in places.items()}

    keys = tuple(f"{name}.{key}.weight" for key in places)
    return Slot(name, ("table",), (_squeezed(tuple(own.shape)),), restore, keys)


def _rows(table: Tensor, rows: Tensor) -> list[int]:
    """Where the rows of a part are in the whole; the numbers of a model that was just built are all different."""
    return [int((table == row).all(dim=1).nonzero()[0, 0]) for row in rows]
