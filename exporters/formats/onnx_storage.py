"""The weights of a compressed ONNX file that no layer computes with as integers: small in the file, floats in a run.

ONNX Runtime computes what depends on constants alone once, when it loads a file (but for DequantizeLinear, which it
leaves to integer kernels): a layer whose weight is stored like this is as fast as one in float.
"""

from typing import Any

import numpy as np

from .onnx_editing import SCALE, Editor
from .quantizers import linear

_LEAST = 1024
"""Numbers of a constant that is worth it."""
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def store_rest(editor: Editor) -> None:
    """Store what is left in float32 in fewer bits: weights of layers in 8, anything else (tables, encodings) in 16."""
    import onnx

    nodes, editor.nodes = editor.nodes, []
    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            tensor = editor.weights.get(name)
            if tensor is not None and tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= _LEAST:
                readers.setdefault(name, []).append(node)
    for name, those in readers.items():
        if name.endswith(SCALE):
            continue
        summed = {_summed(node, name, len(editor.weights[name].dims)) for node in those}
        restored, values = f"{name}/restored", editor.array(name)
        if len(summed) > 1 or not (axes := next(iter(summed))):
            half = editor.constant(f"{name}/data", values.astype(np.float16))
            editor.add(those[0], "Cast", [half], restored, to=onnx.TensorProto.FLOAT)
        else:
            integers, scales = _in_8_bits(values, axes)
            data, scale = editor.constant(f"{name}/data", integers), editor.constant(f"{name}{SCALE}", scales)
            floats = editor.add(those[0], "Cast", [data], f"{name}/floats", to=onnx.TensorProto.FLOAT)
            editor.add(those[0], "Mul", [floats, scale], restored)
        for node in those:
            node.input[:] = [restored if one == name else one for one in node.input]
    editor.nodes.extend(nodes)


def _in_8_bits(values: np.ndarray, summed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Integers and scales, which broadcast against them: one for each output."""
    order = (*(axis for axis in range(values.ndim) if axis not in summed), *summed)
    moved = values.transpose(order)
    outputs = moved.shape[: -len(summed)]
    weight = linear(moved.reshape(int(np.prod(outputs)), -1), 0)
    back = np.argsort(order)
    scales = weight.scale.reshape(*outputs, *(1 for _ in summed))
    return weight.data.reshape(moved.shape).transpose(back), scales.transpose(back)


def _summed(node: Any, name: str, rank: int) -> tuple[int, ...]:
    """The axes of a layer's weight that its products are summed over; none of anything else."""
    if node.op_type not in _LAYERS or rank < 2 or len(node.input) < 2 or node.input[1] != name:
        return ()
    if node.op_type == "MatMul":
        return (rank - 2,)
    if node.op_type == "Gemm":
        return (1,) if any(one.name == "transB" and one.i for one in node.attribute) else (0,)
    return tuple(axis for axis in range(rank) if axis != (1 if node.op_type == "ConvTranspose" else 0))
