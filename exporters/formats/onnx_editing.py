"""Rewriting the graph of an ONNX file node by node; what is not rewritten stays as it was."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lightsam.errors import ContractError

from .base import first_line

CONTRIB = "com.microsoft"
"""Domain of the operators that ONNX Runtime has beyond ONNX."""
SCALE, ZERO = "/scale", "/zero"
"""How the names of the constants end that integers are to be read with."""


class Editor:
    """A file in memory, and the nodes that take the place of its own.

    Attributes:
        nodes: the new graph, which grows in the order in which it runs.
        shapes: of every float tensor that is computed; an open axis is None.
        weights: constants by name.
        producers: the node that computes a tensor.
        consumers: the nodes that take a tensor.
    """

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            ContractError: if it is damaged or no ONNX file.
        """
        import onnx

        try:
            self.model: Any = onnx.load(path)
            bare = onnx.load(path, load_external_data=False)
            known = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
        # Reading raises DecodeError, OSError or what the inference makes of a graph that contradicts itself.
        except Exception as error:
            raise ContractError(f"{path} cannot be read as ONNX: {first_line(error)}") from error
        graph = self.model.graph
        self.inputs = [one.name for one in graph.input]
        self.outputs = [one.name for one in graph.output]
        self.weights: dict[str, Any] = {one.name: one for one in graph.initializer}
        self.nodes: list[Any] = []
        self.made: set[str] = set()
        self.producers: dict[str, Any] = {name: node for node in graph.node for name in node.output}
        self.consumers: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.consumers[name].append(node)
        self.shapes: dict[str, tuple[int | None, ...]] = {
            value.name: tuple(
                side.dim_value if side.WhichOneof("value") == "dim_value" else None
                for side in value.type.tensor_type.shape.dim
            )
            for value in (*known.input, *known.value_info, *known.output)
            if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and value.name not in self.weights
        }

    def originals(self) -> list[Any]:
        """The file's own nodes, in the order in which they run."""
        return list(self.model.graph.node)

    def array(self, name: str) -> np.ndarray:
        """The values of a constant."""
        import onnx

        values: np.ndarray = onnx.numpy_helper.to_array(self.weights[name])
        return values

    def constant(self, name: str, values: Any) -> str:
        """A constant of the new graph; gives its name."""
        import onnx

        if name not in self.weights:
            self.weights[name] = onnx.numpy_helper.from_array(np.asarray(values), name)
        return name

    def add(
        self, like: Any, kind: str, inputs: Sequence[str], *outputs: str, domain: str = "", **attributes: Any
    ) -> str:
        """Append a node that belongs to the module of ``like``; gives the name of its first output."""
        import onnx

        name = outputs[0] if outputs[0] not in self.producers else like.name
        node = onnx.helper.make_node(kind, inputs, outputs, name, domain=domain, **attributes)
        node.metadata_props.extend(like.metadata_props)
        self.nodes.append(node)
        return outputs[0]

    def matrix(self, node: Any) -> np.ndarray | None:
        """The weight of a MatMul or a Gemm, (inputs, outputs); None of any other node, or where both are computed."""
        if node.op_type not in ("MatMul", "Gemm") or node.input[0] not in self.shapes:
            return None
        if node.input[1] not in self.weights or len(self.weights[node.input[1]].dims) != 2:
            return None
        with_defaults = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0, **self.attributes(node)}
        if (with_defaults["alpha"], with_defaults["beta"], with_defaults["transA"]) != (1.0, 1.0, 0):
            return None
        weight = self.array(node.input[1])
        return weight.T if with_defaults["transB"] else weight

    def attributes(self, node: Any) -> dict[str, Any]:
        """The attributes of a node, by name."""
        import onnx

        return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}

    def save(self, path: Path) -> None:
        """Write the new graph, with the constants that it uses and everything else that the file says."""
        import onnx

        graph = self.model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        graph.initializer.extend(one for name, one in self.weights.items() if name in used)
        domains = {one.domain for one in self.model.opset_import}
        if any(node.domain == CONTRIB for node in self.nodes) and CONTRIB not in domains:
            self.model.opset_import.append(onnx.helper.make_opsetid(CONTRIB, 1))
        onnx.checker.check_model(self.model)
        path.write_bytes(self.model.SerializeToString(deterministic=True))
