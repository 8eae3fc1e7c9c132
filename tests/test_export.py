"""One export from beginning to end, and what is left when it does not get there."""

import json
import os
import shutil
import signal
from dataclasses import replace

import pytest
import tiny
import torch
from editing import edit_facts

from lightsam.errors import ArtifactExistsError, ContractError, ExportError, FormatUnavailableError, UsageError
from lightsam.files import WriteError
from lightsam.stages import STAGE_NAMES
from lightsam_exporters import artifacts, facts
from lightsam_exporters.formats import FORMATS, coreml, describe_format, options_of
from lightsam_exporters.loading import exports, find_export, load_pair, load_predictor
from lightsam_exporters.manifest import read
from lightsam_exporters.pipeline import ExportRequest, RejectedError, export
from lightsam_exporters.provenance import Provenance


@pytest.fixture
def request_for(tmp_path):
    """An export of the tiny model below ``tmp_path``."""

    def make(**changes) -> ExportRequest:
        options = options_of("coreml", precision=changes.pop("precision", "float16"), **changes.pop("options", {}))
        base = ExportRequest(tiny.NAME, "coreml", options, tmp_path, weights="seeded")
        return replace(base, **changes)

    return make


@pytest.fixture
def no_converter(monkeypatch):
    """Fail loudly if anything is converted."""

    def convert(*_, **__):
        raise AssertionError("work was begun")

    monkeypatch.setattr(coreml.CoreML, "export", convert)


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_manifest_describes_the_files(exported):
    manifest = read(exported / "manifest.json")
    assert (manifest.model, manifest.image_size) == (tiny.NAME, tiny.SIZE)
    assert set(manifest.exports) == {"coreml-float32", "coreml-float16"}
    for name, entry in manifest.exports.items():
        assert entry == facts.read(exported / name)
        assert set(entry.files) == {"encoder", "decoder"}
        for stage, file in entry.files.items():
            path = exported / name / file.path
            assert path.name == f"{stage}.mlpackage"
            assert file.provenance.trained is False
            assert file.sha256 == artifacts.sha256(path)
            assert file.size_bytes == sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
            assert file.tools["coremltools"]
    sizes = {name: entry.files["encoder"].size_bytes for name, entry in manifest.exports.items()}
    assert 1.6 < sizes["coreml-float32"] / sizes["coreml-float16"] < 2.1


def test_nothing_but_the_result_is_left(exported):
    assert {path.name for path in exported.iterdir()} == {"coreml-float32", "coreml-float16", "manifest.json", ".lock"}


def test_another_size_has_a_folder_of_its_own():
    assert (
        artifacts.model_folder(tiny.CARD and __import__("pathlib").Path("out"), tiny.CARD, 192).name == "tiny_sam-192"
    )


def test_what_is_there_is_not_replaced_unasked(own_export, request_for, no_converter):
    before = snapshot(own_export)
    with pytest.raises(ArtifactExistsError, match=r"encoder\.mlpackage is there already: give --overwrite"):
        export(request_for())
    assert snapshot(own_export) == before


def test_one_stage_is_exported_beside_the_other(own_export, request_for):
    before = facts.read(own_export / "coreml-float16")
    export(request_for(stages=("decoder",), overwrite=True, options={"point_slots": 5}))
    entry = facts.read(own_export / "coreml-float16")
    assert entry.files["encoder"] == before.files["encoder"]
    assert entry.files["encoder"].options["point_slots"] == 8
    assert entry.files["decoder"].options["point_slots"] == 5
    assert entry.files["decoder"].inputs[1].shape == [1, 5, 2]
    assert {m.scope for m in entry.parity.measurements} == {"encoder", "decoder", "chain"}
    (loaded,) = (e for e in exports(own_export) if e.name == "coreml-float16")
    assert loaded.options.point_slots == 5


def test_a_stage_that_nothing_is_known_of_is_not_kept(own_export, request_for, no_converter):
    (own_export / "coreml-float16" / "export.json").write_text("{", encoding="utf-8")
    before = snapshot(own_export)
    with pytest.raises(ContractError, match=r"export\.json cannot be read"):
        export(request_for(stages=("decoder",), overwrite=True))
    assert snapshot(own_export) == before


def test_a_stage_that_the_facts_do_not_list_is_neither_kept_nor_lost(own_export, request_for, no_converter):
    edit_facts(own_export / "coreml-float16", lambda facts: facts["files"].pop("encoder"))
    before = snapshot(own_export)
    with pytest.raises(ContractError, match="says nothing of the encoder beside it"):
        export(request_for(stages=("decoder",), overwrite=True))
    assert snapshot(own_export) == before


def test_a_stage_that_was_changed_is_not_passed_off_for_a_good_one(own_export, request_for):
    weights = next((own_export / "coreml-float16" / "encoder.mlpackage").rglob("weight.bin"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RejectedError, match=r"encoder: .* has changed since it was exported"):
        export(request_for(stages=("decoder",), overwrite=True))


def test_a_decoder_of_other_weights_is_refused_beside_the_old_encoder(own_export, request_for, tmp_path, tiny_model):
    state = {name: tensor * 1.01 for name, tensor in tiny_model.state_dict().items()}
    torch.save(state, tmp_path / "other.pt")
    before = snapshot(own_export)
    with pytest.raises(ContractError, match=r"not a pair: weights seeded and other\.pt"):
        export(request_for(stages=("decoder",), overwrite=True, weights=str(tmp_path / "other.pt")))
    assert snapshot(own_export) == before


def test_a_pair_of_different_weights_is_refused(own_export, request_for, tmp_path, tiny_model, lightsam, photograph):
    torch.save({n: t * 1.01 for n, t in tiny_model.state_dict().items()}, tmp_path / "other.pt")
    folder, _ = export(request_for(weights=str(tmp_path / "other.pt"), output=tmp_path / "other"))
    mine, other = (find_export(f, "coreml", "float16").path("decoder") for f in (own_export, folder))
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    with pytest.raises(ContractError, match="not a pair"):
        load_pair(find_export(own_export, precision="float16"))
    done = lightsam("predict", photograph, "--artifacts", own_export, "--precision", "float16", "--point", "3,3")
    assert done.status == 1
    assert "not a pair" in done.stderr
    # a user's checkpoint is found again by its digest
    assert lightsam("parity", folder, "--suite", "quick", "--weights", tmp_path / "other.pt").status == 0
    assert "say where it is with --weights" in lightsam("parity", folder, "--suite", "quick").stderr


def test_an_export_that_fails_its_gate_replaces_nothing(own_export, request_for, monkeypatch):
    gates = describe_format("coreml").gates
    monkeypatch.setitem(gates, "float16", replace(gates["float16"], psnr_db=500))
    before = snapshot(own_export)
    with pytest.raises(
        RejectedError, match=r"coreml-float16\.rejected does not answer as PyTorch does: encoder, coffee: "
    ) as caught:
        export(request_for(overwrite=True))
    assert caught.value.report.failures
    after = snapshot(own_export)
    assert {path: content for path, content in after.items() if not path.parts[0].endswith(".rejected")} == before
    assert (own_export / "coreml-float16.rejected" / "decoder.mlpackage").is_dir()


def test_a_gate_that_fails_ends_the_command_with_1(request_for, monkeypatch, lightsam, tmp_path):
    gates = describe_format("coreml").gates
    monkeypatch.setitem(gates, "float16", replace(gates["float16"], psnr_db=500))
    done = lightsam("export", tiny.NAME, "--weights", "seeded", "--output", tmp_path, "--stage", "decoder")
    assert done.status == 1
    assert "FAIL decoder, coffee, point: low_res_masks: PSNR" in done.stdout
    assert not (tmp_path / tiny.NAME / "coreml-float16").exists()


def test_a_kill_in_the_middle_loses_nothing(own_export, start_lightsam, request_for, tmp_path):
    before = snapshot(own_export)
    process = start_lightsam(
        "export", tiny.NAME, "--weights", "seeded", "--output", tmp_path, "--overwrite", "--precision", "float16"
    )
    for line in process.stderr:
        if "converting the decoder" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(own_export.glob(f"{artifacts._STAGING}*"))  # it really was at work
    unfinished = {path for path in snapshot(own_export) if path.parts[0].startswith(artifacts._STAGING)}
    assert {path: content for path, content in snapshot(own_export).items() if path not in unfinished} == before
    load_predictor(own_export, precision="float16")

    export(request_for(stages=("decoder",), overwrite=True))  # the next run clears up
    assert not list(own_export.glob(f"{artifacts._STAGING}*"))


@pytest.mark.parametrize("new_one_was_there", [False, True])
def test_a_kill_between_the_two_renames_is_put_right(tmp_path, new_one_was_there):
    previous = tmp_path / f"{artifacts._PREVIOUS}coreml-float16"
    previous.mkdir()
    (previous / "file").write_text("old", encoding="utf-8")
    if new_one_was_there:
        (tmp_path / "coreml-float16").mkdir()
        (tmp_path / "coreml-float16" / "file").write_text("new", encoding="utf-8")
    with artifacts.exclusive(tmp_path):
        assert (tmp_path / "coreml-float16" / "file").read_text(encoding="utf-8") == (
            "new" if new_one_was_there else "old"
        )
        assert not previous.exists()


def test_two_exports_at_once_are_refused(own_export, request_for, no_converter):
    with artifacts.exclusive(own_export), pytest.raises(ExportError, match="another export is writing"):
        export(request_for(overwrite=True))


def test_a_disk_that_is_too_small_is_refused_before_any_work(own_export, request_for, no_converter, monkeypatch):
    before = snapshot(own_export)
    usage = shutil.disk_usage(own_export)._replace(free=1_000_000)
    monkeypatch.setattr(artifacts.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(WriteError, match="has 1 MB free and this export needs about"):
        export(request_for(overwrite=True))
    assert snapshot(own_export) == before


def test_a_stage_alone_needs_space_for_itself(request_for, no_converter, monkeypatch):
    needed = {}
    for stages in (STAGE_NAMES, ("encoder",), ("decoder",)):

        def measure(folder, size, stages=stages):
            needed[stages] = size
            raise WriteError("measured")

        monkeypatch.setattr(artifacts, "require_space", measure)
        with pytest.raises(WriteError, match="measured"):
            export(request_for(overwrite=True, stages=stages))
    assert needed["encoder",] + needed["decoder",] == needed[STAGE_NAMES]
    assert min(needed.values()) > 0


@pytest.mark.parametrize("limit", [200_000, 5_000_000])
def test_a_disk_that_fills_up_loses_nothing(own_export, start_lightsam, tmp_path, limit):
    """Files cannot grow past the limit, as on a full disk: the converter's own and ours fail in the middle."""
    before = snapshot(own_export)
    process = start_lightsam(
        "export", tiny.NAME, "--weights", "seeded", "--output", tmp_path, "--overwrite", "--precision", "float32",
        before="import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))",
    )  # fmt: skip
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1, stderr
    assert stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in stderr
    assert snapshot(own_export) == before


def test_an_unwritable_folder_is_refused(tmp_path, lightsam, no_converter):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    done = lightsam("export", tiny.NAME, "--weights", "seeded", "--output", tmp_path / "file" / "artifacts")
    assert done.status == 1
    assert done.stderr.splitlines() == [f"error: cannot write to {tmp_path}/file/artifacts/tiny_sam: Not a directory"]


@pytest.mark.parametrize("content", ["{", '{"schema": 99}', None])
def test_a_damaged_manifest_is_made_anew(own_export, lightsam, content):
    manifest = own_export / "manifest.json"
    before = manifest.read_text(encoding="utf-8")
    if content is None:
        manifest.unlink()
    else:
        manifest.write_text(content, encoding="utf-8")
    assert {one.name for one in exports(own_export)} == {"coreml-float16", "coreml-float32"}
    assert manifest.read_text(encoding="utf-8") == before


def test_an_export_whose_facts_are_damaged_is_told(own_export, lightsam):
    path = own_export / "coreml-float16" / "export.json"
    path.write_text("{", encoding="utf-8")
    done = lightsam("parity", own_export, "--suite", "quick")
    assert done.status == 1
    assert f"{path} cannot be read as the facts of an export" in done.stderr
    path.write_text(json.dumps({"schema": 99}), encoding="utf-8")
    assert "is of schema 99 and this lightsam reads 3" in lightsam("parity", own_export).stderr


def test_the_rules_of_the_model_stand_beside_its_files(own_export):
    (found,) = (one for one in exports(own_export) if one.name == "coreml-float16")
    assert found.facts.rules == tiny.CARD.skeleton(tiny.SIZE).rules
    manifest = json.loads((own_export / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["exports"]["coreml-float16"]["rules"]["preprocess"] == {
        "image_size": tiny.SIZE,
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "fit": "pad",
        "mask_resize": "bilinear",
    }


def test_files_of_version_1_of_the_contract_say_so(own_export, lightsam):
    def change(facts):
        facts["files"]["decoder"]["provenance"].update(contract_version="1")

    edit_facts(own_export / "coreml-float16", change)
    done = lightsam("parity", own_export / "coreml-float16")
    assert done.status == 1
    assert done.stderr.count("\n") == 1
    assert (
        "export.json: the decoder is of version 1 of the stage contract, and this lightsam reads version 2: export it "
        "again" in done.stderr
    )


def test_a_file_alone_says_of_which_version_it_is(own_export):
    (found,) = (one for one in exports(own_export) if one.name == "coreml-float16")
    metadata = {**found.provenance.metadata(), "contract_version": "1"}
    with pytest.raises(ContractError, match=r"x\.onnx is of version 1 of the stage contract, and this lightsam reads"):
        Provenance.from_metadata(metadata, "x.onnx")


def test_options_that_a_format_does_not_have_are_told(own_export):
    edit_facts(own_export / "coreml-float16", lambda facts: facts["files"]["encoder"]["options"].update(image_input=3))
    with pytest.raises(ContractError, match=r"export\.json is damaged or not a format's options: .*image_input"):
        exports(own_export)


@pytest.mark.parametrize("name", ["../coreml-float32/encoder.mlpackage", "/etc/passwd", "..", "", "c:encoder", "a\\b"])
def test_a_file_outside_the_exports_folder_is_refused(own_export, name):
    path = own_export / "coreml-float16" / "export.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["files"]["encoder"]["path"] = name
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ContractError, match="not a name in its own folder"):
        exports(own_export)


def test_a_manifest_that_cannot_be_written_stays_as_it_was(own_export, monkeypatch, request_for):
    before = (own_export / "manifest.json").read_bytes()

    def replace_file(source, target):
        if str(target).endswith("manifest.json"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    rename = os.replace
    monkeypatch.setattr(os, "replace", replace_file)
    with pytest.raises(WriteError, match=r"cannot write .*manifest\.json: No space left on device"):
        export(request_for(stages=("decoder",), overwrite=True))
    assert (own_export / "manifest.json").read_bytes() == before
    assert not [path for path in own_export.iterdir() if path.name.startswith(".manifest")]


def test_a_format_that_is_not_installed_is_named(monkeypatch, request_for):
    monkeypatch.setattr(coreml.CoreML, "requires", ("no_such_package",))
    with pytest.raises(FormatUnavailableError, match=r"'no_such_package'.*pip install .*\[coreml\]"):
        export(request_for())


def test_a_format_or_stage_that_does_not_exist_is_refused(request_for):
    with pytest.raises(UsageError, match=f"no format 'gguf'; the formats are: {', '.join(FORMATS)}"):
        options_of("gguf")
    with pytest.raises(UsageError, match="no stage 'neck'; the stages are: encoder, decoder"):
        request_for(stages=("neck",))


def test_a_number_of_slots_is_kept(request_for, coffee):
    from lightsam import Prompt
    from lightsam.errors import PromptError

    folder, _ = export(request_for(options={"point_slots": 5}))
    predictor = load_predictor(folder)
    assert predictor.point_slots == 5
    encoding = predictor.encode(coffee)
    predictor.predict(encoding, Prompt(points=[(1, 1)] * 4))
    with pytest.raises(PromptError, match="export it with --point-slots 6"):
        predictor.predict(encoding, Prompt(points=[(1, 1)] * 5))
