"""Tiny saved programs of every format, made by hand: what rules are tested on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types
from onnx import TensorProto, helper

HALF, SINGLE = types.fp16, types.fp32


def mil(folder: Path, build: Callable, *shapes: tuple[int, ...], dtype: Any = HALF, target: Any = None) -> Path:
    """An ML Program as it is written down, without any of the converter's passes.

    Args:
        build: takes one variable for each of ``shapes``.
    """
    path = folder / "program.mlpackage"
    specs = [mb.TensorSpec(shape, dtype) for shape in shapes]
    target = target or ct.target.iOS16
    program = mb.program(input_specs=specs, opset_version=target)(build)
    package = ct.convert(
        program, minimum_deployment_target=target, pass_pipeline=ct.PassPipeline.EMPTY, skip_model_load=True
    )
    package.save(str(path))
    return path


def change_mil(path: Path, change: Callable[[Any], None]) -> Path:
    """Change the operations of a saved program, but for constants: they are given in order."""
    file = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    specification = ct.proto.Model_pb2.Model.FromString(file.read_bytes())
    (block,) = specification.mlProgram.functions["main"].block_specializations.values()
    change([one for one in block.operations if one.type != "const"])
    file.write_bytes(specification.SerializeToString())
    return path


def onnx_file(
    folder: Path,
    nodes: list[tuple],
    inputs: dict[str, tuple],
    output: str,
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 20,
) -> Path:
    """An ONNX file.

    Args:
        nodes: type, inputs, output and attributes of each; ``domain:Type`` for an operator that is not ONNX's own.
        inputs: shape and dtype by name.
        output: name of the one result.
    """

    def node(kind: str, given: str, result: str, **attributes: Any) -> Any:
        domain, _, name = kind.rpartition(":")
        return helper.make_node(name, given.split(), [result], name=f"/block/{name}", domain=domain, **attributes)

    values = [helper.make_tensor_value_info(name, *reversed(kind)) for name, kind in inputs.items()]
    graph = helper.make_graph(
        [node(*one[:3], **(one[3] if len(one) > 3 else {})) for one in nodes],
        "planted",
        values,
        [helper.make_tensor_value_info(output, TensorProto.UNDEFINED, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    path = folder / "planted.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=domains).SerializeToString())
    return path


FLOAT, BOOL, INT32, INT64 = "FLOAT32", "BOOL", "INT32", "INT64"


def tflite_content(*operations: tuple) -> bytes:
    """A flatbuffer of operations that follow each other.

    Args:
        operations: type, inputs, outputs and, where it has options, these as an object of the schema. An input or an
            output is a name of an earlier one, or name, shape and dtype; an input may be a constant array.
    """
    model, empty = schema.ModelT(), schema.BufferT()
    model.version, model.description = 3, b"planted"
    empty.data = []
    model.buffers, model.operatorCodes = [empty], []
    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators, graph.inputs, graph.outputs = b"main", [], [], [], []
    known: dict[str, int] = {}

    def add(name: str, shape: tuple[int, ...], dtype: str) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.hasRank = name.encode(), [abs(side) for side in shape], 0, True
        tensor.type = getattr(schema.TensorType, dtype)
        if any(side < 0 for side in shape):
            tensor.shapeSignature = list(shape)
        graph.tensors.append(tensor)
        known[name] = len(graph.tensors) - 1
        return known[name]

    def index(one: Any) -> int:
        if isinstance(one, str):
            return known[one]
        if isinstance(one, tuple):
            return add(*one)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(one.tobytes(), np.uint8)
        model.buffers.append(buffer)
        found = add(f"constant {len(model.buffers)}", one.shape, str(one.dtype).upper())
        graph.tensors[found].buffer = len(model.buffers) - 1
        return found

    for kind, inputs, outputs, *options in operations:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(127, code.builtinCode), 1
        operator.opcodeIndex = len(model.operatorCodes)
        model.operatorCodes.append(code)
        operator.inputs = [index(one) for one in inputs]
        graph.inputs += [known[one[0]] for one in inputs if isinstance(one, tuple)]
        operator.outputs = graph.outputs = [index(one) for one in outputs]
        if options:
            operator.builtinOptions = options[0]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options[0]).__name__[:-1])
        graph.operators.append(operator)
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tflite(folder: Path, *operations: tuple) -> Path:
    """The same as a file."""
    path = folder / "planted.tflite"
    path.write_bytes(tflite_content(*operations))
    return path


def options(name: str, **values: Any) -> Any:
    """The options of an operation, such as ``AddOptions``."""
    made = getattr(schema, f"{name}T")()
    for key, value in values.items():
        assert hasattr(made, key), key
        setattr(made, key, value)
    return made
