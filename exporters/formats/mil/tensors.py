"""Operations on shapes and axes: reshape, slice, join, reduce, gather.

Semantics: https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .elementwise import as_tensor
from .registry import UnsupportedConfigurationError, operation, scalar


@operation("reshape")
def reshape(x: Any, shape: Any) -> Tensor:
    x = as_tensor(x)
    sizes = as_tensor(shape).tolist()
    # 0 keeps the size of the same axis; -1, at most once, is inferred.
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)])


@operation("transpose")
def transpose(x: Tensor, perm: Sequence[int]) -> Tensor:
    return x.permute([axis % x.ndim for axis in perm])


@operation("expand_dims")
def expand_dims(x: Any, axes: Sequence[int]) -> Tensor:
    x = as_tensor(x)
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operation("squeeze")
def squeeze(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    x = as_tensor(x)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


@operation("concat")
def concat(values: Sequence[Any], axis: int, interleave: bool = False) -> Tensor:
    if interleave:
        raise UnsupportedConfigurationError("interleave=True")
    return torch.cat([as_tensor(value) for value in values], dim=axis)


@operation("stack")
def stack(values: Sequence[Any], axis: int) -> Tensor:
    return torch.stack([as_tensor(value) for value in values], dim=axis)


@operation("split")
def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Sequence[int] | None = None
) -> tuple[Tensor, ...]:
    if split_sizes is None:
        assert num_splits is not None  # the specification asks for one of the two
        split_sizes = [x.shape[axis] // num_splits] * num_splits
    return torch.split(x, list(split_sizes), dim=axis)


@operation("tile")
def tile(x: Any, reps: Sequence[int]) -> Tensor:
    return as_tensor(x).repeat(*reps)


@operation("slice_by_index")
def slice_by_index(
    x: Any,
    begin: Any,
    end: Any,
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Tensor:
    x = as_tensor(x)
    begins, ends = as_tensor(begin).tolist(), as_tensor(end).tolist()
    for axis in range(x.ndim):
        step = 1 if stride is None else stride[axis]
        # A masked bound is "from the first" or "to the last" in the direction of the step.
        bounds = slice(
            None if begin_mask is not None and begin_mask[axis] else begins[axis],
            None if end_mask is not None and end_mask[axis] else ends[axis],
            step,
        )
        if squeeze_mask is not None and squeeze_mask[axis]:
            bounds = slice(begins[axis], begins[axis] + 1 or None)
        picked = range(*bounds.indices(x.shape[axis]))
        if step == 1:
            x = x.narrow(axis, picked.start if len(picked) else 0, len(picked))
        else:
            x = x.index_select(axis, torch.tensor(picked, dtype=torch.long))
    if squeeze_mask is not None:
        x = x.squeeze(tuple(axis for axis, squeezed in enumerate(squeeze_mask) if squeezed))
    return x


@operation("slice_by_size")
def slice_by_size(x: Tensor, begin: Any, size: Any) -> Tensor:
    for axis, (first, length) in enumerate(zip(as_tensor(begin).tolist(), as_tensor(size).tolist(), strict=True)):
        x = x.narrow(axis, first, x.shape[axis] - first if length == -1 else length)
    return x


@operation("pad")
def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", constant_val: Any = 0.0) -> Tensor:
    # Core ML counts the axes from the left of the last len(pad) / 2, torch from the right.
    pairs = [tuple(pad[i : i + 2]) for i in range(0, len(pad), 2)]
    if mode == "constant":
        return F.pad(x, [size for pair in reversed(pairs) for size in pair], value=scalar(constant_val))
    indices = {"reflect": _reflected, "replicate": _replicated}
    if mode not in indices:
        raise UnsupportedConfigurationError(f"mode={mode}")
    for axis, (before, after) in enumerate(pairs, start=x.ndim - len(pairs)):
        x = x.index_select(axis, indices[mode](x.shape[axis], before, after))
    return x


def _replicated(size: int, before: int, after: int) -> Tensor:
    return torch.arange(-before, size + after).clamp(0, size - 1)


def _reflected(size: int, before: int, after: int) -> Tensor:
    index = torch.arange(-before, size + after).abs()  # around the first element, which is not repeated
    return (size - 1) - ((size - 1) - index).abs()


@operation("gather")
def gather(x: Any, indices: Any, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    if batch_dims:
        raise UnsupportedConfigurationError(f"batch_dims={batch_dims}")
    x, picked = as_tensor(x), as_tensor(indices).long()
    axis %= x.ndim
    picked = torch.where(picked < 0, picked + x.shape[axis], picked)
    gathered = x.index_select(axis, picked.reshape(-1))
    return gathered.reshape(*x.shape[:axis], *picked.shape, *x.shape[axis + 1 :])


@operation("fill")
def fill(shape: Any, value: Any = 0.0) -> Tensor:
    value = as_tensor(value)
    return value.reshape(()).expand(as_tensor(shape).tolist()).clone()


@operation("shape")
def shape_of(x: Tensor) -> Tensor:
    return torch.tensor(x.shape, dtype=torch.int32)


_REDUCE = {
    "reduce_max": torch.amax,
    "reduce_mean": torch.mean,
    "reduce_min": torch.amin,
    "reduce_sum": torch.sum,
    "reduce_l1_norm": lambda x, axes, keepdim: x.abs().sum(axes, keepdim),
    "reduce_l2_norm": lambda x, axes, keepdim: x.square().sum(axes, keepdim).sqrt(),
    "reduce_sum_square": lambda x, axes, keepdim: x.square().sum(axes, keepdim),
    "reduce_log_sum_exp": torch.logsumexp,
}


def _reduce(function: Any, x: Tensor, axes: Sequence[int] | None, keep_dims: bool) -> Tensor:
    return function(x, tuple(range(x.ndim)) if axes is None else tuple(axes), keep_dims)


for _name, _function in _REDUCE.items():
    operation(_name)(lambda x, axes=None, keep_dims=False, _f=_function: _reduce(_f, x, axes, keep_dims))
