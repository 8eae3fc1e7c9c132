"""Core ML's GPU: forms of attention that it computes wrongly, or that end the process. No judge on Linux sees them."""

from collections.abc import Iterator

from lightsam_exporters.formats.listing import Operation, Tensor

from .rule import Severity, of_types, rule
from .wiring import Wiring

WRONG_FROM = 10
"""Leading dimension from which the fused attention was seen to be wrong; 9 was right."""


@rule(
    "coreml-gpu-attention",
    device="coreml-gpu",
    language="mil",
    severity=Severity.ERROR,
    wrong="matmul, add, softmax over the last axis, matmul, with a leading dimension of 10 or more, is fused when the "
    "package is loaded and computed wrongly by the GPU of macOS 26",
    remedy="take the heads apart with the softmax over another axis, or put a split and a concat between add and "
    "softmax; until then choose CPU_AND_NE or CPU_ONLY",
    source="https://github.com/apple/coremltools/issues/2650",
)
def fused_attention(wiring: Wiring) -> Iterator[Operation]:
    """The softmax of every such attention; a constant scale between the product and the sum changes nothing."""
    for softmax in wiring.of_type("softmax"):
        (scores,) = softmax.outputs
        lead = scores.shape[0] if scores.shape else None
        biased = wiring.maker(softmax.inputs[0])
        if (
            softmax.attributes.get("axis", -1) in (-1, scores.rank - 1)
            and scores.rank > 2
            and (lead is None or lead >= WRONG_FROM)
            and biased is not None
            and biased.type == "add"
            and any(_product(wiring, one) for one in biased.inputs)
            and any(user.type == "matmul" and user.inputs[0].name == scores.name for user in wiring.users(softmax))
        ):
            yield softmax


def _product(wiring: Wiring, tensor: Tensor) -> bool:
    """Whether a tensor is a matrix product, or one times a constant."""
    maker = wiring.maker(tensor)
    if maker is not None and maker.type in ("mul", "real_div") and any(one.constant for one in maker.inputs):
        return any(wiring.made_by(one, "matmul") for one in maker.inputs)
    return maker is not None and maker.type == "matmul"


@rule(
    "coreml-gpu-transposed-attention",
    device="coreml-gpu",
    language="mil",
    severity=Severity.ERROR,
    wrong="a product with transposed attention on its right (`v @ attn.transpose(-2, -1)`), deep in a graph, ends the "
    'process with "MLIR pass manager failed" on macOS 26',
    remedy="keep the attention on the left, `attn @ v`, and transpose the result",
    source="https://github.com/ultralytics/ultralytics/pull/25860",
)
def transposed_attention(wiring: Wiring) -> Iterator[Operation]:
    """Products whose right operand is a softmax, transposed by themselves or before."""
    for product in wiring.of_type("matmul"):
        right = product.inputs[1]
        if product.attributes.get("transpose_y") and wiring.made_by(right, "softmax"):
            yield product
        maker = wiring.maker(right)
        if maker is not None and maker.type == "transpose" and wiring.made_by(maker.inputs[0], "softmax"):
            yield product


rule(
    "coreml-fused-attention",
    device="coreml-gpu",
    language="mil",
    severity=Severity.ERROR,
    wrong="the fused attention of iOS 18 crashes on the CPU (float16, several queries, large heads), and two of them "
    "can drop a whole model from the Neural Engine without a word",
    remedy="write the attention as matmul, softmax, matmul, and set minimum_deployment_target below iOS18",
    source="https://github.com/kasper0406/stablehlo-coreml/pull/89",
)(of_types("scaled_dot_product_attention"))
