"""w8-dynamic and w4: an ONNX file whose large matrices are stored in 8 or 4 bits; no images are needed.

A convolution of one position is a matrix product, too, and becomes one: between such layers ONNX Runtime takes out the
transposes again that surround each.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .onnx_editing import CONTRIB, SCALE, Editor
from .onnx_storage import store_rest
from .quantizers import linear

_LEAST = 2**14
"""Weights of a matrix that is worth it. Smaller ones are few beside the others, and are applied to the largest maps,
where it costs most to round the activations."""
_BLOCK = 32
"""Weights of one output that share a scale in 4 bits."""
_INTEGER_PRODUCTS = 4
"""How `MatMulNBits` may compute: with activations in 8 bits, a scale for each block."""
_SHARES = np.linspace(0.8, 1.0, 9)
"""Of the scale that reaches the largest weight of a block, for the one that is closest to all of them."""

_Product = Callable[[Editor, Any, str, str, np.ndarray], str]
"""Adds the product of an activation and a matrix, (inputs, outputs), to a graph: the editor, the node that it is for,
the activation's name, the weight's name, the matrix. Gives the name of the result."""


def with_small_weights(source: Path, target: Path, bits: int) -> bool:
    """Write a float file with small weights.

    Args:
        bits: 8 for activations that are rounded to 8 bits as they come, by the range of each call, 4 for weights alone.

    Returns:
        Whether it has any matrix that is large enough; nothing is written otherwise.

    Raises:
        ContractError: if it is damaged.
    """
    editor = Editor(source)
    product = _in_8_bits if bits == 8 else _in_4_bits
    before = 0
    for node in editor.originals():
        matrix = editor.matrix(node)
        pointwise = None if matrix is not None else _pointwise(editor, node)
        large = matrix if matrix is not None else pointwise
        if large is None or large.size < _LEAST:
            editor.nodes.append(node)
            continue
        before += 1
        given, result = node.input[0], node.output[0]
        biased = len(node.input) > 2 and bool(node.input[2])
        if pointwise is not None:
            given = _once(editor, node, "Transpose", [given], f"{given}/rows", perm=[0, 2, 3, 1])
        found = product(editor, node, given, node.input[1], large)
        if biased:
            found = editor.add(node, "Add", [found, node.input[2]], f"{result}/biased")
        if pointwise is not None:
            editor.add(node, "Transpose", [found], result, perm=[0, 3, 1, 2])
        else:
            # The last node takes the name of the result: nothing is copied.
            editor.nodes[-1].output[0] = result
    if before:
        store_rest(editor)
        editor.save(target)
    return before > 0


def _pointwise(editor: Editor, node: Any) -> np.ndarray | None:
    """The weight of a convolution of one position, (inputs, outputs); None of any other node."""
    if node.op_type != "Conv" or node.input[1] not in editor.weights:
        return None
    attributes = editor.attributes(node)
    plain = attributes.get("group", 1) == 1 and not any(attributes.get("pads", ()))
    plain = plain and set(attributes.get("strides", ())) <= {1}
    if tuple(editor.weights[node.input[1]].dims[2:]) != (1, 1) or not plain:
        return None
    return editor.array(node.input[1])[:, :, 0, 0].T


def _once(editor: Editor, node: Any, kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
    """A node that others may have asked for before."""
    if outputs[0] not in editor.made:
        editor.made.add(outputs[0])
        editor.add(node, kind, inputs, *outputs, **attributes)
    return outputs[0]


def _in_8_bits(editor: Editor, node: Any, given: str, name: str, matrix: np.ndarray) -> str:
    """Integers times integers: each activation is rounded by its own range, once for all that take it."""
    weight = linear(matrix, 1)
    data = editor.constant(f"{name}/data", weight.data)
    scale = editor.constant(f"{name}{SCALE}", weight.scale)
    bytes_, each, zero = f"{given}/data", f"{given}/step", f"{given}/offset"
    _once(editor, node, "DynamicQuantizeLinear", [given], bytes_, each, zero)
    result = node.output[0]
    sums = editor.add(node, "MatMulInteger", [bytes_, data, zero], f"{result}/sums")
    # In this order ONNX Runtime makes one kernel of all of it, the bias included.
    floats = editor.add(node, "Cast", [sums], f"{result}/floats", to=1)
    steps = editor.add(node, "Mul", [each, scale], f"{result}/steps")
    return editor.add(node, "Mul", [floats, steps], f"{result}/product")


def _in_4_bits(editor: Editor, node: Any, given: str, name: str, matrix: np.ndarray) -> str:
    """ONNX Runtime's own product with packed weights."""
    packed, scales = pack(matrix)
    inputs = [
        given,
        editor.constant(f"{name}/data", packed),
        editor.constant(f"{name}{SCALE}", scales),
    ]
    rows, columns = matrix.shape
    return editor.add(
        node,
        "MatMulNBits",
        inputs,
        f"{node.output[0]}/product",
        domain=CONTRIB,
        K=rows,
        N=columns,
        bits=4,
        block_size=_BLOCK,
        accuracy_level=_INTEGER_PRODUCTS,
    )


def pack(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A matrix, (inputs, outputs), in 4 bits as `MatMulNBits` has it: ``(data - 8) * scale``, two in a byte.

    Returns:
        The data, (outputs, blocks, 16) uint8, the first of two in the low bits, and the scales, (outputs * blocks,).
    """
    rows, columns = matrix.shape
    blocks = -(-rows // _BLOCK)
    padded = np.zeros((columns, blocks * _BLOCK), np.float32)
    padded[:, :rows] = matrix.T
    values = padded.reshape(columns, blocks, _BLOCK)
    # The end with eight steps is given to the sign that reaches further.
    peak = np.take_along_axis(values, np.abs(values).argmax(-1)[..., None], -1)  # (outputs, blocks, 1)
    best = np.full(peak.shape, np.inf, np.float32)
    scales = np.ones_like(peak)
    for share in _SHARES:
        scale = np.where(peak == 0, 1, peak * np.float32(share) / -8).astype(np.float32)
        error = np.square(np.rint(values / scale).clip(-8, 7) * scale - values).sum(-1, keepdims=True)
        scales, best = np.where(error < best, scale, scales), np.minimum(error, best)
    data = (np.rint(values / scales).clip(-8, 7) + 8).astype(np.uint8)
    return data[..., 0::2] | data[..., 1::2] << 4, scales.ravel()
