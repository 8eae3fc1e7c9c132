"""What is in a Core ML package, read back from the file."""

import os

import coremltools as ct
import numpy as np
import pytest
import tiny

from lightsam.errors import ContractError, ExportError, UsageError
from lightsam.metrics import psnr_db
from lightsam.stages import STAGE_NAMES
from lightsam_exporters.formats import coreml, coreml_options, options_of
from lightsam_exporters.formats.mil.evaluator import dtype_name
from lightsam_exporters.formats.mil.program import read_program
from lightsam_exporters.formats.running import RunOptions, check_pair
from lightsam_exporters.loading import exports, find_export
from lightsam_exporters.provenance import Provenance

FLOAT16 = ct.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT16
FLOAT32 = ct.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT32


def program_of(folder, precision, stage):
    return read_program(find_export(folder, "coreml", precision).path(stage))


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_interface_is_the_contract(exported, tiny_stages, precision):
    embeddings = FLOAT16 if precision == "float16" else FLOAT32
    for stage in tiny_stages:
        description = program_of(exported, precision, stage.name).specification.description
        for specs, features in ((stage.inputs, description.input), (stage.outputs, description.output)):
            assert [feature.name for feature in features] == [spec.name for spec in specs]
            for spec, feature in zip(specs, features, strict=True):
                assert feature.shortDescription == spec.meaning
                if spec.name == "image":
                    image = feature.type.imageType
                    assert (image.width, image.height) == (tiny.SIZE, tiny.SIZE)
                    assert image.colorSpace == ct.proto.FeatureTypes_pb2.ImageFeatureType.RGB
                else:
                    array = feature.type.multiArrayType
                    assert tuple(array.shape) == spec.shape
                    assert array.dataType == (embeddings if spec.name == "image_embeddings" else FLOAT32)


def test_metadata_tells_what_the_file_is(exported, provenance):
    for entry in exports(exported):
        for stage in STAGE_NAMES:
            metadata = read_program(entry.path(stage)).specification.description.metadata
            assert metadata.license == "CC0-1.0 (https://example.org/license)"
            assert "tiny_sam at 128 x 128" in metadata.shortDescription
            assert "UNTRAINED" in metadata.shortDescription
            assert "https://example.org/source" in metadata.author
            defined = dict(metadata.userDefined)
            assert defined["stage"] == stage
            assert defined["precision"] == entry.precision
            assert defined["trained"] == "false"
            assert defined["pairing_id"] == provenance.pairing_id
            assert Provenance.from_metadata(defined, "it") == provenance


def test_point_encoding_is_float32_and_the_rest_float16(exported):
    for stage in STAGE_NAMES:
        operations = list(program_of(exported, "float16", stage).function.operations)
        computed = [op for op in operations if op.op_type not in ("const", "cast")]
        in_float32 = {op.op_type for op in computed if dtype_name(op.outputs[0]) == "fp32"}
        assert {op.op_type for op in computed if op.op_type in ("sin", "cos")} <= in_float32
        assert in_float32 == (set() if stage == "encoder" else {"add", "mul", "sub", "linear", "sin", "cos"})
    assert {"sin", "cos"} <= {op.op_type for op in operations}


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_no_tensor_of_a_rank_above_five(exported, precision):
    for stage in STAGE_NAMES:
        operations = program_of(exported, precision, stage).function.operations
        assert max(len(output.shape) for op in operations for output in op.outputs) <= 5


def test_norms_are_whole_operations(exported):
    """A norm in pieces would square its input, and overflow float16 above 255."""
    for stage, norms in (("encoder", 8), ("decoder", 12)):
        kinds = [op.op_type for op in program_of(exported, "float16", stage).function.operations]
        assert kinds.count("layer_norm") == norms
        assert not {"pow", "rsqrt", "batch_norm", "reduce_mean"} & set(kinds)


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_a_package_holds_the_program_and_nothing_else(exported, stage):
    package = exported / "coreml-float16" / f"{stage}.mlpackage"
    found = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    data = "Data/com.apple.CoreML"
    assert found == {"Manifest.json", f"{data}/model.mlmodel", f"{data}/weights/weight.bin"}


def test_reading_a_package_writes_nothing_into_it(own_export):
    """Another process may be copying or hashing it."""
    package = own_export / "coreml-float16" / "decoder.mlpackage"
    folders = [path for path in (package, *package.rglob("*")) if path.is_dir()]
    for folder in folders:
        os.utime(folder, (0, 0))
    read_program(package)
    assert {folder.stat().st_mtime for folder in folders} == {0}


@pytest.mark.parametrize("target", ["iOS17", "iOS18", coreml_options.deployment_targets()[-1]])
def test_newer_deployment_targets(tmp_path, tiny_stages, provenance, target):
    options = options_of("coreml", precision="float16", minimum_deployment_target=target, image_input="tensor")
    path = tmp_path / "encoder.mlpackage"
    coreml.FORMAT.export([tiny_stages.encoder], path, options, provenance)
    version = read_program(path).specification.specificationVersion
    assert version == ct.target[target].value > ct.target.iOS16.value
    inputs = tiny_stages.encoder.sample_inputs()
    found = coreml.FORMAT.load(path, "encoder", RunOptions())(inputs)["image_embeddings"]
    assert psnr_db(tiny_stages.encoder.run(inputs)["image_embeddings"], found) > 50


def test_a_tensor_input_takes_fractions_and_an_image_does_not(tmp_path, exported, tiny_stages, provenance):
    path = tmp_path / "encoder.mlpackage"
    coreml.FORMAT.export(
        [tiny_stages.encoder], path, options_of("coreml", precision="float32", image_input="tensor"), provenance
    )
    feature = read_program(path).specification.description.input[0]
    assert feature.type.WhichOneof("Type") == "multiArrayType"
    inputs = tiny_stages.encoder.sample_inputs()
    reference = tiny_stages.encoder.run(inputs)["image_embeddings"]
    image = find_export(exported, "coreml", "float32").load("encoder")
    assert psnr_db(reference, coreml.FORMAT.load(path, "encoder", RunOptions())(inputs)["image_embeddings"]) > 110
    assert psnr_db(reference, image(inputs)["image_embeddings"]) < 80
    whole = {"image": np.rint(inputs["image"])}
    assert psnr_db(tiny_stages.encoder.run(whole)["image_embeddings"], image(inputs)["image_embeddings"]) > 110


def test_the_judge_is_named(exported):
    entry = find_export(exported, "coreml", "float16")
    assert entry.load("decoder").judge == "lightsam evaluator, declared numerics"
    assert entry.load("decoder", RunOptions(numerics="float32")).judge == "lightsam evaluator, float32 numerics"


def test_stages_of_different_weights_are_no_pair(exported, provenance):
    entry = find_export(exported, "coreml", "float32")
    encoder, decoder = entry.load("encoder"), entry.load("decoder")
    check_pair(encoder, decoder)
    other = type(decoder)(
        "decoder", decoder.run, Provenance(**{**vars(provenance), "weights_sha256": "0" * 64}), decoder.judge
    )
    with pytest.raises(ContractError, match=r"not a pair: weights_sha256 [0-9a-f]{64} and 0{64}"):
        check_pair(encoder, other)
    with pytest.raises(ContractError, match="the encoder was expected and the decoder was found"):
        check_pair(decoder, encoder)


def test_a_pairing_id_cannot_be_edited(provenance):
    edited = {**provenance.metadata(), "pairing_id": "0" * 16}
    with pytest.raises(ContractError, match="pairing id"):
        Provenance.from_metadata(edited, "it")
    with pytest.raises(ContractError, match="not exported by lightsam"):
        Provenance.from_metadata({}, "it")


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "int8"},
        {"image_input": "video"},
        {"image_layout": "chwn"},
        {"point_slots": 1},
        {"point_slots": 1000},
    ],
)
def test_options_that_do_not_exist_are_refused(options):
    with pytest.raises(UsageError):
        options_of("coreml", options)


def test_a_deployment_target_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match=r"iOS15.*choose from: iOS16, iOS17"):
        options_of("coreml", minimum_deployment_target="iOS15").check()


@pytest.mark.parametrize("how", [{"unit": "TPU"}, {"numerics": "exact"}])
def test_a_way_to_run_that_does_not_exist_is_refused(exported, how):
    with pytest.raises(UsageError, match="choose from"):
        find_export(exported).load("decoder", RunOptions(**how))


def test_the_converters_own_message_is_passed_on(tmp_path, tiny_stages, provenance, monkeypatch):
    def fail(*_, **__):
        raise NotImplementedError("no lowering for op 'aten.frobnicate'\nand more lines")

    monkeypatch.setattr(ct, "convert", fail)
    with pytest.raises(ExportError, match=r"could not convert .* the decoder of tiny_sam: no lowering .*frobnicate'$"):
        coreml.FORMAT.export([tiny_stages.decoder], tmp_path / "decoder.mlpackage", options_of("coreml"), provenance)
