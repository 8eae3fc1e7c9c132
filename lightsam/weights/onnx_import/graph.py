"""Reading an ONNX file: its operations in order of execution, and the constants that they use.

What exporters do to a constant on its way to the operation that uses it (Identity, Transpose, Reshape, Cast, Unsqueeze,
Concat, ...) is computed here, so that an operation's constants are arrays whatever the exporter left to the runtime.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lightsam.errors import CheckpointError

from .ort_format import is_ort, to_onnx

Node = Any  # onnx.NodeProto: onnx has no types of its own for what protobuf generates

_LAYOUT = {
    *("Identity", "Transpose", "Reshape", "Cast", "Unsqueeze", "Squeeze", "Concat", "Expand", "Flatten"),
    *("ConstantOfShape", "Shape", "Size", "Range", "Slice", "Add", "Sub", "Mul", "Div", "Neg"),
    *("Equal", "Greater", "Less", "Where"),
}
"""What is computed when all its inputs are known. Gather is not: what looks a table up shows the table as it was."""
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinear", "Integer", "MatMulNBits", "DynamicQuantize")


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of the whole graph; a dimension that may change is None."""

    name: str
    shape: tuple[int | None, ...]


@dataclass
class Graph:
    """One ONNX file."""

    path: Path
    """As the user named it."""
    file: Path
    """The same as ONNX: `path` itself, or what was written of an .ort file."""
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]
    nodes: list[Node] = field(default_factory=list)
    """In order of execution, without those that only make constants."""
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    """By the name of the tensor."""
    origins: dict[str, str] = field(default_factory=dict)
    """Tensor to the initializer whose values it has, which may still be called as in the checkpoint."""
    producers: dict[str, Node] = field(default_factory=dict)
    consumers: dict[str, list[Node]] = field(default_factory=dict)

    def constant(self, node: Node, index: int) -> np.ndarray | None:
        """An operation's input, if it is a constant."""
        return self.constants.get(node.input[index]) if index < len(node.input) else None

    def next(self, name: str, *op_types: str) -> Iterator[Node]:
        """The operations of these types that use a tensor."""
        return (node for node in self.consumers.get(name, []) if node.op_type in op_types)


def attributes(node: Node) -> dict[str, Any]:
    """An operation's attributes by name."""
    from onnx.helper import get_attribute_value

    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def read_graph(path: Path, scratch: Path) -> Graph:
    """Read an ONNX file and what lies beside it, or a file in ONNX Runtime's own format.

    Args:
        path: of the file.
        scratch: a folder for what is made of an .ort file; it must outlive the graph.

    Raises:
        CheckpointError: if it is missing, damaged, quantized or in half precision, in one line.
    """
    import onnx
    from onnx import inliner

    if not path.is_file():
        raise CheckpointError(f"there is no ONNX file {path}")
    try:
        file = to_onnx(path, scratch) if is_ort(path) else path
        model = onnx.load(file)
        if model.functions:
            model = inliner.inline_local_functions(model)
        if not model.graph.node:
            raise ValueError("it holds no graph")
        _refuse_other_numbers(model.graph, path)
        return _walk(model, path, file)
    except CheckpointError:
        raise
    # Protobuf, onnx and numpy each have exceptions of their own for a file that ends too early.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is damaged or not an ONNX file ({reason})") from error


def _refuse_other_numbers(graph: Any, path: Path) -> None:
    from onnx import TensorProto

    quantized = [node.op_type for node in graph.node if any(word in node.op_type for word in _QUANTIZED)]
    if quantized:
        raise CheckpointError(
            f"{path} is quantized ({len(quantized)} operations such as {quantized[0]}): the weights that it was made "
            "from are not in it; import the float32 file"
        )
    halves = sum(tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16) for tensor in graph.initializer)
    if halves:
        raise CheckpointError(
            f"{path} is in half precision ({halves} tensors): what was rounded away is not in it; import the float32 "
            "file"
        )


def _walk(model: Any, path: Path, file: Path) -> Graph:
    from onnx import numpy_helper

    proto = model.graph
    base = str(file.parent)
    initializers = {tensor.name: numpy_helper.to_array(tensor, base) for tensor in proto.initializer}
    graph = Graph(
        path,
        file,
        [_info(value) for value in proto.input if value.name not in initializers],  # old exporters list both as inputs
        [_info(value) for value in proto.output],
        constants=initializers,
        origins={name: name for name in initializers},
    )
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    for node in proto.node:
        _visit(graph, node, opsets)
    return graph


def _visit(graph: Graph, node: Node, opsets: dict[str, int]) -> None:
    if node.op_type == "Constant":
        graph.constants[node.output[0]] = _literal(node)
    elif node.op_type in _LAYOUT and node.input and all(name in graph.constants for name in node.input if name):
        _compute(graph, node, opsets)
    elif node.op_type == "If" and node.input[0] in graph.constants:
        for taken in _branch(graph, node):
            _visit(graph, taken, opsets)
    else:
        graph.nodes.append(node)
        for name in node.output:
            graph.producers[name] = node
        for name in dict.fromkeys(node.input):
            graph.consumers.setdefault(name, []).append(node)


def _branch(graph: Graph, node: Node) -> list[Node]:
    """What an If amounts to whose condition is known, as exporters leave it where a trace depends on a rank."""
    from onnx import helper, numpy_helper

    condition = bool(graph.constants[node.input[0]].reshape(-1)[0])
    branch = attributes(node)["then_branch" if condition else "else_branch"]
    for tensor in branch.initializer:
        graph.constants[tensor.name] = numpy_helper.to_array(tensor)
    renamed = zip(branch.output, node.output, strict=True)
    return [*branch.node, *(helper.make_node("Identity", [inner.name], [outer]) for inner, outer in renamed)]


def _info(value: Any) -> TensorInfo:
    dims = value.type.tensor_type.shape.dim
    return TensorInfo(value.name, tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims))


def _literal(node: Node) -> np.ndarray:
    from onnx import numpy_helper

    found = attributes(node)
    if "value" in found:
        return numpy_helper.to_array(found["value"])
    (value,) = found.values()  # value_float, value_ints, ...
    return np.asarray(value, np.float32 if isinstance(value, float) else None)


def _compute(graph: Graph, node: Node, opsets: dict[str, int]) -> None:
    """Run one operation on constants, by ONNX's own definition of it."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in dict.fromkeys(node.input) if name]
    undefined = helper.make_tensor_type_proto(1, None)  # the evaluator does not look at it
    single = helper.make_graph(
        [node],
        "constant",
        [helper.make_value_info(name, undefined) for name in names],
        [helper.make_value_info(name, undefined) for name in node.output],
    )
    evaluator: Any = ReferenceEvaluator(single, opsets=opsets)
    values: Any = evaluator.run(None, {name: graph.constants[name] for name in names})
    graph.constants.update(zip(node.output, values, strict=True))
    floats = [name for name in names if graph.constants[name].dtype.kind == "f" and graph.constants[name].size > 1]
    if len(floats) == 1 and floats[0] in graph.origins:
        graph.origins[node.output[0]] = graph.origins[floats[0]]
