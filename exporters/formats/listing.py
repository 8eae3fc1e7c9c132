"""What a saved file computes, in one form for all formats: its operations in the order in which they run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

BYTES = {
    "float64": 8,
    "int64": 8,
    "uint64": 8,
    "float32": 4,
    "int32": 4,
    "uint32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int16": 2,
    "uint16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Of one element, by dtype; what is not here counts as 4."""


@dataclass(frozen=True)
class Tensor:
    """A value that passes between operations, or a weight."""

    name: str
    shape: tuple[int | None, ...] | None
    """None for an axis whose size the file leaves open; None alone where even the rank is unknown."""
    dtype: str
    """As in numpy; empty where the file does not tell."""
    constant: bool = False
    """Whether it is the same in every call: a weight, or computed from weights alone."""

    @property
    def rank(self) -> int:
        """Number of axes; 0 where it is unknown."""
        return len(self.shape or ())

    @property
    def static(self) -> bool:
        """Whether every axis has a fixed size."""
        return self.shape is not None and None not in self.shape

    @property
    def size(self) -> int:
        """Number of elements; 0 where it is unknown."""
        return prod(side or 0 for side in self.shape) if self.shape is not None else 0

    @property
    def bytes(self) -> int:
        """Without any padding that a device may add; 0 where it is unknown."""
        return self.size * BYTES.get(self.dtype, 4)

    def __str__(self) -> str:
        shape = "?" if self.shape is None else ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"({shape}) {self.dtype}".strip()


@dataclass(frozen=True)
class Operation:
    """One step of a graph."""

    type: str
    """As the format calls it; of an operator that is not the format's own with its domain, ``domain:Type``."""
    name: str
    """Of the operation or of its first result."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    module: str = ""
    """Path of the PyTorch module that it comes from, as far as the file tells."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that are no tensors of the computation, by name."""
    view: bool = False
    """Whether its result is its first input under another shape, so that no memory is needed for it."""
    bodies: tuple["Graph", ...] = ()
    """What it runs inside: of a branch or a loop."""

    @property
    def constant(self) -> bool:
        """Whether it computes from constants alone."""
        return all(one.constant for one in self.outputs)


@dataclass(frozen=True)
class Graph:
    """A function of a file."""

    name: str
    language: str
    """Whose operations these are: "mil", "onnx", "tflite", "executorch" or another format's own."""
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    operations: tuple[Operation, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else holds for all of it, such as ``opset``."""
    notes: tuple[str, ...] = ()
    """What the file does not tell, and what was assumed instead, a sentence each."""

    def walk(self) -> Iterator[Operation]:
        """Every operation, those inside branches and loops behind the one that they belong to."""
        for operation in self.operations:
            yield operation
            for body in operation.bodies:
                yield from body.walk()


def with_constants(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """The same operations, where what is computed from constants alone is constant, too.

    Runtimes compute such values once: they are weights in another form, such as those of float16 made float32.
    """
    known: set[str] = set()
    found = []
    for operation in operations:
        inputs = tuple(replace(one, constant=one.constant or one.name in known) for one in operation.inputs)
        folded = bool(inputs) and all(one.constant for one in inputs) and not operation.bodies
        outputs = tuple(replace(one, constant=one.constant or folded) for one in operation.outputs)
        known |= {one.name for one in outputs if one.constant}
        found.append(replace(operation, inputs=inputs, outputs=outputs))
    return tuple(found)
