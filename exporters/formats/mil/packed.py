"""Weights that a package stores in fewer bits, unpacked: every ``constexpr_*`` operation of iOS 16 to iOS 18.

Semantics: https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html#module-coremltools.converters.mil.mil.ops.defs.iOS18.compression
Each is computed in float32 and rounded once to the dtype that it declares, which is exact: all factors are short.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

PREFIX = "constexpr_"


def unpacked(var: Any) -> np.ndarray:
    """The content of a constant, or of what is unpacked from constants: in the dtype that it declares.

    Args:
        var: a ``coremltools`` variable of an operation ``const`` or ``constexpr_*``.

    Raises:
        KeyError: for a ``constexpr_*`` operation that is not here.
    """
    if var.val is not None:
        return np.asarray(var.val)
    results = CONSTANT_OPERATIONS[var.op.op_type](var.op)
    result = results[list(var.op.outputs).index(var)] if isinstance(results, tuple) else results
    return result.astype(var_dtype(var))


def var_dtype(var: Any) -> np.dtype[Any]:
    """Numpy's dtype of a variable; that of whole bytes for integers of fewer bits."""
    from coremltools.converters.mil.mil import types

    return np.dtype(types.nptype_from_builtin(var.dtype))


class Stored(NamedTuple):
    """How one weight is stored."""

    dtype: str
    """Such as "int8", "uint4" or "float16"; of a palette's indices."""
    numbers: int
    """Numbers that it stands for; of a sparse weight those that are not zero."""


def stored(var: Any) -> Stored:
    """How a weight is stored: of a chain of ``constexpr_*`` operations what stands at its beginning."""
    op = var.op
    if op.op_type == "const":
        return Stored(_short_name(var), int(np.prod(var.shape)))
    if op.op_type == f"{PREFIX}lut_to_dense" and "shape" in op.inputs:  # of iOS 16: packed into bytes
        return Stored(f"uint{_bits(op)}", int(np.prod(op.inputs["shape"].val)))
    return stored(next(op.inputs[name] for name in _STORED if op.inputs.get(name) is not None))


_STORED = ("quantized_data", "source_val", "indices_nonzero_data", "indices", "nonzero_data", "data")
"""Inputs that hold what is stored, by whatever name an operation has for it."""


def _short_name(var: Any) -> str:
    from coremltools.converters.mil.mil import types

    return str(types.builtin_to_string(var.dtype)).replace("fp", "float")


def _bits(op: Any) -> int:
    return int(np.log2(op.inputs["lut"].shape[0]))


def _given(op: Any, name: str) -> np.ndarray | None:
    var = op.inputs.get(name)
    return None if var is None else unpacked(var)


def _needed(op: Any, name: str) -> np.ndarray:
    return unpacked(op.inputs[name])


def _affine_dequantize(op: Any) -> np.ndarray:
    data = _needed(op, "quantized_data").astype(np.float32)
    shape = [1] * data.ndim
    shape[int(_needed(op, "axis"))] = -1

    def along(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32).reshape(shape) if values.ndim else values.astype(np.float32)

    return (data - along(_needed(op, "zero_point"))) * along(_needed(op, "scale"))


def _cast(op: Any) -> np.ndarray:
    return _needed(op, "source_val").astype(np.float32)


def _bit_fields(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """``count`` numbers of so many bits each, the lowest bit first, across the borders of bytes."""
    fields = np.unpackbits(packed.astype(np.uint8), count=count * bits, bitorder="little").reshape(count, bits)
    return (fields.astype(np.int64) << np.arange(bits)).sum(1)


def _lut_to_dense(op: Any) -> np.ndarray:
    table = _needed(op, "lut")
    if "shape" in op.inputs:  # iOS 16: one table, and indices packed into bytes
        shape = tuple(int(side) for side in _needed(op, "shape"))
        return table[_bit_fields(_needed(op, "indices"), _bits(op), int(np.prod(shape)))].reshape(shape)
    return _looked_up(_needed(op, "indices").astype(np.int64), table, _given(op, "vector_axis"))


def _looked_up(indices: np.ndarray, tables: np.ndarray, vector_axis: np.ndarray | None) -> np.ndarray:
    """The entries of iOS 18's tables, (groups along each axis..., entries, values of an entry)."""
    groups, (_, width) = tables.shape[:-2], tables.shape[-2:]
    group_of = np.ix_(*(np.arange(side) // (side // g) for side, g in zip(indices.shape, groups, strict=True)))
    entries = tables[(*group_of, indices)]  # (..., width)
    if width == 1 and vector_axis is None:
        return np.asarray(entries[..., 0])
    assert vector_axis is not None  # the specification asks for it
    axis = int(vector_axis) % indices.ndim
    spread = np.moveaxis(entries, -1, axis + 1)
    return spread.reshape(*indices.shape[:axis], indices.shape[axis] * width, *indices.shape[axis + 1 :])


def _in_blocks(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values that each stand for a block, repeated to a shape."""
    for axis, side in enumerate(shape):
        values = np.repeat(values, side // values.shape[axis], axis)
    return values


def _scaled(data: np.ndarray, scale: np.ndarray, offset: np.ndarray | None) -> np.ndarray:
    """In the scale's dtype, as floats: a difference, rounded, and a product, rounded."""
    shifted = data.astype(np.float32)
    if offset is not None:
        blocks = _in_blocks(offset, data.shape).astype(np.float32)
        shifted = (shifted - blocks).astype(scale.dtype).astype(np.float32)
    return shifted * _in_blocks(scale, data.shape).astype(np.float32)


def _blockwise_shift_scale(op: Any) -> np.ndarray:
    return _scaled(_needed(op, "data"), _needed(op, "scale"), _given(op, "offset"))


def _placed(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values where the mask is set, in the order of rows; zeros elsewhere."""
    dense = np.zeros(mask.shape, values.dtype)
    dense[mask != 0] = values
    return dense


def _sparse_to_dense(op: Any) -> np.ndarray:
    values, mask = _needed(op, "nonzero_data"), _needed(op, "mask")
    if "shape" in op.inputs:  # iOS 16: a bit an element
        shape = tuple(int(side) for side in _needed(op, "shape"))
        mask = _bit_fields(mask, 1, int(np.prod(shape))).reshape(shape)
    return _placed(mask, values)


def _lut_to_sparse(op: Any) -> tuple[np.ndarray, np.ndarray]:
    mask, axis, tables = _needed(op, "indices_mask"), _given(op, "vector_axis"), _needed(op, "lut")
    indices = _placed(mask, _needed(op, "indices_nonzero_data").astype(np.int64))
    if axis is not None:
        dense = _looked_up(indices, tables, axis)
        mask = np.repeat(mask, tables.shape[-1], int(axis))
    else:
        dense = _looked_up(indices, tables, None)
    return mask, dense[mask != 0]


def _sparse_blockwise_shift_scale(op: Any) -> tuple[np.ndarray, np.ndarray]:
    mask = _needed(op, "data_mask")
    dense = _scaled(_placed(mask, _needed(op, "nonzero_data")), _needed(op, "scale"), _given(op, "offset"))
    return mask, dense[mask != 0]


CONSTANT_OPERATIONS: dict[str, Callable[[Any], np.ndarray | tuple[np.ndarray, np.ndarray]]] = {
    f"{PREFIX}affine_dequantize": _affine_dequantize,
    f"{PREFIX}blockwise_shift_scale": _blockwise_shift_scale,
    f"{PREFIX}cast": _cast,
    f"{PREFIX}lut_to_dense": _lut_to_dense,
    f"{PREFIX}lut_to_sparse": _lut_to_sparse,
    f"{PREFIX}sparse_blockwise_shift_scale": _sparse_blockwise_shift_scale,
    f"{PREFIX}sparse_to_dense": _sparse_to_dense,
}
"""Takes an operation of coremltools, gives its result: or, for a sparse one, mask and values."""
