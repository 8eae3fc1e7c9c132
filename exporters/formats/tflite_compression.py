"""Smaller and faster LiteRT files: weights in float16 or int8, and layers that compute in int8.

How: https://ai.google.dev/edge/litert, by ai_edge_quantizer. Every precision has a form that tflite-runtime 2.14 loads
and that answers there as it does in LiteRT. For all of them:

- The point encoding stays float32. It takes sines of large angles: in float16 its few frequencies cost a decoder up to
  30 dB.
- Weights of a layer have a scale for every output channel, but those of fully connected layers that quantize on the fly
  one in all: tflite-runtime 2.14 runs the other form, too, and gives wrong answers.
- Transposed convolutions have int8 weights and compute in float: tflite-runtime 2.14 refuses others.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from lightsam.errors import ContractError
from lightsam.modeling.prompt_encoder import PositionEmbeddingRandom
from lightsam.stages import STAGE_NAMES, Arrays

from .base import first_line
from .listing import Operation
from .tflite_listing import read_graphs

FLOAT16, WEIGHTS, DYNAMIC, STATIC = "float16", "w8", "w8-dynamic", "w8a8"
COMPRESSED = (WEIGHTS, DYNAMIC, STATIC)
"""Precisions with int8 weights: computed with in float, in int8 with what is quantized on the fly, or by ranges found
on images where that is faster."""

_ENCODER = STAGE_NAMES[0]

_CONV, _DEPTHWISE, _LINEAR, _TRANSPOSED = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_2D_TRANSPOSE"
_MOVING = ("CONCATENATION", "PAD", "RESHAPE", "SLICE", "TRANSPOSE")
"""Operations that move values, and do not compute any."""
_TABLE = 4096
"""Numbers of a table that is worth storing in int8."""
_INT8 = 127


def compress(source: Path, target: Path, precision: str, stage: str, inputs: Callable[[], Iterator[Arrays]]) -> None:
    """Write a float32 file in another precision; what goes in and comes out is float32 in all.

    Args:
        source: the file of one stage, with one signature.
        target: may be the source.
        precision: "float16", or one of `COMPRESSED`.
        stage: "encoder" or "decoder".
        inputs: of the stage, as the file takes them, a call after another; asked for where ranges are needed.

    Raises:
        ValueError: if there are no inputs, and the precision needs some.
    """
    from ai_edge_quantizer import qtyping, quantizer

    quantize = quantizer.Quantizer(str(source))
    if precision == FLOAT16:
        _cast_weights(quantize)
    elif precision == WEIGHTS:
        for kind in (_CONV, _DEPTHWISE, _LINEAR, _TRANSPOSED):
            quantize.add_weight_only_config(".*", qtyping.TFLOperationName(kind), 8)
    else:
        _compute_in_int8(quantize, source, by_ranges=precision == STATIC and stage == _ENCODER)
    quantize.update_quantization_recipe(
        regex=f".*{PositionEmbeddingRandom.__name__}.*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(skip_checks=True),
        algorithm_key=quantizer.AlgorithmName.NO_QUANTIZE,
    )
    ranges = _ranges(source, inputs()) if quantize.need_calibration else None
    quantize.quantize(ranges, enable_progress_report=False).export_model(str(target), overwrite=True)
    if precision != FLOAT16:
        _store_tables_in_int8(target)


def _cast_weights(quantize: Any) -> None:
    from ai_edge_quantizer import qtyping, quantizer

    quantize.add_weight_only_config(
        ".*",
        qtyping.TFLOperationName.ALL_SUPPORTED,
        16,
        qtyping.QuantGranularity.TENSORWISE,
        quantizer.AlgorithmName.FLOAT_CASTING,
    )


def _compute_in_int8(quantize: Any, source: Path, *, by_ranges: bool) -> None:
    """Layers in int8, which quantize what they are given on the fly or by ranges; everything else in float.

    Activations, norms and products of two activations stay float: XNNPACK has no GELU in int8, and LiteRT's own makes
    MobileSAM's encoder 1.25x as slow, its own products 4x. Ranges are for encoders: a decoder's depend on prompts, and
    its outliers leave 13 dB.
    """
    from ai_edge_quantizer import qtyping

    name = qtyping.TFLOperationName
    quantize.add_dynamic_config(".*", name(_CONV), 8)
    quantize.add_dynamic_config(".*", name(_LINEAR), 8, qtyping.QuantGranularity.TENSORWISE)
    # XNNPACK has no such depthwise convolution, and LiteRT's own is slower than one of floats.
    for kind in (_DEPTHWISE, _TRANSPOSED):
        quantize.add_weight_only_config(".*", name(kind), 8)
    if by_ranges:
        (graph,) = read_graphs(source)
        for kind, names in _with_ranges(graph.operations).items():
            quantize.add_static_config(f"^(?:{'|'.join(map(re.escape, names))});", name(kind), 8, 8)


def _with_ranges(operations: Sequence[Operation]) -> dict[str, list[str]]:
    """What takes and gives int8 by ranges, because it is faster so: names of results, by the type of the operation.

    Fully connected layers, as the heads of an attention are given the same, which is quantized once. Convolutions of
    what is padded, as their padding takes one thread as long as they take all. And what only moves values on their way
    to these: it moves a quarter of the bytes. Not other convolutions: with ranges for what they give, which a norm or
    an activation takes, too, the encoder's masks lose twice as much.
    """
    found: dict[str, list[str]] = defaultdict(list)
    users: dict[str, list[str]] = defaultdict(list)
    padded = {one.outputs[0].name for one in operations if one.type == "PAD"}
    in_int8: set[str] = set()
    for one in reversed(operations):
        (result, *_), used = one.outputs, users[one.outputs[0].name]
        layer = one.type == _LINEAR or (one.type == _CONV and one.inputs[0].name in padded)
        moves = one.type in _MOVING and result.dtype == "float32" and bool(used) and in_int8.issuperset(used)
        if (layer or moves) and PositionEmbeddingRandom.__name__ not in result.name:
            in_int8.add(result.name)
            found[one.type].append(result.name)
        for tensor in one.inputs:
            users[tensor.name].append(result.name)
    return found


def _ranges(source: Path, inputs: Iterator[Arrays]) -> dict[str, Any]:
    """The least and largest value of every tensor, one call at a time."""
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    watched = calibrator.Calibrator(
        str(source),
        os.cpu_count() or 1,
        # The other way keeps all tensors of a call.
        calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        # By default the first call would count for nearly all.
        qsv_utils.min_max_update,
    )
    (signature,) = watched.get_signature_list()
    for one in inputs:  # the quantizer's own loop asks for the list of all
        watched.calibrate({signature: [one]}, recipe_manager.RecipeManager())
    ranges = watched.get_model_qsvs()
    if not ranges:
        raise ValueError("ranges of activations need one call at least")
    return dict(ranges)


def _store_tables_in_int8(path: Path) -> None:
    """Large constants that no layer multiplies by, such as biases of attention; computed with in float."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(path)
    (graph,) = model.subgraphs
    tables: dict[int, list[int]] = defaultdict(list)
    for index, tensor in enumerate(graph.tensors):
        if tensor.type == schema.TensorType.FLOAT32 and prod(tensor.shape) >= _TABLE and _filled(model, tensor):
            tables[tensor.buffer].append(index)
    operators = []
    for number, indices in tables.items():
        buffer = model.buffers[number]
        values = np.asarray(buffer.data, np.uint8).view(np.float32)
        scale = np.abs(values).max(keepdims=True) / np.float32(_INT8)
        buffer.data = np.rint(values / scale).astype(np.int8).view(np.uint8)
        for index in indices:
            used, stored, operator = graph.tensors[index], schema.TensorT(), schema.OperatorT()
            stored.name, stored.shape, stored.hasRank = used.name + b"_int8", used.shape, used.hasRank
            stored.type, stored.buffer, used.buffer = schema.TensorType.INT8, number, 0
            stored.quantization = schema.QuantizationParametersT()
            stored.quantization.scale, stored.quantization.zeroPoint = scale, np.zeros(1, np.int64)
            operator.inputs, operator.outputs = np.array([len(graph.tensors)]), np.array([index])
            operator.opcodeIndex = len(model.operatorCodes)
            graph.tensors.append(stored)
            operators.append(operator)
    if operators:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
        code.version = 2  # the first with int8
        model.operatorCodes.append(code)
        graph.operators = [*operators, *graph.operators]
        flatbuffer_utils.write_model(model, path)


def _filled(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def stored_weights(path: Path) -> dict[str, int]:
    """How many numbers of a file's constants are stored in each dtype; what is shared counts once.

    Integers without a scale are shapes and axes, and left out.

    Raises:
        ContractError: if the file is damaged.
    """
    from ai_edge_litert.schema_py_generated import TensorType
    from ai_edge_litert.tools import flatbuffer_utils

    names = {code: name.lower() for name, code in vars(TensorType).items() if isinstance(code, int)}
    try:
        model = flatbuffer_utils.read_model(path)
        found = {
            tensor.buffer: (names[tensor.type], prod(tensor.shape))
            for graph in model.subgraphs
            for tensor in graph.tensors
            if _filled(model, tensor) and _is_data(tensor, names[tensor.type])
        }
    # What a damaged flatbuffer raises depends on where it is damaged.
    except Exception as error:
        raise ContractError(f"{path} cannot be read as TFLite: {first_line(error)}") from error
    counts: Counter[str] = Counter()
    for dtype, count in found.values():
        counts[dtype] += count
    return dict(counts)


def _is_data(tensor: Any, dtype: str) -> bool:
    quantization = tensor.quantization
    scaled = quantization is not None and quantization.scale is not None and len(quantization.scale) > 0
    return scaled or dtype.startswith("float")
