"""The peak of activation memory: what is alive at once while a graph runs in the order of its file.

Counted are inputs (for the whole run, as a caller holds them), results from where they are computed to their last use,
and outputs to the end. Weights and what is computed from them alone are not. A view shares the memory of what it views.
No operation is taken to compute in place, no runtime's own buffers are known, and axes are not padded: a runtime may
need less or more, but of two graphs the one with the lower peak needs less of it.
"""

from dataclasses import dataclass, replace

from lightsam_exporters.formats.listing import Graph, Operation, Tensor


@dataclass(frozen=True)
class Peak:
    """Where a graph holds the most."""

    bytes: int
    """Alive at once."""
    graph: str
    """Name of the function of the file."""
    operation: str
    """Type of the one during which that is so; empty where a graph has no operations."""
    name: str
    """Of that operation."""
    module: str
    """PyTorch module of that operation, as far as the file tells."""
    shapes: list[str]
    """What it takes and gives, weights aside: shape and dtype of each, inputs first."""

    @classmethod
    def at(cls, graph: Graph, operation: Operation, size: int) -> "Peak":
        """Reached during an operation of a graph."""
        touched = [one for one in (*operation.inputs, *operation.outputs) if not one.constant]
        return cls(size, graph.name, operation.type, operation.name, operation.module, [str(one) for one in touched])


def peak(graph: Graph) -> Peak:
    """The most that is alive during one of a graph's operations, branches and loops included."""
    owners = _owners(graph)
    sizes = {one.name: one.bytes for one in _all(graph) if not one.constant and owners.get(one.name) == one.name}
    last = _last_uses(graph, owners)
    given = {owners[one.name] for one in graph.inputs}
    alive = sum(sizes.get(name, 0) for name in given)
    found = Peak(alive, graph.name, "", "", "", [])
    held = set(given)
    for index, operation in enumerate(graph.operations):
        for output in operation.outputs:
            owner = owners[output.name]
            if not output.constant and owner not in held:
                held.add(owner)
                alive += sizes.get(owner, 0)
        inside = max((peak(body) for body in operation.bodies), key=lambda one: one.bytes, default=None)
        here = Peak.at(graph, operation, alive)
        if inside is not None:
            here = replace(inside, bytes=alive + inside.bytes, graph=graph.name)
        if here.bytes > found.bytes or not found.operation:
            found = here
        for name in [name for name in held - given if last.get(name, -1) <= index]:
            held.discard(name)
            alive -= sizes.get(name, 0)
    return found


def _all(graph: Graph) -> list[Tensor]:
    return [*graph.inputs, *(output for operation in graph.operations for output in operation.outputs)]


def _owners(graph: Graph) -> dict[str, str]:
    """By the name of a tensor, the one whose memory it lies in: itself, or what it views in the end."""
    owners = {one.name: one.name for one in graph.inputs}
    for operation in graph.operations:
        for index, output in enumerate(operation.outputs):
            viewed = operation.inputs[0] if operation.view and operation.inputs and index == 0 else output
            owners[output.name] = output.name if viewed.constant else owners.get(viewed.name, output.name)
    return owners


def _last_uses(graph: Graph, owners: dict[str, str]) -> dict[str, int]:
    """By the owner of memory, the index of the last operation that needs it; outputs are needed to the end."""
    last: dict[str, int] = {}
    for index, operation in enumerate(graph.operations):
        inside = [one for body in operation.bodies for step in body.walk() for one in step.inputs]
        inside += [one for body in operation.bodies for one in body.outputs]
        for one in (*operation.inputs, *inside, *operation.outputs):
            if one.name in owners:
                last[owners[one.name]] = index
    last.update({owners[one.name]: len(graph.operations) for one in graph.outputs if one.name in owners})
    return last
