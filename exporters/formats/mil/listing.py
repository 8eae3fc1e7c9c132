"""The operations of a saved ML Program, from its specification alone: no weight is read, nothing inferred anew."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError
from lightsam_exporters.formats.listing import Graph, Operation, Tensor, with_constants

from .program import read_specification

LANGUAGE = "mil"
_DTYPES = {
    "FLOAT16": "float16",
    "FLOAT32": "float32",
    "FLOAT64": "float64",
    "BOOL": "bool",
    "STRING": "str",
    **{f"{sign}INT{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
_DATA = (
    "x",
    "y",
    "values",
    "data",
    "query",
    "key",
    "value",
    "attn_mask",
    "a",
    "b",
    "cond",
    "indices",
    "weight",
    "bias",
)
"""Parameters that hold tensors of the computation, in the order in which they are listed; the rest are attributes."""
_VIEWS = ("reshape", "expand_dims", "squeeze", "identity")
_WEIGHT = re.compile(r"^(?:[pbc]_)?(?P<module>.+?)_(?:weight|bias|gamma|beta)(?:_.*)?$")
"""Names that converters make of a PyTorch parameter's, with underscores for dots."""


def read_graphs(package: Path) -> tuple[Graph, ...]:
    """Every function of a package.

    Raises:
        ContractError: if the package is missing, damaged, or no ML Program.
    """
    program = read_specification(package).mlProgram
    if not program.functions:
        raise ContractError(f"{package} is damaged: its ML Program has no function")
    return tuple(_function(name, function) for name, function in sorted(program.functions.items()))


def _function(name: str, function: Any) -> Graph:
    block = function.block_specializations[function.opset]
    inputs = tuple(Tensor(given.name, *_kind(given.type)) for given in function.inputs)
    note = "the package names no PyTorch module: an operation is placed by its weights, else near the last before it"
    return _block(name, block, {one.name: one for one in inputs}, inputs, (note,))


def _block(
    name: str,
    block: Any,
    known: dict[str, Tensor],
    inputs: tuple[Tensor, ...],
    notes: tuple[str, ...] = (),
) -> Graph:
    """A block in SSA form.

    Args:
        known: tensors that it can see, by name; those that it defines are added.
        inputs: its own.
    """
    small: dict[str, Any] = {}
    operations = []
    last = ""
    for one in block.operations:
        outputs = tuple(Tensor(out.name, *_kind(out.type), one.type == "const") for out in one.outputs)
        known.update({out.name: out for out in outputs})
        if one.type == "const":
            small[one.outputs[0].name] = _immediate(one.attributes.get("val"))
            continue
        arguments = {key: _arguments(given.arguments, known, small) for key, given in one.inputs.items()}
        weights = (tensor for tensors, _ in arguments.values() for tensor in tensors)
        module = next(filter(None, (_module(weight) for weight in weights)), "")
        module = "" if module == outputs[0].name else module  # a constant that the converter named by its operation
        last = module or last
        bodies = tuple(
            _block("", body, {**known}, tuple(Tensor(b.name, *_kind(b.type)) for b in body.inputs))
            for body in one.blocks
        )
        operations.append(
            Operation(
                one.type,
                outputs[0].name if outputs else "",
                tuple(tensor for key in _DATA for tensor in arguments.get(key, ((), ()))[0]),
                outputs,
                module or (f"near {last}" if last else ""),
                _attributes(arguments),
                one.type in _VIEWS,
                bodies,
            )
        )
    outputs = tuple(known[output] for output in block.outputs if output in known)
    return Graph(name, LANGUAGE, inputs, outputs, with_constants(operations), notes=notes)


def _arguments(
    arguments: Iterable[Any], known: Mapping[str, Tensor], small: Mapping[str, Any]
) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
    """The tensors of one parameter, and their contents where these are small constants."""
    tensors, contents = [], []
    for one in arguments:
        if one.name:
            tensors.append(known.get(one.name) or Tensor(one.name, None, ""))
            contents.append(small.get(one.name))
        else:
            tensors.append(Tensor("", *_kind(one.value.type), constant=True))
            contents.append(_immediate(one.value))
    return tuple(tensors), tuple(contents)


def _attributes(arguments: Mapping[str, tuple[tuple[Tensor, ...], tuple[Any, ...]]]) -> dict[str, Any]:
    """Parameters that are no tensors of the computation; one whose content is not in the program is None."""
    return {key: contents[0] if contents else None for key, (_, contents) in arguments.items() if key not in _DATA}


def _kind(value: Any) -> tuple[tuple[int | None, ...] | None, str]:
    """Shape and dtype of a value; a list or a dictionary has none."""
    if value.WhichOneof("type") != "tensorType":
        return None, ""
    tensor = value.tensorType
    names = type(tensor).DESCRIPTOR.fields_by_name["dataType"].enum_type.values_by_number
    known = names.get(tensor.dataType)
    dtype = "" if known is None else known.name  # of a newer Core ML than is installed
    if tensor.rank < 0:
        return None, _DTYPES.get(dtype, "")
    shape = tuple(
        side.constant.size if side.WhichOneof("dimension") == "constant" else None for side in tensor.dimensions
    )
    return shape, _DTYPES.get(dtype, dtype.lower())


def _immediate(value: Any) -> Any:
    """The content of a constant that stands in the program itself: a scalar, or a tuple; None for one in a file."""
    if value is None or value.WhichOneof("value") != "immediateValue":
        return None
    tensor = value.immediateValue.tensor
    kind = tensor.WhichOneof("value")
    if kind is None or kind == "bytes":
        return None
    content = tuple(getattr(tensor, kind).values)
    return content if value.type.tensorType.rank else next(iter(content), None)


def _module(tensor: Tensor) -> str:
    """The PyTorch module of a weight, by its name; empty for what is none."""
    match = _WEIGHT.match(tensor.name) if tensor.constant and tensor.rank else None
    return match["module"] if match else ""
