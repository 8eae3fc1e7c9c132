"""The operations of an ONNX file, with the shapes that ONNX's own inference finds; weights are not read.

Axes that a file leaves open get a size, for shapes and for memory: the first axis of a tensor 1, any other `OPEN_AXIS`.
"""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError
from lightsam.stages import POINT_SLOTS

from .base import first_line
from .listing import Graph, Operation, Tensor, with_constants

LANGUAGE = "onnx"
OPEN_AXIS = POINT_SLOTS
"""Size that an open axis is taken with, where it is not the first: as many points as static formats have slots."""
_SMALL = 1024
"""Bytes of a constant that shapes may be computed from; larger ones are weights, and dropped before the inference."""
_SCOPES = "pkg.torch.onnx.name_scopes"
"""Metadata of a node: the modules that it is in, by torch.onnx."""
_VIEWS = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity")
_ONNX = ("", "ai.onnx")


def read_graph(path: Path) -> Graph:
    """The graph of a file.

    Raises:
        ContractError: if it is damaged or no ONNX file.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        if not model.graph.node or not model.opset_import:
            raise ContractError(f"{path} cannot be read as ONNX: it has no graph, or names no operator set")
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        sizes = _closed(model.graph)
        _drop_weights(model.graph)
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except ContractError:
        raise
    # Reading raises DecodeError, OSError or what the inference makes of a graph that contradicts itself.
    except Exception as error:
        raise ContractError(f"{path} cannot be read as ONNX: {first_line(error)}") from error
    opsets = {one.domain: one.version for one in model.opset_import}
    opset = next((opsets[domain] for domain in _ONNX if domain in opsets), 0)
    notes = []
    if sizes:
        taken = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        notes.append(f"axes of no fixed size were taken as {taken}")
    return _graph(model.graph, {}, {"opset": opset, "open_axes": tuple(sizes)}, notes)


def _closed(graph: Any) -> dict[str, int]:
    """Give every open axis of a graph a size, in place; gives the sizes by the axes' names."""
    sizes: dict[str, int] = {}
    for given in graph.input:
        for index, side in enumerate(given.type.tensor_type.shape.dim):
            if side.WhichOneof("value") != "dim_value" or side.dim_value < 1:
                name = side.dim_param or f"axis {index} of {given.name}"
                side.dim_value = sizes.setdefault(name, OPEN_AXIS if index else 1)
    for value in (*graph.value_info, *graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param in sizes:
                side.dim_value = sizes[side.dim_param]
            elif side.WhichOneof("value") == "dim_param":
                side.ClearField("dim_param")  # computed from others: the inference finds it
    return sizes


def _drop_weights(graph: Any) -> None:
    """Leave shapes and dtypes of large constants, and none of their content, in place."""
    for weight in graph.initializer:
        if len(weight.raw_data) > _SMALL:
            weight.ClearField("raw_data")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _drop_weights(attribute.g)


def _graph(graph: Any, outer: Mapping[str, Tensor], facts: Mapping[str, Any], notes: Iterable[str] = ()) -> Graph:
    """A graph, or the body of a branch or a loop, which sees the tensors of the ``outer`` one."""
    known = dict(outer)
    weights = {one.name: Tensor(one.name, tuple(one.dims), _dtype(one.data_type), True) for one in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        known[value.name] = _tensor(value)
    known.update(weights)
    operations = []
    for node in graph.node:
        outputs = tuple(known.get(name) or Tensor(name, None, "") for name in node.output if name)
        if node.op_type == "Constant" and node.domain in _ONNX:
            known.update({one.name: Tensor(one.name, one.shape, one.dtype, True) for one in outputs})
            continue
        known.update({one.name: one for one in outputs})
        attributes = {one.name: _content(one) for one in node.attribute}
        operations.append(
            Operation(
                node.op_type if node.domain in _ONNX else f"{node.domain}:{node.op_type}",
                node.name or (outputs[0].name if outputs else ""),
                tuple(known.get(name) or Tensor(name, None, "") for name in node.input if name),
                outputs,
                _module(node),
                {key: value for key, value in attributes.items() if value is not None},
                node.op_type in _VIEWS and node.domain in _ONNX,
                tuple(_graph(one.g, known, facts) for one in node.attribute if one.HasField("g")),
            )
        )
    folded = with_constants(operations)
    unknown = sum(one.shape is None for operation in folded for one in operation.outputs if not one.constant)
    if unknown:
        notes = (*notes, f"the shapes of {unknown} values are not known, and count as nothing")
    inputs = tuple(known[one.name] for one in graph.input if one.name not in weights)
    return Graph(graph.name, LANGUAGE, inputs, tuple(known[o.name] for o in graph.output), folded, facts, tuple(notes))


def _tensor(value: Any) -> Tensor:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return Tensor(value.name, None, _dtype(kind.elem_type))
    shape = tuple(side.dim_value if side.WhichOneof("value") == "dim_value" else None for side in kind.shape.dim)
    return Tensor(value.name, shape, _dtype(kind.elem_type))


def _dtype(code: int) -> str:
    import onnx

    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(code)) if code else ""
    except KeyError:  # of a newer ONNX than is installed
        return ""


def _content(attribute: Any) -> Any:
    """A number, a text or a tuple of them; None for a tensor or a graph."""
    import onnx

    kinds = onnx.AttributeProto
    if attribute.type == kinds.STRING:
        return attribute.s.decode("utf-8", "replace")
    if attribute.type in (kinds.INT, kinds.FLOAT):
        return attribute.i if attribute.type == kinds.INT else attribute.f
    if attribute.type in (kinds.INTS, kinds.FLOATS):
        return tuple(attribute.ints if attribute.type == kinds.INTS else attribute.floats)
    return None


def _module(node: Any) -> str:
    """As torch.onnx says: the new exporter by metadata, the old one by the name, such as ``/encoder/attn/MatMul``."""
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            try:
                module = str(ast.literal_eval(entry.value)[-2])
            except (ValueError, SyntaxError, IndexError, TypeError):
                return ""
            return "" if module.startswith("_") else module  # the exporter's own
    parts = node.name.split("/")
    return ".".join(parts[1:-1]) if node.name.startswith("/") else ""
