"""w8a8: an ONNX file whose layers multiply integers, by the ranges that its activations have over real images.

It is written as QuantizeLinear and DequantizeLinear around the float operations (QDQ), which is plain ONNX that every
runtime understands; ONNX Runtime fuses them into integer kernels. On a CPU with no VNNI, on x86 alone, its kernels
saturate sums of two products; the others, ARM's among them, do not.

What the rules below leave in float was measured on MobileSAM's encoder.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lightsam.stages import Arrays

from .onnx_editing import SCALE, ZERO, Editor
from .onnx_ranges import STEPS, find_ranges
from .onnx_storage import store_rest
from .quantizers import linear

_MOVES = ("Reshape", "Transpose", "Pad", "Gather")
"""Operations that move values and leave them as they are: bytes are moved four times as fast."""
_LOGISTIC = 1.702
"""x * sigmoid(1.702 x) is within .021 of GELU, which is below a step of eight bits here; ONNX Runtime has integer
kernels of both operations and none of GELU."""
_FEWEST = 16
"""Inputs of a matrix product in integers: fewer are coordinates of points, which eight bits would move."""
_LARGEST_SUM = 2**31 - 1
"""That 32 bits hold."""


class _Integers(NamedTuple):
    """How eight bits are read: ``(data - zero) * scale``."""

    scale: np.float32
    zero: np.uint8


_SIGMOID = _Integers(np.float32(1 / (STEPS + 1)), np.uint8(0))


class _Plan(NamedTuple):
    """What becomes integers."""

    layers: set[str]
    """First outputs of the layers that do."""
    tensors: list[str]
    """Activations that are stored in eight bits, in the order of the graph."""
    moved: dict[str, str]
    """Of these, those that are another one moved: they share its range."""


def with_integers(source: Path, target: Path, inputs: Callable[[], Iterator[Arrays]]) -> bool:
    """Write a float file with integer weights and activations.

    Returns:
        Whether it has any layer for it; nothing is written otherwise.

    Raises:
        ContractError: if it is damaged.
        UsageError: if there is nothing to calibrate on.
    """
    editor = Editor(source)
    plan = _plan(editor)
    if not plan.layers:
        return False
    ranges = find_ranges(source, editor.shapes, [name for name in plan.tensors if name not in plan.moved], inputs)
    _Writer(editor, plan, ranges).write()
    store_rest(editor)
    editor.save(target)
    return True


def _plan(editor: Editor) -> _Plan:
    layers = _layers(editor)
    stored = {node.input[0] for node in layers} | {node.output[0] for node in layers if node.op_type == "Conv"}
    for node in editor.originals():
        if node.op_type == "Gelu" and node.output[0] in stored and _is_sum(editor, node.input[0], stored):
            stored.add(node.input[0])
    moved: dict[str, str] = {}
    for name in sorted(stored):
        chain = list(_moved_from(editor, name))
        stored.update(chain)
        moved.update((one, chain[-1]) for one in (name, *chain[:-1]) if chain)
    order = [name for name in (*editor.inputs, *editor.producers) if name in stored]
    return _Plan({node.output[0] for node in layers}, order, moved)


def _layers(editor: Editor) -> list[Any]:
    """The convolutions and matrix products whose weights and inputs become integers.

    In float stay products of two activations (attention), the gates of squeeze and excite, which are convolutions of
    one position, and each convolution after which no layer comes: its eight bits would be those of the result, which
    costs 9 dB.
    """
    found: list[Any] = []
    leading: set[str] = set()
    for node in reversed(editor.originals()):
        matrix = editor.matrix(node)
        product = matrix is not None and len(matrix) >= _FEWEST
        convolution = node.op_type == "Conv" and node.input[1] in editor.weights
        if product or (convolution and node.output[0] in leading and _side(editor, node.output[0]) != (1, 1)):
            found.append(node)
        if product or convolution or not leading.isdisjoint(node.output):
            leading.update(node.input)
    return found[::-1]


def _side(editor: Editor, name: str) -> tuple[int | None, ...]:
    return editor.shapes.get(name, ())[2:]


def _is_sum(editor: Editor, name: str, stored: set[str]) -> bool:
    producer = editor.producers.get(name)
    return producer is not None and producer.op_type == "Add" and stored.issuperset(producer.input)


def _moved_from(editor: Editor, name: str) -> Iterator[str]:
    """The activations that one is a mere rearrangement of, the nearest first."""
    node = editor.producers.get(name)
    while node is not None and node.op_type in _MOVES and node.input[0] in editor.shapes and _pads_zeros(editor, node):
        yield node.input[0]
        node = editor.producers.get(node.input[0])


def _pads_zeros(editor: Editor, node: Any) -> bool:
    if node.op_type != "Pad" or len(node.input) < 3 or not node.input[2]:
        return True
    return node.input[2] in editor.weights and not editor.array(node.input[2]).any()


class _Writer:
    """The nodes of the new graph, by a plan."""

    def __init__(self, editor: Editor, plan: _Plan, ranges: dict[str, tuple[float, float]]) -> None:
        self._editor = editor
        self._plan = plan
        self._stored = set(plan.tensors)
        self._integers = {name: _scale_and_zero(*ranges[plan.moved.get(name, name)]) for name in plan.tensors}
        self._made: set[str] = set()
        self._sums: dict[str, np.ndarray] = {}

    def write(self) -> None:
        """Go through the graph once."""
        for name in self._stored.intersection(self._editor.inputs):
            self._store(self._editor.consumers[name][0], name)
        for node in self._editor.originals():
            if node.op_type in _MOVES and {node.input[0], node.output[0]} <= self._stored:
                self._move(node)
                continue
            if node.op_type == "Gelu" and {node.input[0], node.output[0]} <= self._stored:
                self._gelu(node)
            else:
                self._keep(node)
            for name in node.output:
                if name in self._stored:
                    self._store(node, name)

    def _keep(self, node: Any) -> None:
        """A node on the floats that its inputs stand for; of a layer the weight, too, is an integer."""
        if node.output[0] in self._plan.layers:
            self._layer(node)
        elif node.op_type == "Add":
            self._bias_of_product(node)
        for index, name in enumerate(node.input):
            if name in self._stored:
                node.input[index] = self._restored(node, name)
        self._editor.nodes.append(node)

    def _layer(self, node: Any) -> None:
        """Put integers in the place of the weight and the bias of a layer."""
        editor, name = self._editor, node.input[1]
        transposed = node.op_type == "Conv" or editor.attributes(node).get("transB", 0)
        axis = 0 if transposed else 1
        weight = linear(editor.array(name), axis)
        if name not in self._made:
            self._made.add(name)
            data = editor.constant(f"{name}/data", weight.data)
            scale = editor.constant(f"{name}{SCALE}", weight.scale)
            editor.add(node, "DequantizeLinear", [data, scale], f"{name}/restored", axis=axis)
        node.input[1] = f"{name}/restored"
        # Of a sum of products; 32 bits are what the kernels add up in.
        self._sums[node.output[0]] = weight.scale * self._integers[node.input[0]].scale
        if len(node.input) > 2 and node.input[2] in editor.weights:
            self._bias(node, 2, self._sums[node.output[0]])

    def _bias_of_product(self, node: Any) -> None:
        """The bias of a MatMul is an Add of its own; as an integer it lets both become one kernel."""
        sums = self._sums.get(node.input[0])
        if sums is not None and node.input[1] in self._editor.weights:
            self._bias(node, 1, sums)

    def _bias(self, node: Any, index: int, scale: np.ndarray) -> None:
        name = node.input[index]
        data = np.rint(self._editor.array(name) / scale.astype(np.float64))
        if data.shape != scale.shape or np.abs(data).max(initial=0.0) > _LARGEST_SUM:
            return
        inputs = [
            self._editor.constant(f"{node.output[0]}/bias", data.astype(np.int32)),
            self._editor.constant(f"{node.output[0]}/bias{SCALE}", scale.astype(np.float32)),
        ]
        node.input[index] = self._editor.add(node, "DequantizeLinear", inputs, f"{name}/of/{node.output[0]}", axis=0)

    def _gelu(self, node: Any) -> None:
        """A GELU of integers; see `_LOGISTIC`."""
        editor, name, result = self._editor, node.input[0], node.output[0]
        scale = self._integers[name].scale
        # The same integers under a larger scale: the product with 1.702 costs nothing.
        wide = [f"{name}/data", editor.constant(f"{name}/wide{SCALE}", scale * np.float32(_LOGISTIC)), f"{name}{ZERO}"]
        editor.add(node, "Sigmoid", [editor.add(node, "DequantizeLinear", wide, f"{name}/wide")], f"{result}/sigmoid")
        self._integers[f"{result}/sigmoid"] = _SIGMOID
        self._store(node, f"{result}/sigmoid")
        factors = [self._restored(node, name), self._restored(node, f"{result}/sigmoid")]
        editor.add(node, "Mul", factors, result)

    def _move(self, node: Any) -> None:
        """Let an operation move bytes."""
        _, zero = self._read_with(node.input[0])
        node.input[0] = f"{node.input[0]}/data"
        if node.op_type == "Pad":
            node.input[:] = [*node.input[:2], zero, *node.input[3:]]
        node.output[0] = f"{node.output[0]}/data"
        self._editor.nodes.append(node)

    def _store(self, node: Any, name: str) -> None:
        """Round a tensor that was just computed to eight bits."""
        self._editor.add(node, "QuantizeLinear", [name, *self._read_with(name)], f"{name}/data")

    def _restored(self, node: Any, name: str) -> str:
        """The floats that the eight bits of a tensor stand for."""
        restored = f"{name}/restored"
        if restored not in self._made:
            self._made.add(restored)
            self._editor.add(node, "DequantizeLinear", [f"{name}/data", *self._read_with(name)], restored)
        return restored

    def _read_with(self, name: str) -> list[str]:
        """Names of the scale and the zero point of a tensor."""
        scale, zero = self._integers[name]
        return [self._editor.constant(f"{name}{SCALE}", scale), self._editor.constant(f"{name}{ZERO}", zero)]


def _scale_and_zero(low: float, high: float) -> _Integers:
    scale = np.float32((high - low) / STEPS) or np.float32(1)
    return _Integers(scale, np.uint8(np.rint(-low / float(scale)).clip(0, STEPS)))
