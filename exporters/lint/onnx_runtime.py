"""ONNX Runtime: on the CPU, in browsers on WebGPU, and on Apple's devices by its Core ML provider."""

from collections.abc import Iterator

from lightsam_exporters.formats.listing import Operation

from .rule import Severity, rule, words
from .wiring import Wiring, tensors

WEBGPU_KERNELS = "https://github.com/microsoft/onnxruntime/blob/main/js/web/docs/webgpu-operators.md"
COREML_KERNELS = "https://onnxruntime.ai/docs/execution-providers/CoreML-ExecutionProvider.html"
MICROSOFT = "com.microsoft:"
OLD_OPSET = 21
"""The newest that onnxruntime-web 1.20 reads."""
ON_WEBGPU = words(
    """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Clip
    Concat Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Einsum Elu Equal Erf Exp Expand
    Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual GridSample HardSigmoid Identity If InstanceNormalization LayerNormalization LeakyRelu Less
    LessOrEqual Log LpNormalization MatMul MaxPool Mul Neg Not Pad Pow RMSNormalization Range Reciprocal
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize RotaryEmbedding ScatterElements ScatterND Shape Sigmoid Sin Sinh Slice
    Softmax Softplus Split Sqrt Squeeze Sub Tan Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze Where
    """
)
"""Operators of ONNX with a WebGPU kernel, as of the sources of ONNX Runtime in autumn 2026."""
MICROSOFT_ON_WEBGPU = words(
    """
    Attention BiasAdd BiasGelu BiasSplitGelu CausalConvWithState FastGelu FusedConv GatherBlockQuantized Gelu
    GroupQueryAttention LinearAttention MatMulNBits MultiHeadAttention QMoE QuickGelu RotaryEmbedding
    SkipLayerNormalization SkipSimplifiedLayerNormalization
    """
)
"""Operators of ``com.microsoft``, likewise."""
BY_COREML = words(
    """
    Add And ArgMax AveragePool Cast Ceil Clip Concat Conv ConvTranspose Cos DepthToSpace Div Elu Erf Exp
    GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool GridSample GroupNormalization HardSigmoid Identity
    InstanceNormalization LayerNormalization LeakyRelu MatMul Max MaxPool Mul PRelu Pow Reciprocal ReduceMax
    ReduceMean ReduceSum Relu Reshape Resize Round Shape Sigmoid Sin Slice Softmax Softplus Split Sqrt Squeeze
    Sub Tanh Tile Transpose Unsqueeze Where
    """
)
"""Operators that the provider writes as an ML Program: the list in the wheel of ONNX Runtime 1.31."""
_INDICES = ("Cast", "Concat", "Expand", "Gather", "Range", "Reshape", "Shape", "Slice", "Squeeze", "Unsqueeze")
"""Operators by which shapes are computed: on the CPU in every provider."""


@rule(
    "ort-cpu-float16",
    device="onnxruntime-cpu",
    language="onnx",
    severity=Severity.NOTE,
    wrong="ONNX Runtime has few float16 kernels for CPUs: it casts to float32 and back around the others, so that the "
    "file is smaller and slower",
    remedy="take float32 for CPUs, float16 for GPUs and browsers",
    source="https://github.com/microsoft/onnxruntime/issues/16778",
)
def float16_on_cpu(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if one.type != "Cast" and any(output.dtype == "float16" for output in one.outputs):
            yield one


@rule(
    "ort-contributed",
    device="onnxruntime-cpu",
    language="onnx",
    severity=Severity.NOTE,
    wrong="an operator that is not ONNX's own: ONNX Runtime runs it, other runtimes and converters do not",
    remedy="export without it for other runtimes",
    source="https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md",
)
def contributed(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.operations if one.type.startswith(MICROSOFT))


@rule(
    "web-operator",
    device="onnxruntime-web",
    language="onnx",
    severity=Severity.WARNING,
    wrong="no WebGPU kernel for this operator: the values go to the CPU (WebAssembly) and back",
    remedy="write it with operators of the list",
    source=WEBGPU_KERNELS,
)
def web_operator(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if one.type not in ON_WEBGPU and one.type.removeprefix(MICROSOFT) not in MICROSOFT_ON_WEBGPU:
            yield one


@rule(
    "web-int64",
    device="onnxruntime-web",
    language="onnx",
    severity=Severity.NOTE,
    wrong="64-bit integers are computed on the CPU: WebGPU has none",
    remedy="compute with floats or int32; what computes shapes alone costs nothing",
    source="https://github.com/microsoft/onnxruntime/issues/15952",
)
def web_int64(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.operations:
        if one.type not in _INDICES and any(tensor.dtype == "int64" for tensor in tensors(one)):
            yield one


@rule(
    "web-mixed-layer-norm",
    device="onnxruntime-web",
    language="onnx",
    severity=Severity.ERROR,
    wrong="a LayerNormalization that takes float16 and gives float32, or follows the cast that ONNX Runtime fuses into "
    "it: its shader is invalid before ONNX Runtime's change 32629 of September 2026, and the session fails",
    remedy="keep the norm and its scale in one dtype, or require an onnxruntime-web that has the change",
    source="https://github.com/microsoft/onnxruntime/issues/32627",
)
def web_mixed_layer_norm(wiring: Wiring) -> Iterator[Operation]:
    for one in wiring.of_type("LayerNormalization"):
        kinds = {tensor.dtype for tensor in (*one.inputs[:3], *one.outputs[:1])}
        cast = wiring.maker(one.inputs[0])
        widened = cast is not None and cast.type == "Cast" and cast.inputs[0].dtype == "float16"
        if len(kinds - {""}) > 1 or widened:
            yield one


@rule(
    "web-square-float16",
    device="onnxruntime-web",
    language="onnx",
    severity=Severity.ERROR,
    wrong="a norm in parts squares in float16, which overflows above 255: the result is silently wrong",
    remedy="compute the norm in float32, or as LayerNormalization",
    source="https://github.com/microsoft/onnxruntime/issues/31626",
)
def web_square_float16(wiring: Wiring) -> Iterator[Operation]:
    """Means of squares: of a power, or of a product of a tensor with itself."""
    for one in wiring.of_type("ReduceMean", "ReduceSum"):
        square = wiring.maker(one.inputs[0])
        if square is None or square.outputs[0].dtype != "float16":
            continue
        same = square.type == "Mul" and square.inputs[0].name == square.inputs[1].name
        if square.type == "Pow" or same:
            yield one


@rule(
    "web-opset",
    device="onnxruntime-web",
    language="onnx",
    severity=Severity.NOTE,
    wrong="an operator set above 21 is refused by releases before 1.21, and one above 22 by those without ONNX 1.18",
    remedy="export with --opset 20, or require a newer onnxruntime-web",
    source="https://github.com/microsoft/onnxruntime/pull/21897",
)
def web_opset(wiring: Wiring) -> Iterator[Operation]:
    if wiring.graph.facts.get("opset", 0) > OLD_OPSET:
        yield from wiring.operations[:1]


@rule(
    "coreml-provider-operator",
    device="onnxruntime-coreml",
    language="onnx",
    severity=Severity.NOTE,
    wrong="not in the provider's list for ML Programs: the graph is divided there, and the rest runs on the CPU",
    remedy="on Apple's devices take the Core ML package instead",
    source=COREML_KERNELS,
)
def coreml_provider(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.operations if one.type not in BY_COREML)


@rule(
    "coreml-provider-rank",
    device="onnxruntime-coreml",
    language="onnx",
    severity=Severity.WARNING,
    wrong="Core ML takes no tensor of more than 5 axes: the graph is divided there",
    remedy="write windows with at most 5 axes, or take the Core ML package instead",
    source="https://github.com/microsoft/onnxruntime/issues/14212",
)
def coreml_provider_rank(wiring: Wiring) -> Iterator[Operation]:
    return (one for one in wiring.operations if any(tensor.rank > 5 for tensor in tensors(one)))
