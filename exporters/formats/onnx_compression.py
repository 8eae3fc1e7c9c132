"""ONNX files in fewer bits: what each of the compressed precisions is, and what a file stores."""

from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

from lightsam.errors import ContractError, ExportError
from lightsam.stages import Arrays

from .base import first_line
from .onnx_editing import SCALE

DYNAMIC, STATIC, W4 = "w8-dynamic", "w8a8", "w4"
COMPRESSED = (DYNAMIC, STATIC, W4)
CALIBRATED = (STATIC,)
_BITS = {DYNAMIC: 8, W4: 4}


def compress(source: Path, target: Path, precision: str, stage: str, inputs: Callable[[], Iterator[Arrays]]) -> None:
    """Write a float file again in a compressed precision; what it says about itself stays.

    Args:
        source: of float32, of one stage.
        target: where to.
        precision: one of `COMPRESSED`.
        stage: whose file it is, for messages.
        inputs: of the stage, anew for every call; only precisions in `CALIBRATED` ask for them.

    Raises:
        ContractError: if the file is damaged.
        ExportError: if it has nothing that this precision would make smaller.
        UsageError: if it must be calibrated, and there is no image.
    """
    from .onnx_integers import with_integers
    from .onnx_weights import with_small_weights

    if precision == STATIC:
        found = with_integers(source, target, inputs)
    else:
        found = with_small_weights(source, target, _BITS[precision])
    if not found:
        raise ExportError(f"the {stage} has no layer that {precision} makes smaller: export it in float16")


def stored_weights(path: Path) -> dict[str, int]:
    """How many numbers of a file's weights are stored in each dtype, four bits for one each.

    Scales, zero points, shapes and indices are left out.

    Raises:
        ContractError: if the file is damaged.
    """
    import onnx

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # a DecodeError or an OSError
        raise ContractError(f"{path} cannot be read as ONNX: {first_line(error)}") from error
    four_bits: dict[str, int] = {}
    restored = set()
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            sides = {one.name: one.i for one in node.attribute}
            four_bits[node.input[1]] = sides["K"] * sides["N"]
        elif node.op_type == "DequantizeLinear":
            restored.add(node.input[0])
    found: dict[str, int] = {}
    for one in graph.initializer:
        dtype, count = _dtype(one), prod(one.dims)
        if one.name in four_bits:
            dtype, count = "int4", four_bits[one.name]
        elif one.name.endswith(SCALE) or not ("float" in dtype or dtype == "int8" or one.name in restored):
            continue
        found[dtype] = found.get(dtype, 0) + count
    return dict(sorted(found.items()))


def _dtype(tensor: Any) -> str:
    import onnx

    return str(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
