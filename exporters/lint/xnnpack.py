"""XNNPACK, the CPU kernels of LiteRT and ExecuTorch: what it leaves to the runtime's own, slower ones.

Of LiteRT the list was found with LiteRT 2.3, by a file of one operation for each (`tests/test_lint.py` asks the
installed LiteRT again): the one that it publishes is older than what it does. Of ExecuTorch nothing need be known: what
a delegate takes is fixed when the file is made.
"""

from collections.abc import Iterator

from lightsam_exporters.formats.executorch_listing import DELEGATE
from lightsam_exporters.formats.listing import Operation

from .rule import Severity, rule, words
from .wiring import Wiring, tensors

README = "https://github.com/google-ai-edge/LiteRT/blob/main/tflite/delegates/xnnpack/README.md"
TAKEN = words(
    """
    ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CEIL CONCATENATION CONV_2D COS DEPTHWISE_CONV_2D DEPTH_TO_SPACE
    DEQUANTIZE DIV ELU EXP FLOOR FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MUL NEG PAD PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE
    RESIZE_BILINEAR ROUND RSQRT SIN SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQRT SQUARE SQUARED_DIFFERENCE
    STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV
    """
)
"""Operators that it takes, with 32-bit floats or quantized."""
MOST_CONCATENATED, MOST_PARTS = 5, 4
_FLOATS = ("float32", "float16", "int8", "uint8", "")


@rule(
    "xnnpack-operator",
    device="xnnpack",
    language="tflite",
    severity=Severity.WARNING,
    wrong="XNNPACK does not take this operator: it runs by LiteRT's own kernel, and divides what XNNPACK runs as one",
    remedy="write it with operators that it takes: comparisons and selections as arithmetic, PACK as RESHAPE and "
    "CONCATENATION, EXPAND_DIMS and SQUEEZE as RESHAPE",
    source=README,
)
def operator(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        many = (one.type == "CONCATENATION" and len(one.inputs) > MOST_CONCATENATED) or (
            one.type == "SPLIT" and len(one.outputs) > MOST_PARTS
        )
        if one.type not in TAKEN or many:
            yield one


@rule(
    "xnnpack-dtype",
    device="xnnpack",
    language="tflite",
    severity=Severity.WARNING,
    wrong="XNNPACK computes with 32-bit floats and 8-bit integers, not with this dtype",
    remedy="cast to float32 as early as possible",
    source=README,
)
def dtype(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if one.type in TAKEN and any(tensor.dtype not in _FLOATS for tensor in tensors(one)):
            yield one


@rule(
    "xnnpack-weights",
    device="xnnpack",
    language="tflite",
    severity=Severity.WARNING,
    wrong="XNNPACK takes this layer only with constant weights",
    remedy="multiply by BATCH_MATMUL where both factors are computed",
    source=README,
)
def weights(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.of_type("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
        if len(one.inputs) > 1 and not one.inputs[1].constant:
            yield one


@rule(
    "xnnpack-outside",
    device="xnnpack",
    language="executorch",
    severity=Severity.WARNING,
    wrong="outside of the delegate: ExecuTorch's own kernel runs it, on one thread",
    remedy="see which module it comes from by the counts of the export, and write it with what XNNPACK takes",
    source="https://docs.pytorch.org/executorch/stable/backends/xnnpack/xnnpack-partitioner.html",
)
def outside(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if not one.type.startswith((DELEGATE, "executorch_prim::")):
            yield one
