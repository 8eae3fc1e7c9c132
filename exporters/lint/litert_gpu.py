"""LiteRT's GPU delegate (ML Drift): what it does not take, and what it was seen to compute wrongly."""

from collections.abc import Iterator

from lightsam_exporters.formats.listing import Operation

from .rule import Severity, of_types, rule
from .wiring import Wiring, tensors

SKILL = "https://github.com/google-ai-edge/litert-samples/blob/main/skills/gpu-clean-conversion/SKILL.md"
LARGEST_RANK = 4


@rule(
    "litert-gpu-rank",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="tensors of more than 4 axes are not taken",
    remedy="write windows, heads and pixel shuffles with at most 4 axes",
    source="https://github.com/google-ai-edge/LiteRT/issues/2540",
)
def rank(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.operations if any(t.rank > LARGEST_RANK for t in tensors(one)))


rule(
    "litert-gpu-gather-nd",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="GATHER_ND is not taken: indexing by lists, slices with a step and bicubic resizing become one",
    remedy="take every second element by a pixel unshuffle, and resize by a convolution",
    source=SKILL,
)(of_types("GATHER_ND"))

rule(
    "litert-gpu-broadcast-to",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="BROADCAST_TO of values that are computed is not taken, and one alone keeps a whole model from the GPU",
    remedy="let an arithmetic operation broadcast, instead of `expand`",
    source="https://github.com/google-ai-edge/LiteRT/issues/9191",
)(of_types("BROADCAST_TO"))

rule(
    "litert-gpu-split",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="SPLIT is not taken: `chunk` and `split` become one",
    remedy="take the parts by slices, or compute them apart",
    source=SKILL,
)(of_types("SPLIT", "SPLIT_V", "UNPACK"))

rule(
    "litert-gpu-select",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="SELECT is not taken: `torch.where` and assignments by index become one",
    remedy="write x * (1 - m) + v * m",
    source=SKILL,
)(of_types("SELECT", "SELECT_V2"))

rule(
    "litert-gpu-transpose-conv",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="TRANSPOSE_CONV of the version that converters write now is rejected by older delegates",
    remedy="put zeros between the pixels and convolve, or require a runtime of the converter's age",
    source=SKILL,
)(of_types("TRANSPOSE_CONV"))

rule(
    "litert-gpu-relu-0-to-1",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="RELU_0_TO_1 is not taken: `clamp(0, 1)` becomes one",
    remedy="clamp by MINIMUM and MAXIMUM",
    source=SKILL,
)(of_types("RELU_0_TO_1"))


@rule(
    "litert-gpu-int64",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="values of 64-bit integers are not taken",
    remedy="compute with floats or int32",
    source=SKILL,
)
def int64(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.operations if any(tensor.dtype == "int64" for tensor in tensors(one)))


@rule(
    "litert-gpu-batch",
    device="litert-gpu",
    language="tflite",
    severity=Severity.NOTE,
    wrong='a batch other than 1 is refused by the delegate before ML Drift ("batch size mismatch, expected 1")',
    remedy="put windows and heads on another axis, or require LiteRT's CompiledModel",
    source="https://github.com/tensorflow/tensorflow/issues/60817",
)
def batch(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if any(tensor.rank == LARGEST_RANK and (tensor.shape or (1,))[0] != 1 for tensor in one.outputs):
            yield one


@rule(
    "litert-gpu-dynamic",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="axes without a fixed size are not taken",
    remedy="convert with fixed shapes",
    source="https://github.com/lshug/first-order-model-tf/issues/11",
)
def dynamic(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.operations if not all(tensor.static for tensor in tensors(one)))


@rule(
    "litert-gpu-mixed-rank",
    device="litert-gpu",
    language="tflite",
    severity=Severity.ERROR,
    wrong="the sum or product of two computed tensors with different numbers of axes is aligned wrongly",
    remedy="reshape the smaller one to the rank of the larger one first",
    source="https://github.com/google-ai-edge/LiteRT/issues/8980",
)
def mixed_rank(wiring: Wiring) -> Iterator[Operation]:
    """Where the first of fewer axes is taken for the batch, and is not 1."""
    for one in wiring.of_type("ADD", "MUL"):
        smaller, larger = sorted((*one.inputs, *one.inputs)[:2], key=lambda tensor: tensor.rank)
        computed = not smaller.constant and not larger.constant
        if computed and 1 < smaller.rank < larger.rank and (smaller.shape or (1,))[0] != 1:
            yield one


@rule(
    "litert-gpu-rank-3-attention",
    device="litert-gpu",
    language="tflite",
    severity=Severity.ERROR,
    wrong="attention with the heads as the batch of 3 axes is computed wrongly inside of larger graphs: SAM 2.1's "
    "decoder gave masks at a correlation of 0.27",
    remedy="keep 4 axes: (1, heads, tokens, channels)",
    source="https://github.com/google-ai-edge/LiteRT/issues/8619",
)
def rank_3_attention(wiring: Wiring) -> Iterator[Operation]:
    """The softmax of attention whose two products have 3 axes."""
    for softmax in wiring.of_type("SOFTMAX"):
        if softmax.outputs[0].rank != 3:
            continue
        maker = wiring.maker(softmax.inputs[0])
        while maker is not None and maker.type in ("ADD", "MUL"):
            maker = next(filter(None, map(wiring.maker, maker.inputs)), None)
        if (
            maker is not None
            and maker.type == "BATCH_MATMUL"
            and any(user.type == "BATCH_MATMUL" for user in wiring.users(softmax))
        ):
            yield softmax


@rule(
    "litert-gpu-masked-attention",
    device="litert-gpu",
    language="tflite",
    severity=Severity.WARNING,
    wrong="a sum that broadcasts over the result of a matrix product is computed wrongly before LiteRT 2.1.6",
    remedy="require LiteRT 2.1.6, or enlarge the bias to the full shape",
    source="https://github.com/google-ai-edge/LiteRT/issues/8593",
)
def masked_attention(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.of_type("ADD"):
        first, second = (*one.inputs, *one.inputs)[:2]
        for product, other in ((first, second), (second, first)):
            if wiring.made_by(product, "BATCH_MATMUL") and 1 < other.size < product.size:
                yield one
