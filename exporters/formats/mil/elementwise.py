"""Elementwise operations: unary, binary, activations, casts.

Semantics: https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .registry import UnsupportedConfigurationError, operation, scalar

_UNARY = {
    "abs": torch.abs,
    "ceil": torch.ceil,
    "cos": torch.cos,
    "erf": torch.erf,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "floor": torch.floor,
    "identity": torch.clone,
    "logical_not": torch.logical_not,
    "relu": torch.relu,
    "relu6": F.relu6,
    "round": torch.round,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": F.silu,
    "sin": torch.sin,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tanh": torch.tanh,
}
_BINARY = {
    "add": torch.add,
    "equal": torch.eq,
    "floor_div": torch.floor_divide,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mod": torch.remainder,
    "mul": torch.mul,
    "not_equal": torch.ne,
    "pow": torch.pow,
    "sub": torch.sub,
}


def as_tensor(value: Any) -> Tensor:
    """Operands that are integer or boolean constants come as Python values."""
    return value if isinstance(value, Tensor) else torch.as_tensor(value)


for _name, _unary in _UNARY.items():
    operation(_name)(lambda x, _f=_unary: _f(as_tensor(x)))
for _name, _binary in _BINARY.items():
    operation(_name)(lambda x, y, _f=_binary: _f(as_tensor(x), as_tensor(y)))


@operation("real_div")
def real_div(x: Any, y: Any) -> Tensor:
    x, y = as_tensor(x), as_tensor(y)
    # On integers Core ML divides to an integer.
    return x / y if x.is_floating_point() or y.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


@operation("rsqrt")
def rsqrt(x: Tensor, epsilon: Any = 1e-12) -> Tensor:
    return torch.rsqrt(x + scalar(epsilon))


@operation("inverse")
def inverse(x: Tensor, epsilon: Any = 1e-4) -> Tensor:
    return 1 / (x + scalar(epsilon))


@operation("log")
def log(x: Tensor, epsilon: Any = 1e-45) -> Tensor:
    return torch.log(x + scalar(epsilon))


@operation("clip")
def clip(x: Tensor, alpha: Any, beta: Any) -> Tensor:
    return torch.clamp(x, scalar(alpha), scalar(beta))


@operation("leaky_relu")
def leaky_relu(x: Tensor, alpha: Any = 0.01) -> Tensor:
    return F.leaky_relu(x, scalar(alpha))


@operation("elu")
def elu(x: Tensor, alpha: Any = 1.0) -> Tensor:
    return F.elu(x, scalar(alpha))


@operation("sigmoid_hard")
def sigmoid_hard(x: Tensor, alpha: Any = 0.2, beta: Any = 0.5) -> Tensor:
    return torch.clamp(scalar(alpha) * x + scalar(beta), 0, 1)


@operation("gelu")
def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    if mode == "EXACT":
        return F.gelu(x)
    if mode == "TANH_APPROXIMATION":
        return F.gelu(x, approximate="tanh")
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    raise UnsupportedConfigurationError(f"mode={mode}")


@operation("select")
def select(cond: Any, a: Any, b: Any) -> Tensor:
    return torch.where(as_tensor(cond), as_tensor(a), as_tensor(b))


@operation("cast")
def cast(x: Any, dtype: str) -> Tensor:
    x = as_tensor(x)
    if dtype.startswith("fp"):
        return x.float()  # the evaluator rounds to the declared dtype, if asked to
    if dtype == "bool":
        return x != 0
    if dtype.startswith(("int", "uint")):
        return x.to(torch.int32)  # truncates towards zero, as Core ML does
    raise UnsupportedConfigurationError(f"dtype={dtype}")


_INTEGERS = {"int8": (-128, 127, torch.int8), "uint8": (0, 255, torch.uint8)}


@operation("quantize")
def quantize(input: Tensor, scale: Any, output_dtype: str, zero_point: Any = 0, axis: int | None = None) -> Tensor:
    low, high, dtype = _INTEGERS[output_dtype]
    steps = torch.round(input / _along(scale, axis, input.ndim)) + _along(zero_point, axis, input.ndim)
    return steps.clamp(low, high).to(dtype)


@operation("dequantize")
def dequantize(input: Any, scale: Any, zero_point: Any = 0, axis: int | None = None) -> Tensor:
    input = as_tensor(input).float()
    return (input - _along(zero_point, axis, input.ndim)) * _along(scale, axis, input.ndim)


def _along(values: Any, axis: int | None, rank: int) -> Tensor:
    """A scale or zero point, a number a channel, so that it broadcasts along its axis."""
    values = as_tensor(values).float()
    if axis is None:
        return values.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)
