"""A pass of coremltools that stores weights in fewer bits, and lets layers compute on quantized activations.

It is ours, and no function of ``coremltools.optimize``, because those refuse what they cannot do in silence: layers
whose size does not divide by a block stay as they are, and activations can be calibrated on macOS alone, by code that
forgets the ranges of all images but the last (https://github.com/apple/coremltools/pull/2724).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lightsam_exporters.formats.quantizers import Linear, Palette, groups_of, linear, palette
from lightsam_exporters.formats.quiet import import_quietly

from .packed import PREFIX, stored, var_dtype
from .program import read_program

LEAST = 2048
"""Numbers of a weight that is worth it; below lie biases and norms, one part in a hundred of a model."""
LINEAR, PALETTE = "linear", "palette"
_NAME = "lightsam::compress"
_LAYERS = ("conv", "linear")
"""Whose activations can be quantized: Core ML computes them on integers where weight and input are int8."""


@dataclass(frozen=True)
class Bits:
    """How a weight is stored."""

    kind: str
    """``linear`` (int8, a scale a channel) or ``palette``."""
    bits: int = 8


Choose = Callable[[str], Bits | None]
"""Takes the name of a weight; gives how it is stored, or None where it stays as it is."""


@dataclass(frozen=True)
class Plan:
    """What becomes of a program."""

    choose: Choose
    ranges: Mapping[str, float] = field(default_factory=dict)
    """Largest magnitude of activations by name: inputs of layers with an int8 weight, which are quantized."""


def add_pass(pipeline: Any, plan: Plan) -> None:
    """Let coremltools follow a plan after all passes of its own."""
    _register()
    pipeline.append_pass(_NAME)
    pipeline.set_options(_NAME, {"plan": plan})


def weights_of(block: Any) -> list[Any]:
    """The constants of a program that are weights: floats, and enough of them."""
    return [
        op.outputs[0]
        for op in block.operations
        if op.op_type == "const"
        and isinstance(op.outputs[0].val, np.ndarray)
        and op.outputs[0].val.dtype.kind == "f"
        and op.outputs[0].val.size >= LEAST
    ]


def layer_inputs(block: Any, quantized: Callable[[Any], bool]) -> list[Any]:
    """The layers whose weight is quantized."""
    return [op for op in block.operations if op.op_type in _LAYERS and quantized(op.inputs["weight"])]


def channel_axis(var: Any) -> int:
    """The axis along which a weight has a scale a channel: its outputs, or the longer of what is no layer's."""
    if any(op.op_type in _LAYERS and op.inputs["weight"] is var for op in var.child_ops):
        return 0
    if any(op.op_type == "conv_transpose" for op in var.child_ops):
        return 1
    return 0 if var.shape[0] > 1 else len(var.shape) - 1


def packed(weight: np.ndarray, how: Bits, axis: int, *, one_table: bool) -> Linear | Palette:
    """A weight in the form in which it is stored.

    Args:
        weight: as the program has it.
        how: kind and bits.
        axis: of the channels that have a scale each.
        one_table: whether the target knows one table a weight alone, as those before iOS 18.
    """
    if how.kind == LINEAR:
        return linear(weight, axis)
    return palette(weight, how.bits, 1 if one_table else groups_of(weight.shape, how.bits))


@cache
def _register() -> None:
    """Make the pass known to coremltools, once."""
    import_quietly("coremltools")
    from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

    class Compress(AbstractGraphPass):  # type: ignore[misc]  # coremltools has no types
        plan: Plan

        def __init__(self) -> None:
            self.plan = Plan(lambda _: None)

        def apply(self, prog: Any) -> None:
            for function in prog.functions.values():
                _compress(function, self.plan)

    PASS_REGISTRY.passes[_NAME] = Compress


def _compress(block: Any, plan: Plan) -> None:
    from coremltools.converters.mil.mil import Builder
    from coremltools.converters.mil.mil.ops.defs.iOS18 import _IOS18_TARGET

    compressed: set[str] = set()
    one_table = block.opset_version < _IOS18_TARGET
    with block:
        for var in weights_of(block):
            how = plan.choose(var.name)
            if how is None:
                continue
            form = packed(var.val, how, channel_axis(var), one_table=one_table)
            new = _linear(Builder, var, form) if isinstance(form, Linear) else _palette(Builder, var, form, one_table)
            compressed.add(new.name)
            block.replace_uses_of_var_after_op(anchor_op=var.op, old_var=var, new_var=new, force_replace=True)
            block.remove_ops([var.op])
        _quantize_activations(Builder, block, plan, compressed)


def _linear(builder: Any, var: Any, form: Linear) -> Any:
    return builder.constexpr_affine_dequantize(
        quantized_data=form.data,
        zero_point=np.int8(0),
        scale=form.scale,
        axis=np.int32(form.axis),
        before_op=var.op,
        name=f"{var.name}_int8",
    )


def _palette(builder: Any, var: Any, form: Palette, one_table: bool) -> Any:
    from coremltools.converters.mil.mil import types

    bits = int(np.log2(form.tables.shape[1]))
    name = f"{var.name}_palette{bits}"
    if one_table:
        fields = (form.indices.reshape(-1, 1) >> np.arange(bits)) & 1
        return builder.constexpr_lut_to_dense(
            indices=np.packbits(fields.astype(np.uint8).ravel(), bitorder="little"),
            lut=form.tables[0],
            shape=np.array(var.shape, np.uint32),
            before_op=var.op,
            name=name,
        )
    return builder.constexpr_lut_to_dense(
        indices=form.indices.astype(types.nptype_from_builtin(types.string_to_builtin(f"uint{bits}"))),
        lut=form.tables.reshape(len(form.tables), *(1,) * (var.rank - 1), 2**bits, 1),
        before_op=var.op,
        name=name,
    )


def _quantize_activations(builder: Any, block: Any, plan: Plan, compressed: set[str]) -> None:
    """Put a pair of quantize and dequantize before layers on int8 weights: Core ML computes such layers on integers."""
    pairs: dict[str, Any] = {}
    for op in layer_inputs(block, lambda weight: weight.name in compressed):
        x = op.inputs["x"]
        if x.name not in plan.ranges:
            continue
        if x.name not in pairs:
            scale = var_dtype(x).type(plan.ranges[x.name] / 127)
            integers = builder.quantize(
                input=x, scale=scale, output_dtype="int8", before_op=op, name=f"{x.name}_quantized"
            )
            pairs[x.name] = builder.dequantize(input=integers, scale=scale, before_op=op, name=f"{x.name}_dequantized")
            for new in (integers.op, pairs[x.name].op):  # coremltools refuses operations that come from nowhere
                for one in (new, *(var.op for var in new.get_flattened_inputs() if var.op.op_type == "const")):
                    one.scopes = op.scopes
        op.set_inputs(x=pairs[x.name])


def stored_weights(package: Path) -> dict[str, int]:
    """How many numbers of a package's weights are stored in each dtype, the most first.

    Raises:
        ContractError: if the package is damaged.
    """
    counts: Counter[str] = Counter()
    for op in read_program(package).function.operations:
        if op.op_type == "const" or op.op_type.startswith(PREFIX):
            var = op.outputs[-1]  # of a sparse one the values
            packing = all(user.op_type.startswith(PREFIX) for user in var.child_ops)
            if packing or not var.rank or var_dtype(var).kind != "f":
                continue  # what another constant is unpacked from, or what configures an operation
            how = stored(var)
            counts[how.dtype] += how.numbers
    return dict(counts.most_common())
