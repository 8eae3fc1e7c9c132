"""Operations of layers: convolutions, norms, matrix products, pooling, resizing.

Semantics: https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .registry import UnsupportedConfigurationError, operation, scalar

_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _pairs(pad: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) of every spatial axis."""
    return [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]


def _padding(
    pad_type: str, pad: Sequence[int] | None, sizes: Sequence[int], extents: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """(before, after) of every spatial axis; ``extents`` are kernel sizes with dilation."""
    if pad_type == "valid":
        return [(0, 0)] * len(sizes)
    if pad_type == "custom":
        return _pairs(pad or [0] * 2 * len(sizes))
    if pad_type not in ("same", "same_lower"):
        raise UnsupportedConfigurationError(f"pad_type={pad_type}")
    pairs = []
    for size, extent, stride in zip(sizes, extents, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + extent - size)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if pad_type == "same" else (more, less))
    return pairs


def _pad(x: Tensor, pairs: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    if not any(any(pair) for pair in pairs):
        return x
    return F.pad(x, [size for pair in reversed(pairs) for size in pair], value=value)


@operation("conv")
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Sequence[int] | None = None,
    pad_type: str = "valid",
    pad: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    groups: int = 1,
) -> Tensor:
    rank = x.ndim - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    extents = [(kernel - 1) * d + 1 for kernel, d in zip(weight.shape[2:], dilations, strict=True)]
    x = _pad(x, _padding(pad_type, pad, x.shape[2:], extents, strides))
    return _CONVOLUTIONS[rank](x, weight, bias, list(strides), 0, list(dilations), groups)


@operation("conv_transpose")
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pad_type: str = "valid",
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    groups: int = 1,
) -> Tensor:
    rank = x.ndim - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    full = _TRANSPOSED[rank](x, weight, None, list(strides), 0, 0, groups, list(dilations))
    if pad_type == "valid":
        pairs = [(0, 0)] * rank
    elif pad_type == "custom":
        pairs = _pairs(pad or [0] * 2 * rank)
    elif pad_type == "same":
        surplus = [max(0, f - size * s) for f, size, s in zip(full.shape[2:], x.shape[2:], strides, strict=True)]
        pairs = [(total // 2, total - total // 2) for total in surplus]
    else:
        raise UnsupportedConfigurationError(f"pad_type={pad_type}")
    for axis, (before, after) in enumerate(pairs):
        size = full.shape[2 + axis] - before - after
        wanted = size if output_shape is None else output_shape[2 + axis]
        # A larger output_shape asks for rows that the crop would drop, and past those for empty ones.
        kept = min(wanted, full.shape[2 + axis] - before)
        full = full.narrow(2 + axis, before, kept)
        if wanted > kept:
            full = _pad(full, [(0, wanted - kept) if a == axis else (0, 0) for a in range(rank)])
    return full if bias is None else full + bias.reshape(-1, *[1] * rank)


@operation("linear")
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(x, weight, bias)


@operation("matmul")
def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    return (x.mT if transpose_x else x) @ (y.mT if transpose_y else y)


@operation("einsum")
def einsum(values: Sequence[Tensor], equation: str) -> Tensor:
    return torch.einsum(equation, *values)


@operation("softmax")
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    return x.softmax(dim=axis)


@operation("scaled_dot_product_attention")
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask)


@operation("layer_norm")
def layer_norm(
    x: Tensor,
    axes: Sequence[int] | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Any = 1e-5,
) -> Tensor:
    axes = sorted(axis % x.ndim for axis in (range(x.ndim) if axes is None else axes))
    centred = x - x.mean(axes, keepdim=True)
    y = centred * torch.rsqrt(centred.square().mean(axes, keepdim=True) + scalar(epsilon))
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)]
    y = y if gamma is None else y * gamma.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


@operation("batch_norm")
def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Any = 1e-5,
) -> Tensor:
    return F.batch_norm(x, mean, variance, gamma, beta, eps=scalar(epsilon))


@operation("instance_norm")
def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: Any = 1e-5) -> Tensor:
    return F.instance_norm(x, weight=gamma, bias=beta, eps=scalar(epsilon))


@operation("l2_norm")
def l2_norm(x: Tensor, epsilon: Any = 1e-6) -> Tensor:
    return x * torch.rsqrt(x.square().sum((-3, -2, -1), keepdim=True) + scalar(epsilon))


@operation("max_pool")
def max_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    pad_type: str = "valid",
    pad: Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    if ceil_mode or x.ndim != 4:
        raise UnsupportedConfigurationError(f"ceil_mode={ceil_mode}, rank {x.ndim}")
    strides = strides or [1] * len(kernel_sizes)
    x = _pad(x, _padding(pad_type, pad, x.shape[2:], kernel_sizes, strides), float("-inf"))
    return F.max_pool2d(x, list(kernel_sizes), list(strides))


@operation("avg_pool")
def avg_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    pad_type: str = "valid",
    pad: Sequence[int] | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    if ceil_mode or x.ndim != 4:
        raise UnsupportedConfigurationError(f"ceil_mode={ceil_mode}, rank {x.ndim}")
    strides = strides or [1] * len(kernel_sizes)
    pairs = _padding(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    average = F.avg_pool2d(_pad(x, pairs), list(kernel_sizes), list(strides))
    if exclude_padding_from_average:
        counted = F.avg_pool2d(_pad(torch.ones_like(x), pairs), list(kernel_sizes), list(strides))
        average = average / counted
    return average


@operation("pixel_shuffle")
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    return F.pixel_shuffle(x, upscale_factor)


@operation("upsample_nearest_neighbor")
def upsample_nearest_neighbor(x: Tensor, scale_factor_height: Any = 1, scale_factor_width: Any = 1) -> Tensor:
    factors = scalar(scale_factor_height), scalar(scale_factor_width)
    if any(factor != int(factor) for factor in factors):
        raise UnsupportedConfigurationError(f"scale factors {factors}")
    return x.repeat_interleave(int(factors[0]), -2).repeat_interleave(int(factors[1]), -1)


@operation("upsample_bilinear")
def upsample_bilinear(
    x: Tensor,
    scale_factor_height: Any = 1,
    scale_factor_width: Any = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    if half_pixel_centers is not None and half_pixel_centers == align_corners:
        raise UnsupportedConfigurationError(f"align_corners={align_corners}, half_pixel_centers={half_pixel_centers}")
    height, width = x.shape[-2:]
    # The scale is that of the rounded size (torch: recompute_scale_factor=True).
    size = int(height * scalar(scale_factor_height)), int(width * scalar(scale_factor_width))
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


@operation("resize_bilinear")
def resize_bilinear(
    x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Tensor:
    aligned = {"STRICT_ALIGN_CORNERS": True, "ALIGN_CORNERS": True, "UNALIGN_CORNERS": False}
    size = (target_size_height, target_size_width)
    if sampling_mode not in aligned or (sampling_mode == "ALIGN_CORNERS" and 1 in size):
        raise UnsupportedConfigurationError(f"sampling_mode={sampling_mode}, size {size}")
    return F.interpolate(x, size, mode="bilinear", align_corners=aligned[sampling_mode])
