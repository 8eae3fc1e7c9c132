"""The operations of an ExecuTorch program: the calls of a delegate, and what is left to ExecuTorch's own kernels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError

from .base import first_line
from .listing import Graph, Operation, Tensor, with_constants

LANGUAGE = "executorch"
DELEGATE = "delegate:"
"""Before the name of a delegate, as the type of an operation."""
_VIEWS = ("executorch_prim::et_view",)
_DTYPES = {
    "BYTE": "uint8",
    "CHAR": "int8",
    "SHORT": "int16",
    "INT": "int32",
    "LONG": "int64",
    "HALF": "float16",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "BOOL": "bool",
    "BFLOAT16": "bfloat16",
}
_NOTES = (
    "the file names no PyTorch module",
    "a delegate is one operation here: what it computes inside, and the memory for that, the file does not tell",
)


def read_graphs(path: Path) -> tuple[Graph, ...]:
    """Every method of a file that computes; constant methods are left out.

    Raises:
        ContractError: if it is damaged or no ExecuTorch file.
    """
    try:
        from executorch.exir._serialize._program import deserialize_pte_binary

        plans = deserialize_pte_binary(path.read_bytes()).program.execution_plan
        graphs = tuple(_method(plan) for plan in plans if any(chain.instructions for chain in plan.chains))
    except OSError:
        raise
    except Exception as error:  # of several kinds, by where it is damaged
        raise ContractError(f"{path} cannot be read as ExecuTorch: {first_line(error)}") from error
    if not graphs:
        raise ContractError(f"{path} cannot be read as ExecuTorch: it has no method that computes")
    return graphs


def _method(plan: Any) -> Graph:
    tensors = {index: _tensor(index, one.val) for index, one in enumerate(plan.values) if _is_tensor(one.val)}
    made = set(plan.inputs) | {index for index, tensor in tensors.items() if tensor.constant}
    operations = []
    for instruction in (one.instr_args for chain in plan.chains for one in chain.instructions):
        kind = type(instruction).__name__
        if kind not in ("KernelCall", "DelegateCall"):
            continue
        touched = list(dict.fromkeys(_flat(plan, instruction.args)))
        inputs = [index for index in touched if index in made]
        outputs = [index for index in touched if index not in made]
        made |= set(outputs)
        if kind == "DelegateCall":
            name = f"{DELEGATE}{plan.delegates[instruction.delegate_index].id}"
        else:
            name = plan.operators[instruction.op_index].name
        operations.append(
            Operation(
                name,
                tensors[outputs[0]].name if outputs else "",
                tuple(tensors[index] for index in inputs),
                tuple(tensors[index] for index in outputs),
                view=name in _VIEWS,
            )
        )
    given, results = (tuple(tensors[i] for i in indices if i in tensors) for indices in (plan.inputs, plan.outputs))
    return Graph(plan.name, LANGUAGE, given, results, with_constants(operations), notes=_NOTES)


def _flat(plan: Any, arguments: Sequence[int]) -> list[int]:
    """The tensors among the arguments of a call, those in lists, too; a result stands there as its first use."""
    found = []
    for index in arguments:
        value = plan.values[index].val
        if _is_tensor(value):
            found.append(index)
        elif type(value).__name__ in ("TensorList", "OptionalTensorList"):
            found += [item for item in value.items if item >= 0]
    return found


def _is_tensor(value: Any) -> bool:
    return type(value).__name__ == "Tensor"


def _tensor(index: int, value: Any) -> Tensor:
    constant = value.data_buffer_idx > 0 or value.allocation_info is None
    dtype = _DTYPES.get(value.scalar_type.name, value.scalar_type.name.lower())
    return Tensor(f"value {index}", tuple(value.sizes), dtype, constant)
