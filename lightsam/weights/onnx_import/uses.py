"""What an ONNX graph does with its constants: its layers, norms and tables, in order of execution."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .graph import Graph, Node, attributes
from .ort_format import FUSED

_LABEL_DEPTH = 8
"""Operations to look through for the comparison that a prompt's embedding is multiplied with."""


@dataclass(frozen=True)
class Normalization:
    """A BatchNorm that was left standing."""

    weight: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float


@dataclass
class Use:
    """One operation, or the few that an exporter made of one, and its constants as PyTorch would hold them."""

    kind: str
    """"conv", "deconv", "linear", "norm" (scale and shift), "batchnorm", "label" (embedding of a kind of prompt point)
    or "table" (anything else)."""
    weight: np.ndarray
    """A convolution's as (out, in / groups, height, width), transposed (in, out / groups, height, width); a linear
    layer's (out, in); a norm's (channels,)."""
    output: str
    """Name of the tensor that it computes."""
    bias: np.ndarray | None = None
    batchnorm: Normalization | None = None
    label: int | None = None
    constants: tuple[str, ...] = ()
    """Names of the tensors that it takes."""
    op_type: str = ""
    activation: str = ""
    """What ONNX Runtime joined to it, such as "Relu"; `output` is behind that."""

    @property
    def title(self) -> str:
        """In words, for a message."""
        return f"{self.op_type} {self.output} {tuple(self.weight.shape)}"


@dataclass
class _Reader:
    graph: Graph
    taken: set[str] = field(default_factory=set)
    """Outputs of operations that belong to a use already, such as the addition of a linear layer's bias."""

    def read(self) -> Iterator[Use]:
        readers = {
            "Conv": self._convolution,
            "ConvTranspose": self._convolution,
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "LayerNormalization": self._norm,
            "BatchNormalization": self._batchnorm,
            "Mul": self._product,
        }
        for node in self.graph.nodes:
            if node.output[0] not in self.taken:
                reader = readers.get(FUSED.get(node.op_type, node.op_type))
                found = None if reader is None else reader(node)
                yield from [found] if found is not None else self._tables(node, node.input)
                if found is not None and node.op_type == "FusedConv":  # what is added to the result
                    yield from self._tables(node, node.input[3:])

    def _use(self, kind: str, weight: np.ndarray, node: Node, **more: object) -> Use:
        names = tuple(name for name in node.input[1:3] if name in self.graph.constants)
        more.setdefault("output", node.output[0])
        more.setdefault("activation", attributes(node).get("activation", b"").decode())
        return Use(kind, weight, constants=names, op_type=node.op_type, **more)  # type: ignore[arg-type]

    def _convolution(self, node: Node) -> Use | None:
        weight = self.graph.constant(node, 1)
        if weight is None:
            return None
        kind = "deconv" if node.op_type == "ConvTranspose" else "conv"
        use = self._use(kind, weight, node, bias=self.graph.constant(node, 2))
        for norm in self.graph.next(node.output[0], "BatchNormalization"):
            use.batchnorm, use.output = self._normalization(norm), norm.output[0]
            use.constants += tuple(norm.input[1:])
            self.taken.add(norm.output[0])
        return use

    def _normalization(self, node: Node) -> Normalization:
        weight, bias, mean, variance = (self.graph.constants[name] for name in node.input[1:5])
        return Normalization(weight, bias, mean, variance, float(attributes(node).get("epsilon", 1e-5)))

    def _batchnorm(self, node: Node) -> Use:
        norm = self._normalization(node)
        return self._use("batchnorm", norm.weight, node, bias=norm.bias, batchnorm=norm)

    def _gemm(self, node: Node) -> Use | None:
        weight, found = self.graph.constant(node, 1), attributes(node)
        if weight is None:
            return None
        weight = np.float32(found.get("alpha", 1.0)) * (weight if found.get("transB", 0) else weight.T)
        bias = self.graph.constant(node, 2)
        return self._use(
            "linear", weight, node, bias=None if bias is None else np.float32(found.get("beta", 1.0)) * bias
        )

    def _matmul(self, node: Node) -> Use | None:
        weight = self.graph.constant(node, 1)
        if weight is None or weight.ndim != 2:
            return None
        use = self._use("linear", weight.T, node)
        for sum_ in self.graph.next(node.output[0], "Add"):
            for name in sum_.input:
                bias = self.graph.constants.get(name)
                if bias is not None and bias.size == weight.shape[1] and use.bias is None:
                    use.bias, use.output = bias.reshape(-1), sum_.output[0]
                    use.constants += (name,)
                    self.taken.add(sum_.output[0])
        return use

    def _norm(self, node: Node) -> Use | None:
        weight, bias = self.graph.constant(node, 1), self.graph.constant(node, 2)
        return None if weight is None else self._use("norm", weight, node, bias=bias)

    def _product(self, node: Node) -> Use | None:
        """The last two operations of a norm that was taken apart; or an embedding, times whether it is wanted."""
        for name, other in (tuple(node.input), tuple(node.input)[::-1]):
            scale = self.graph.constants.get(name)
            if scale is None or scale.size == 1 or scale.dtype.kind != "f":
                continue
            label = self._label(other)
            if label is not None:
                use = self._use("label", scale.reshape(1, -1), node, label=label)
                use.constants = (name,)
                return use
            for sum_ in self.graph.next(node.output[0], "Add"):
                for shift_name in sum_.input:
                    shift = self.graph.constants.get(shift_name)
                    if shift is not None and shift.size == scale.size == max(scale.shape):
                        self.taken.add(sum_.output[0])
                        use = self._use("norm", scale.reshape(-1), node, output=sum_.output[0])
                        use.bias = shift.reshape(-1)
                        use.constants = (name, shift_name)
                        return use
        return None

    def _label(self, name: str) -> int | None:
        """The constant that a tensor says the equality with; None if it says nothing of the kind."""
        for _ in range(_LABEL_DEPTH):
            node = self.graph.producers.get(name)
            if node is None or node.op_type not in ("Equal", "Cast", "Unsqueeze", "Expand", "Tile", "Reshape"):
                return None
            if node.op_type == "Equal":
                values = [self.graph.constants[n] for n in node.input if n in self.graph.constants]
                return int(values[0].reshape(-1)[0]) if values and values[0].size == 1 else None
            name = node.input[0]
        return None

    def _tables(self, node: Node, names: Sequence[str]) -> Iterator[Use]:
        for name in dict.fromkeys(names):
            value = self.graph.constants.get(name)
            if value is not None and value.dtype.kind == "f" and value.size > 1:
                yield Use("table", value, node.output[0], constants=(name,), op_type=node.op_type)


def read_uses(graph: Graph) -> list[Use]:
    """Every use of a constant with more than one number, in order of execution."""
    return list(_Reader(graph).read())
