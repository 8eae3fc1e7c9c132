"""What Core ML's units compute wrongly, or not at all, is not in our files: read back from the files."""

import pytest
import tiny

from lightsam import load_model
from lightsam.models import MODELS
from lightsam.stages import split
from lightsam_exporters.formats import coreml, coreml_options, options_of
from lightsam_exporters.formats.mil.program import read_program
from lightsam_exporters.formats.quiet import redirect_output_to_log
from lightsam_exporters.graphs import FORMS
from lightsam_exporters.provenance import Provenance

NAMES = [card.name for card in tiny.CARDS]
IN_WINDOWS = ["tiny_sam", "tiny_vit", "tiny_sam2"]
LEADING = 2
"""From which leading dimension on a small model counts: Core ML is wrong from 10 on, and few have so many windows."""
PASSED = {"reshape", "cast", "expand_dims", "squeeze"}
"""Operations that change no value."""


def operations_of(package):
    return [op for op in read_program(package).function.operations if op.op_type != "const"]


def last_axis_softmaxes(operations, leading=LEADING):
    """Softmaxes over the last axis of a product, with or without something added, behind which there is a product.

    Core ML of macOS 26 fuses them on the GPU, and is wrong: https://github.com/apple/coremltools/issues/2650
    """

    def is_product(var):
        while var.op is not None and var.op.op_type in {"add", *PASSED}:
            var = next(
                (one for one in (var.op.x, getattr(var.op, "y", None)) if one is not None and one.val is None), var
            )
        return var.op is not None and var.op.op_type == "matmul"

    def feeds_product(var):
        return any(
            op.op_type == "matmul" or (op.op_type in {"transpose", *PASSED} and feeds_product(op.outputs[0]))
            for op in var.child_ops
        )

    return [
        op
        for op in operations
        if op.op_type == "softmax"
        and op.axis.val % len(op.x.shape) == len(op.x.shape) - 1
        and op.x.shape[0] >= leading
        and is_product(op.x)
        and feeds_product(op.outputs[0])
    ]


def values_by_attention_transposed(operations):
    """Products whose second factor is a softmax that is transposed.

    They abort a process on the GPU: https://github.com/ultralytics/ultralytics/pull/25860
    """

    def is_transposed_softmax(var, *, transposed=False):
        if var.op is None or var.op.op_type not in {"softmax", "transpose", *PASSED}:
            return False
        if var.op.op_type == "softmax":
            return transposed
        return is_transposed_softmax(var.op.x, transposed=transposed != (var.op.op_type == "transpose"))

    products = [op for op in operations if op.op_type == "matmul"]
    return [op for op in products if is_transposed_softmax(op.y, transposed=bool(op.transpose_y.val))]


def converted(folder, model, stage_name, target=coreml_options.OLDEST_TARGET):
    loaded = load_model(model, weights="seeded")
    path = folder / f"{stage_name}.mlpackage"
    options = options_of("coreml", precision="float32", minimum_deployment_target=target)
    provenance = Provenance.of(MODELS[model], tiny.SIZE, 8, loaded.weights)
    coreml.FORMAT.export([split(loaded.sam)[stage_name]], path, options, provenance)
    return operations_of(path)


@pytest.mark.parametrize("model", NAMES)
def test_our_files_hold_nothing_that_a_unit_computes_wrongly(matrix_of, model):
    entry = matrix_of(model, "coreml", "float16")
    for stage in tiny.tested_stages(model):
        operations = operations_of(entry.path(stage))
        assert not last_axis_softmaxes(operations)
        assert not values_by_attention_transposed(operations)
        assert not {"conv_transpose", "scaled_dot_product_attention"} & {op.op_type for op in operations}
        assert ("pixel_shuffle" in {op.op_type for op in operations}) == (stage == "decoder")
        assert max(len(output.shape) for op in operations for output in op.outputs) <= 5


@pytest.mark.parametrize("model", IN_WINDOWS)
def test_the_faithful_graph_holds_the_pattern_and_moves_more(tmp_path, matrix_of, monkeypatch, model):
    """So what finds nothing in our files can find something."""
    ours = operations_of(matrix_of(model, "coreml", "float16").path("encoder"))
    monkeypatch.delitem(FORMS, "coreml")
    plain = converted(tmp_path, model, "encoder")
    assert last_axis_softmaxes(plain)
    kinds_of_ours, kinds = ([op.op_type for op in operations] for operations in (ours, plain))
    assert kinds_of_ours.count("transpose") < kinds.count("transpose")
    assert kinds_of_ours.count("layer_norm") == kinds.count("layer_norm")
    assert len(kinds_of_ours) - kinds_of_ours.count("cast") < len(kinds)


def test_the_faithful_decoder_holds_transposed_convolutions_with_an_output_shape(tmp_path, monkeypatch):
    monkeypatch.delitem(FORMS, "coreml")
    upscaling = [op for op in converted(tmp_path, tiny.NAME, "decoder") if op.op_type == "conv_transpose"]
    assert len(upscaling) == 2
    assert all(op.output_shape is not None for op in upscaling)


@pytest.mark.parametrize("transposes", [True, False])
def test_values_by_attention_transposed_are_found(transposes):
    from coremltools.converters.mil import Builder as mb

    @mb.program(input_specs=[mb.TensorSpec((12, 7, 7)), mb.TensorSpec((12, 3, 7))])
    def program(logits, v):
        attention = mb.softmax(x=logits, axis=-1)
        if transposes:
            return mb.matmul(x=v, y=mb.transpose(x=attention, perm=[0, 2, 1]))
        return mb.matmul(x=v, y=attention, transpose_y=True)

    assert values_by_attention_transposed(program.functions["main"].operations)


@pytest.mark.parametrize("stage", ["encoder", "decoder"])
def test_attention_is_never_one_operation(tmp_path, stage):
    """iOS 18 has one, which crashes on some units and is wrong on others; the converter makes it of torch's."""
    operations = converted(tmp_path, tiny.NAME, stage, target="iOS18")
    kinds = {op.op_type for op in operations}
    assert "softmax" in kinds
    assert "scaled_dot_product_attention" not in kinds


@pytest.mark.parametrize("model", NAMES)
def test_no_model_asks_torch_for_fused_attention(model):
    for stage in split(load_model(model, weights="seeded").sam):
        with redirect_output_to_log("coreml"):
            graph = coreml.FORMAT.inspector.trace(stage, coreml_options.CoreMLOptions()).graph
        assert not [node for node in graph.nodes if "scaled_dot_product" in str(node.target)]
