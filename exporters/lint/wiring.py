"""How the operations of a graph are connected: what rules about several operations ask."""

from collections import defaultdict
from collections.abc import Iterator

from lightsam_exporters.formats.listing import Graph, Operation, Tensor


class Wiring:
    """A graph without what is computed once (constants from constants), its branches and loops opened."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.operations = [one for one in graph.walk() if not one.constant]
        self._makers = {output.name: one for one in self.operations for output in one.outputs}
        self._users: dict[str, list[Operation]] = defaultdict(list)
        for one in self.operations:
            for given in one.inputs:
                self._users[given.name].append(one)

    def of_type(self, *types: str) -> Iterator[Operation]:
        """Operations of these types, in order."""
        return (one for one in self.operations if one.type in types)

    def maker(self, tensor: Tensor) -> Operation | None:
        """What computes a tensor; None for an input or a constant."""
        return self._makers.get(tensor.name)

    def made_by(self, tensor: Tensor, *types: str) -> bool:
        """Whether an operation of one of these types computes a tensor."""
        maker = self.maker(tensor)
        return maker is not None and maker.type in types

    def users(self, operation: Operation) -> list[Operation]:
        """What takes a result of an operation."""
        return [user for output in operation.outputs for user in self._users[output.name]]


def tensors(operation: Operation) -> list[Tensor]:
    """What an operation takes and gives, but for constants."""
    return [one for one in (*operation.inputs, *operation.outputs) if not one.constant]
