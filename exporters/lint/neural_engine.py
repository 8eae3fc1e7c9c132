"""Apple's Neural Engine: what it does not take. Mostly from Apple's own rules for authors of models."""

from collections.abc import Iterator

from lightsam_exporters.formats.listing import Operation, Tensor

from .rule import Severity, of_types, rule
from .wiring import Wiring, tensors

APPLE = "https://github.com/apple/coreai-models/blob/main/skills/model-authoring/references/neural_engine_rules.md"
LARGEST_RANK = 5
LARGEST_AXIS = 16_384
"""Through A15 and M2; 65,536 from A16 on."""
LARGEST_KERNEL = 13
"""Of a convolution in float16; 15 from A16 on."""
LARGEST_STRIDE = 16
"""Of a transposed convolution, from which on it was seen to fail."""
PADDED_BYTES = 64
"""What the last axis is padded to a multiple of."""
ON_CHIP = 2 * 2**20
"""Bytes of the smallest working set on a chip, that of M1."""
_INTEGERS = ("bool", "int32", "int16", "int8", "uint8", "uint16")


@rule(
    "ane-rank",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="tensors of more than 5 axes do not run on the Neural Engine, and coremltools 9 refuses to write them",
    remedy="split the reshape and the transpose into steps of at most 4 axes, as for windows with channels innermost",
    source="https://github.com/microsoft/onnxruntime/issues/14212",
)
def rank(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.operations if any(t.rank > LARGEST_RANK for t in tensors(one)))


@rule(
    "ane-window-copies",
    device="neural-engine",
    language="mil",
    severity=Severity.NOTE,
    wrong="reshape, transpose of the two middle axes, reshape: windows cut out by copies of a whole map, as which "
    "coremltools writes a reshape to 6 axes",
    remedy="cut the windows once and keep maps in one layout, (1, C, H, W), through a stage",
    source=APPLE,
)
def window_copies(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.of_type("transpose"):
        swapped = one.attributes.get("perm") == (0, 2, 1, 3)
        if (
            swapped
            and wiring.made_by(one.inputs[0], "reshape")
            and any(user.type == "reshape" for user in wiring.users(one))
        ):
            yield one


@rule(
    "ane-output-shape",
    device="neural-engine",
    language="mil",
    severity=Severity.ERROR,
    wrong="a transposed convolution with output_shape, which coremltools always adds: plans for the Neural Engine fail "
    '("could not infer a new output shape"), and units were seen to give different results',
    remedy="write it as a 1x1 convolution and a pixel shuffle",
    source="https://github.com/apple/coremltools/issues/2281",
)
def output_shape(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.of_type("conv_transpose") if "output_shape" in one.attributes)


@rule(
    "ane-transposed-stride",
    device="neural-engine",
    language="mil",
    severity=Severity.ERROR,
    wrong="a transposed convolution of stride 16 or more fails when the model is loaded",
    remedy="enlarge in several steps of stride 2 or 4",
    source="https://github.com/apple/coremltools/issues/2450",
)
def transposed_stride(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.of_type("conv_transpose"):
        if max(one.attributes.get("strides") or (1,)) >= LARGEST_STRIDE:
            yield one


@rule(
    "ane-float32",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="operations in float32 run on CPU or GPU: the Neural Engine computes in float16",
    remedy="export in float16; what must stay in float32 should be small and stand at one end of the graph",
    source=APPLE,
)
def float32(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if one.type != "cast" and any(output.dtype == "float32" for output in one.outputs):
            yield one


@rule(
    "ane-integers",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="operations on integers and truth values run on the CPU",
    remedy="compute masks as float16 arithmetic: x * (1 - m) + v * m",
    source=APPLE,
)
def integers(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if one.type != "cast" and any(output.dtype in _INTEGERS for output in one.outputs):
            yield one


@rule(
    "ane-dynamic",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="axes without a fixed size keep a model from the Neural Engine",
    remedy="convert with fixed shapes, one function or one file for each size",
    source="https://github.com/apple/coremltools/issues/1764",
)
def dynamic(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.operations if not all(tensor.static for tensor in tensors(one)))


rule(
    "ane-gather",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="gather by indices is not done on the Neural Engine; silent zeros were reported where they are computed",
    remedy="fold tables of constant indices into the weights, or multiply by a one-hot matrix",
    source=APPLE,
)(of_types("gather", "gather_nd", "gather_along_axis"))

rule(
    "ane-resize",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="resizing and cropping by sampling is absent from the Neural Engine of M1 and A14",
    remedy="enlarge by whole factors with a convolution and a pixel shuffle",
    source=APPLE,
)(
    of_types(
        "upsample_bilinear",
        "upsample_nearest_neighbor",
        "resize",
        "resize_bilinear",
        "resize_nearest_neighbor",
        "crop_resize",
        "resample",
    )
)

rule(
    "ane-control-flow",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="loops, branches, recurrent and custom layers do not run on the Neural Engine",
    remedy="unroll them when the model is traced",
    source=APPLE,
)(of_types("while_loop", "cond", "rnn", "lstm", "gru", "custom_layer"))


@rule(
    "ane-kernel",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="the kernel of a convolution is wider than 13, the most that the Neural Engine takes before A16",
    remedy="split it into smaller ones, or take a patch embedding apart by a pixel unshuffle and a 1x1 convolution",
    source=APPLE,
)
def kernel(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.of_type("conv", "conv_transpose"):
        weight = _weight(one)
        if weight is not None and max((side or 0 for side in (weight.shape or ())[2:]), default=0) > LARGEST_KERNEL:
            yield one


@rule(
    "ane-stride",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="the stride of a convolution has another factor than 2 and 3",
    remedy="take the step apart by a pixel unshuffle",
    source=APPLE,
)
def stride(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.of_type("conv"):
        if any(not _of_twos_and_threes(side) for side in one.attributes.get("strides") or ()):
            yield one


@rule(
    "ane-axis",
    device="neural-engine",
    language="mil",
    severity=Severity.WARNING,
    wrong="an axis is longer than 16,384, the most that the Neural Engine takes through A15 and M2",
    remedy="keep height and width apart, or work in tiles",
    source=APPLE,
)
def axis(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if any((side or 0) > LARGEST_AXIS for tensor in tensors(one) for side in tensor.shape or ()):
            yield one


@rule(
    "ane-last-axis",
    device="neural-engine",
    language="mil",
    severity=Severity.NOTE,
    wrong="a last axis of 1 is padded to 64 bytes: such a tensor takes 32 times its size, here more than a chip holds",
    remedy="put a longer axis last, at best a multiple of 32",
    source=APPLE,
)
def last_axis(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if any(t.rank > 1 and (t.shape or ())[-1] == 1 and t.size * PADDED_BYTES > ON_CHIP for t in one.outputs):
            yield one


def _weight(operation: Operation) -> Tensor | None:
    return next((one for one in operation.inputs if one.constant and one.rank > 2), None)


def _of_twos_and_threes(number: int) -> bool:
    for factor in (2, 3):
        while number % factor == 0 and number > 1:
            number //= factor
    return number == 1
