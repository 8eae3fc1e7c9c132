"""The operations of a TFLite flatbuffer, one graph a subgraph."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError

from .base import first_line
from .listing import Graph, Operation, Tensor, with_constants

LANGUAGE = "tflite"
_VIEWS = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
_MAGIC = b"TFL3"
_WRAPPER = "module."
"""What our own exports put around a stage, to name its inputs and outputs."""


def read_graphs(path: Path) -> tuple[Graph, ...]:
    """Every subgraph of a file, named by its signature where it has one.

    Raises:
        ContractError: if it is damaged or no TFLite file.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        content = path.read_bytes()
        if content[4:8] != _MAGIC:
            raise ContractError(f"{path} cannot be read as TFLite: it does not begin like one")
        model = schema.Model.GetRootAs(content, 0)
        signatures = {one.SubgraphIndex(): one.SignatureKey() for one in _each(model, "SignatureDefs")}
        kinds = [_type(one) for one in _each(model, "OperatorCodes")]
        filled = [one.DataLength() > 0 or one.Size() > 0 for one in _each(model, "Buffers")]
        graphs = tuple(
            _subgraph(one, _text(signatures.get(index) or one.Name()) or f"subgraph {index}", kinds, filled)
            for index, one in enumerate(_each(model, "Subgraphs"))
        )
        if not graphs:
            raise ContractError(f"{path} cannot be read as TFLite: it has no graph")
    except ContractError:
        raise
    except Exception as error:  # what a damaged flatbuffer raises depends on where it is damaged
        raise ContractError(f"{path} cannot be read as TFLite: {first_line(error)}") from error
    return graphs


def _each(table: Any, field: str) -> list[Any]:
    return [getattr(table, field)(index) for index in range(getattr(table, f"{field}Length")())]


def _subgraph(graph: Any, name: str, kinds: list[str], filled: list[bool]) -> Graph:
    tensors = [_tensor(one, filled) for one in _each(graph, "Tensors")]
    seen: set[str] = set()
    for index, one in enumerate(tensors):  # names need not differ
        if one.name in seen or not one.name:
            tensors[index] = replace(one, name=f"{one.name}#{index}")
        seen.add(tensors[index].name)
    operations = []
    for one in _each(graph, "Operators"):
        outputs = tuple(tensors[index] for index in _indices(one, "Outputs"))
        kind = kinds[one.OpcodeIndex()]
        operations.append(
            Operation(
                kind,
                outputs[0].name.rsplit("/", 1)[-1] if outputs else "",
                tuple(tensors[index] for index in _indices(one, "Inputs") if index >= 0),
                outputs,
                _module(outputs[0].name) if outputs else "",
                {},
                kind in _VIEWS,
            )
        )
    inputs, outputs = (tuple(tensors[i] for i in _indices(graph, field)) for field in ("Inputs", "Outputs"))
    return Graph(name, LANGUAGE, inputs, outputs, with_constants(operations))


def _indices(table: Any, field: str) -> list[int]:
    return [int(index) for index in _each(table, field)]


def _tensor(tensor: Any, filled: list[bool]) -> Tensor:
    signature = _indices(tensor, "ShapeSignature")
    shape = tuple(None if side < 0 else side for side in signature or _indices(tensor, "Shape"))
    if not tensor.HasRank() and not shape and not tensor.Shape(0):
        shape = ()
    constant = filled[tensor.Buffer()] and not tensor.IsVariable()
    return Tensor(_text(tensor.Name()), shape, _dtypes().get(tensor.Type(), ""), constant)


@cache
def _dtypes() -> Mapping[int, str]:
    from ai_edge_litert.schema_py_generated import TensorType

    return {code: name.lower() for name, code in vars(TensorType).items() if isinstance(code, int)}


@cache
def _builtins() -> Mapping[int, str]:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    return {code: name for name, code in vars(BuiltinOperator).items() if isinstance(code, int)}


def _type(code: Any) -> str:
    """Of an operator, by its name; a custom one is ``custom:Name``."""
    # Files of schema 3 before 2020 have only the deprecated field, later ones have both.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = _builtins().get(number, f"operator {number}")
    return f"custom:{_text(code.CustomCode())}" if name == "CUSTOM" else name


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "replace")


def _module(name: str) -> str:
    """From what litert-torch calls a result: the classes and attributes that lead to it, ``pkg.Class_attribute/...``.

    Of a result that several modules share the first counts; of a name in TensorFlow's way, all but its last part.
    """
    parts = name.split(";")[0].split("/")
    if not any("." in part for part in parts):
        return ".".join(parts[:-1])
    attributes = (part.rsplit(".", 1)[-1].lstrip("_").partition("_")[2] for part in parts if "." in part)
    return ".".join(filter(None, attributes)).removeprefix(_WRAPPER)
