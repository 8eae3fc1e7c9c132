"""w8a8 for ExecuTorch: layers in int8 for XNNPACK, by PyTorch's own quantization of exported graphs.

How: https://docs.pytorch.org/executorch/stable/backends/xnnpack/xnnpack-quantization.html
Weights have a scale for every output channel. What a layer is given gets its scale while it runs, and its result is
float: so an export needs no images, and nothing is lost to those that it has not seen. Against scales found on images
that is 9 dB better, and takes a seventh longer. Everything else is float: norms, activations, softmax, sums, the biases
of attention, and depthwise and transposed convolutions, for which XNNPACK or ExecuTorch has no such kernel.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from lightsam.modeling.common import LayerNorm2d

_ATEN = torch.ops.aten
_CONVOLUTION = _ATEN.conv2d.default
_LAYERS = (_CONVOLUTION, _ATEN.linear.default)
_SCALING = "quantized_decomposed::"
"""Before the names of operations that only change the dtype."""


@torch.no_grad()
def quantized(module: nn.Module, example: tuple[Tensor, ...]) -> nn.Module:
    """A module that quantizes where XNNPACK can, and computes the rest in float.

    Args:
        module: in evaluation mode; it stays as it is.
        example: inputs for the tracer, in the order of ``forward``.

    Returns:
        A module with the same float32 inputs and outputs, to be exported in its place.
    """
    from executorch.backends.transforms.duplicate_dynamic_quant_chain import DuplicateDynamicQuantChainPass
    from torchao.quantization.pt2e.quantize_pt2e import (  # type: ignore[import-untyped]  # torchao is not typed
        convert_pt2e,
        prepare_pt2e,
    )

    prepared = prepare_pt2e(torch.export.export(module, example, strict=False).module(), _quantizer())
    prepared(*example)  # weights are looked at on the way; what the inputs are does not matter
    converted: nn.Module = convert_pt2e(prepared)
    # Layers that are given the same tensor would share its scale, and no partition could hold them.
    DuplicateDynamicQuantChainPass()(converted)
    return converted


def _quantizer() -> Any:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )

    quantizer = XNNPACKQuantizer()
    quantizer.set_filter_function(_can_be_int8)
    for kind in _LAYERS:
        quantizer.set_operator_type(kind, get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True))
    return quantizer


def _can_be_int8(node: fx.Node) -> bool:
    """Whether a node is no convolution after a norm over channels, be there an activation between them or not.

    ExecuTorch 1.5.1 would lay out what the norm is given channels last, not what it gives, and could not run the file.
    """
    if node.target != _CONVOLUTION:
        return True
    source = node.all_input_nodes[0]
    while len(source.all_input_nodes) == 1 and source.target not in _LAYERS and not _is_in(source, LayerNorm2d):
        source = source.all_input_nodes[0]
    return not _is_in(source, LayerNorm2d)


def _is_in(node: fx.Node, kind: type[nn.Module]) -> bool:
    name = f"{kind.__module__}.{kind.__qualname__}"
    return any(found == name for _, found in node.meta.get("nn_module_stack", {}).values())


def is_scaling(operation: str) -> bool:
    """Whether an operation, by its name, only changes the dtype, and is none of the model's own."""
    return operation.startswith(_SCALING)


def count_weights(programs: Sequence[Any]) -> dict[str, int]:
    """How many numbers of the constants of lowered programs are stored in each dtype, without scales and zero points.

    Args:
        programs: of a whole file, and of what its delegates took.
    """
    counts: Counter[str] = Counter()
    for program in programs:
        tensors = {**program.constants, **program.state_dict}
        names = {
            **program.graph_signature.inputs_to_parameters,
            **program.graph_signature.inputs_to_buffers,
            **program.graph_signature.inputs_to_lifted_tensor_constants,
        }
        for node in program.graph.nodes:
            if node.op == "placeholder" and node.name in names and any(not _scales(user, node) for user in node.users):
                tensor = tensors[names[node.name]]
                counts[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    return dict(counts)


def _scales(user: fx.Node, node: fx.Node) -> bool:
    """Whether a node is what another one scales by, and not what it scales."""
    return is_scaling(str(getattr(user.target, "_name", user.target))) and user.args[0] is not node
