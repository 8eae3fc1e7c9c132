"""Running an ML Program on torch, one operation after the other."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from lightsam.errors import ContractError, LightSamError
from lightsam.stages import Arrays

from . import elementwise, layers, tensors  # noqa: F401 - they fill OPERATIONS
from .packed import CONSTANT_OPERATIONS, unpacked
from .program import SavedProgram, read_program
from .registry import OPERATIONS, UnsupportedConfigurationError

Numerics = Literal["float32", "declared"]
NUMERICS: tuple[Numerics, ...] = get_args(Numerics)
"""``float32``: every float is a float32, whatever the program declares; shows what is in the file. ``declared``: every
result is computed in float32 and rounded once to the dtype that the program declares for it; shows what float16
hardware sees, overflow included."""

Observer = Callable[[str, str, Tensor], None]
"""Takes the type of an operation, the name of its result and the result."""


class EvaluatorError(LightSamError, RuntimeError):
    """An operation that could not be computed."""


class UnknownOpError(EvaluatorError):
    """A program with operations that the evaluator does not know."""


class Evaluator:
    """A saved program that can be run.

    Weights are read once; intermediate results are dropped after their last use.
    """

    def __init__(self, source: Path | SavedProgram, numerics: Numerics = "declared") -> None:
        """Read a package, or take one that was read.

        Raises:
            ContractError: if the package is missing or damaged.
            UnknownOpError: naming every operation that is not known.
        """
        self.program = source if isinstance(source, SavedProgram) else read_program(source)
        self.numerics = numerics
        function = self.program.function
        self._operations = [op for op in function.operations if op.op_type != "const"]
        unknown = sorted({op.op_type for op in self._operations if _is_unknown(op)})
        if unknown:
            raise UnknownOpError(
                f"the evaluator does not know the operations {', '.join(unknown)}; it knows {', '.join(OPERATIONS)}"
            )
        self._operations = [op for op in self._operations if op.op_type not in CONSTANT_OPERATIONS]
        # What is stored packed is unpacked once; what it is unpacked from is not looked at by itself.
        used = [var for op in self._operations for var in op.get_flattened_inputs()] + list(function.outputs)
        fixed = {var.name: var for var in used if _is_constant(var)}
        self._constants = {name: _constant(var) for name, var in fixed.items()}
        self._outputs = [output.name for output in function.outputs]
        self._uses = Counter(var.name for op in self._operations for var in op.get_flattened_inputs())
        self._uses.update(self._outputs)

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, np.ndarray], observe: Observer | None = None) -> Arrays:
        """Run the program.

        Args:
            inputs: by name; floats are rounded to the dtype that the interface declares.
            observe: shown every result as soon as it is there.

        Returns:
            The outputs by name, floats as float32.

        Raises:
            ContractError: if the inputs are not those that the program declares.
            EvaluatorError: naming the operation that failed.
        """
        return self._finish(self._checked(inputs), 0, observe)

    @torch.inference_mode()
    def variants(
        self, inputs: Mapping[str, np.ndarray], changes: Mapping[str, Mapping[str, np.ndarray]]
    ) -> Iterator[tuple[str, Arrays]]:
        """Run the program with one set of other weights after another, without repeating what comes before them.

        Args:
            inputs: as for a call.
            changes: by a name of the set: weights by the names of their constants.

        Returns:
            The names and the outputs, in the order of the program.

        Raises:
            ContractError, EvaluatorError: as a call does.
        """
        begins: dict[int, list[str]] = {}
        for name, changed in changes.items():
            users = (
                index
                for index, op in enumerate(self._operations)
                if any(var.name in changed for var in op.get_flattened_inputs())
            )
            begins.setdefault(next(users, 0), []).append(name)
        values = self._checked(inputs)
        left = Counter(self._uses)
        for index, op in enumerate(self._operations):
            for name in begins.get(index, ()):
                yield name, self.with_weights(changes[name])._finish(dict(values), index)
            self._step(op, values, left)

    def _finish(self, values: dict[str, Any], first: int, observe: Observer | None = None) -> Arrays:
        """Compute what is left from an operation on, and give the outputs."""
        left = Counter(self._uses)
        for op in self._operations[:first]:
            left.subtract(var.name for var in op.get_flattened_inputs())
        for op in self._operations[first:]:
            self._step(op, values, left, observe)
        return {name: values[name].numpy() for name in self._outputs}

    def _step(self, op: Any, values: dict[str, Any], left: Counter[str], observe: Observer | None = None) -> None:
        """Compute one operation, and drop what nothing uses any more."""
        arguments = {name: self._argument(values, var) for name, var in op.inputs.items() if var is not None}
        try:
            results = OPERATIONS[op.op_type](**arguments)
        except UnsupportedConfigurationError as error:
            raise EvaluatorError(f"{op.op_type} {op.name!r} with {error} is not supported") from error
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise EvaluatorError(f"{op.op_type} {op.name!r} failed: {error}") from error
        results = results if isinstance(results, tuple) else (results,)
        for var, result in zip(op.outputs, results, strict=True):
            if tuple(result.shape) != tuple(var.shape):
                raise EvaluatorError(
                    f"{op.op_type} {op.name!r} gave {tuple(result.shape)}, declared is {tuple(var.shape)}"
                )
            values[var.name] = self._rounded(result, var)
            if observe is not None:
                observe(op.op_type, var.name, values[var.name])
        for var in op.get_flattened_inputs():
            left[var.name] -= 1
            if not left[var.name]:
                values.pop(var.name, None)

    def with_weights(self, changed: Mapping[str, np.ndarray]) -> "Evaluator":
        """The same program with other weights, by the names of its constants; the rest is shared.

        Raises:
            KeyError: for a constant that it does not have.
        """
        other = copy(self)
        other._constants = dict(self._constants)
        for name, weight in changed.items():
            shape = self._constants[name].shape
            other._constants[name] = torch.from_numpy(np.asarray(weight, np.float32)).reshape(shape)
        return other

    def _checked(self, inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        declared = self.program.function.inputs
        if set(declared) != set(inputs):
            raise ContractError(f"the program takes {sorted(declared)}; it was given {sorted(inputs)}")
        values: dict[str, Any] = {}
        for name, var in declared.items():
            array = np.ascontiguousarray(inputs[name])
            if array.shape != tuple(var.shape):
                raise ContractError(f"{name} is declared {tuple(var.shape)}; it was given {array.shape}")
            tensor = torch.from_numpy(array.astype(np.float32))
            values[name] = _round_to(tensor, var)
        return values

    def _argument(self, values: Mapping[str, Any], var: Any) -> Any:
        if isinstance(var, list | tuple):
            return [self._argument(values, element) for element in var]
        return self._constants[var.name] if var.name in self._constants else values[var.name]

    def _rounded(self, result: Tensor, var: Any) -> Tensor:
        if not result.is_floating_point():
            return result
        return _round_to(result, var) if self.numerics == "declared" else result.float()


def _is_unknown(op: Any) -> bool:
    return op.op_type not in OPERATIONS and op.op_type not in CONSTANT_OPERATIONS


def _is_constant(var: Any) -> bool:
    return var.op is not None and (var.op.op_type == "const" or var.op.op_type in CONSTANT_OPERATIONS)


def _round_to(tensor: Tensor, var: Any) -> Tensor:
    """Round once to the dtype that ``var`` declares, and go on in float32."""
    return tensor.half().float() if dtype_name(var) == "fp16" else tensor.float()


def dtype_name(var: Any) -> str:
    """Short name, as coremltools writes it, of a variable's dtype: fp16, fp32, int32, bool, str."""
    from coremltools.converters.mil.mil import types

    return str(types.builtin_to_string(var.dtype))


def _constant(var: Any) -> Any:
    """A weight as a float32 tensor; what configures an operation as Python values."""
    if isinstance(var.val, str):
        return var.val
    array = unpacked(var)
    if array.dtype.kind == "f":
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return array.tolist()
