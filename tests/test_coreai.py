"""What is in a Core AI file, by Apple's own runtime."""

import asyncio
import gc
import shutil
import time
import warnings

import numpy as np
import pytest
import tiny

from lightsam import load_model, split
from lightsam.errors import ContractError, ExportError, UsageError
from lightsam.metrics import psnr_db
from lightsam.stages import STAGE_NAMES
from lightsam_exporters.formats import coreai, options_of
from lightsam_exporters.formats.running import RunOptions
from lightsam_exporters.pipeline import ExportRequest, export
from lightsam_exporters.provenance import Provenance


@pytest.fixture(scope="module")
def entry(exports_of):
    return exports_of("coreai", "float32")


@pytest.fixture(scope="module")
def stages(entry):
    size = entry.load("encoder").provenance.image_size
    return split(load_model(tiny.NAME, weights="seeded", image_size=size).sam)


def asset_of(entry):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from coreai.authoring.asset import AIModelAsset
    return AIModelAsset.load(entry.path("encoder"))


def test_one_file_has_two_entry_points_with_the_names_of_the_contract(entry, stages):
    assert entry.path("encoder") == entry.path("decoder")
    assert entry.path("encoder").name == "model.aimodel"
    summary = asset_of(entry).summary(include_statistics=False)
    assert set(summary.function_names) == {"encode", "decode"}
    for stage, name in zip(stages, ("encode", "decode"), strict=True):
        assert [given for given, _ in summary.function_inputs(name)] == [spec.name for spec in stage.inputs]
        assert [given for given, _ in summary.function_outputs(name)] == [spec.name for spec in stage.outputs]


def test_it_answers_as_pytorch(entry, stages):
    for stage in stages:
        inputs = stage.sample_inputs()
        found = entry.load(stage.name)(inputs)
        for name, expected in stage.run(inputs).items():
            assert psnr_db(expected, found[name]) > 110


def test_it_runs_where_an_event_loop_runs_already(entry, stages):
    """In a notebook, say."""
    inputs = stages.decoder.sample_inputs()

    async def notebook():
        return entry.load("decoder")(inputs)

    found = asyncio.run(notebook())
    assert np.isfinite(found["low_res_masks"]).all()


def test_a_runtime_that_does_not_answer_is_told_and_its_loop_is_closed(entry, stages, monkeypatch):
    session = coreai.FORMAT.start(entry.path("decoder"), "decoder", RunOptions())
    monkeypatch.setattr(coreai, "_PATIENCE_S", 0)
    with pytest.raises(ExportError, match="gave no answer within 0 s"):
        session.run(stages.decoder.sample_inputs())

    monkeypatch.undo()
    loops = []
    make = asyncio.new_event_loop
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: loops.append(make()) or loops[-1])
    session = coreai.FORMAT.start(entry.path("decoder"), "decoder", RunOptions())
    session.run(stages.decoder.sample_inputs())
    del session
    gc.collect()
    (loop,) = loops
    for _ in range(1200):  # its thread closes it, as soon as the machine lets it
        if loop.is_closed():
            break
        time.sleep(0.05)
    assert loop.is_closed()


def test_metadata_tells_what_the_file_is(entry, stages):
    metadata = asset_of(entry).metadata
    assert "UNTRAINED" in metadata.model_description
    assert metadata.license == "CC0-1.0 (https://example.org/license)"
    assert "https://example.org/source" in metadata.author
    custom = metadata.creator_defined_metadata
    assert custom["trained"] == "false"
    for stage, name in zip(stages, ("encode", "decode"), strict=True):
        for spec in (*stage.inputs, *stage.outputs):
            assert custom[f"{name}.{spec.name}"] == spec.meaning
    assert Provenance.from_metadata(custom, "it").point_slots == 8


def test_the_manifest_lists_the_file_under_both_stages(entry):
    files = entry.facts.files
    assert set(files) == set(STAGE_NAMES)
    assert files["encoder"].path == files["decoder"].path


def test_one_stage_alone_cannot_be_had(tmp_path):
    with pytest.raises(UsageError, match="coreai keeps both stages in one file: leave out --stage decoder"):
        export(
            ExportRequest(
                tiny.NAME, "coreai", options_of("coreai", precision="float32"), tmp_path, ("decoder",), weights="seeded"
            )
        )


def test_float16_cannot_be_had(tmp_path):
    with pytest.raises(UsageError, match="coreai: there is no precision 'float16'; choose from: float32"):
        export(
            ExportRequest(tiny.NAME, "coreai", options_of("coreai", precision="float16"), tmp_path, weights="seeded")
        )


@pytest.mark.parametrize("damaged", ["main.mlirb", "main.hash", "metadata.json"])
def test_a_damaged_file_is_told(entry, tmp_path, damaged):
    path = tmp_path / "model.aimodel"
    shutil.copytree(entry.path("encoder"), path)
    (path / damaged).write_bytes((path / damaged).read_bytes()[:20])
    with pytest.raises(ContractError, match=r"model\.aimodel"):
        coreai.FORMAT.load(path, "encoder", RunOptions())


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ContractError, match=r"model\.aimodel cannot be read as Core AI"):
        coreai.FORMAT.load(tmp_path / "model.aimodel", "encoder", RunOptions())
