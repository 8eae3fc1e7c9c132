"""``lightsam bundle``: what an app developer is handed is whole, is the same each time, or is refused."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightsam.shapes import mask_of_counts
from lightsam_exporters import artifacts, facts
from lightsam_exporters.handoff import bundle as bundling
from lightsam_exporters.handoff.description import ModelDescription, describe
from lightsam_exporters.handoff.licenses import code_text, weights_text
from lightsam_exporters.handoff.platforms import PLATFORMS
from lightsam_exporters.loading import load_predictor

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def bundled(exports_of, tmp_path_factory):
    """A bundle of each platform, as a folder."""
    from command import run_command

    folder = tmp_path_factory.mktemp("bundles")
    for name, platform in PLATFORMS.items():
        export = exports_of(platform.format, "float32")
        done = run_command(
            "bundle",
            export.model_folder,
            "--for",
            name,
            "--precision",
            "float32",
            "--output",
            folder / name,
            "--allow-untrained",
        )
        assert done.status == 0, done.stderr
        assert str(folder / name) in done.stdout
    return folder


@pytest.fixture(params=PLATFORMS)
def one(request, bundled, exports_of):
    """A platform, its bundle, and the export that it was made of."""
    platform = PLATFORMS[request.param]
    return platform, bundled / platform.name, exports_of(platform.format, "float32")


def test_it_holds_the_files_that_were_judged(one):
    platform, folder, export = one
    about = json.loads((folder / platform.resources / "model.json").read_text(encoding="utf-8"))
    for stage, file in export.facts.files.items():
        entry = about["stages"][stage]
        assert artifacts.sha256(folder / platform.resources / entry["path"]) == file.sha256 == entry["sha256"]
        for part in entry["files"]:
            path = folder / platform.resources / part["path"]
            assert (artifacts.sha256(path), path.stat().st_size) == (part["sha256"], part["size_bytes"])
    assert about["pairing_id"] == export.provenance.pairing_id
    assert about["rules"]["preprocess"]["padding_colour"] == [124, 116, 104]


def test_it_holds_the_code_and_the_vectors(one):
    platform, folder, _ = one
    contract = {"swift": "Sources/LightSAMCore/Contract.swift", "web": "contract.js"}
    path = contract.get(platform.name, "src/main/kotlin/lightsam/Contract.kt")
    assert (folder / path).read_bytes() == (ROOT / platform.part / path).read_bytes()
    for vectors in (ROOT / "tests" / "vectors").glob("*.json"):
        assert (folder / platform.vectors / vectors.name).read_bytes() == vectors.read_bytes()
    names = {part for path in folder.rglob("*") for part in path.relative_to(folder).parts}
    assert not names & {".build", "node_modules", "__pycache__", ".git"}


def test_its_golden_answers_are_those_of_the_files(one):
    platform, folder, export = one
    answers = folder / platform.answers
    asked = json.loads((answers / "answers.json").read_text(encoding="utf-8"))
    predictor = load_predictor(export.folder)
    with Image.open(answers / asked["image"]) as image:
        encoding = predictor.encode(image)
    assert {case["name"] for case in asked["cases"]} >= {"point", "box", "refined"}
    for case in asked["cases"]:
        prompt = _prompt(case["prompt"])
        (expected,) = predictor.predict_batch(encoding, [prompt], best_only=True)
        mask = mask_of_counts(case["counts"], asked["width"], asked["height"])
        logits = np.fromfile(answers / case["low_res_mask"], "<f4").reshape(expected.low_res_masks[0].shape)
        # Another run of the same runtime may round otherwise.
        assert np.abs(logits - expected.low_res_masks[0]).max() < 1e-3
        assert (mask != expected.masks[0]).mean() < 1e-3
        assert case["iou_predictions"][case["shown"]] == pytest.approx(float(expected.iou_predictions[0]), abs=1e-4)


def _prompt(content):
    import base64

    from lightsam import Prompt

    mask = content["mask"]
    if mask is not None:
        mask = np.frombuffer(base64.b64decode(mask["logits"]), "<f4").reshape(mask["side"], mask["side"])
    return Prompt(content["points"], content["labels"], content["box"], mask)


def test_every_link_of_its_pages_leads_somewhere(one):
    _, folder, _ = one
    for page in folder.glob("*.md"):
        links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        for link in links:
            if not link.startswith(("https://", "#")):
                assert (folder / link.split("#")[0]).is_file(), f"{page.name}: {link}"
    assert len(re.findall(r"!\[", (folder / "MODEL_CARD.md").read_text(encoding="utf-8"))) >= 4


def test_its_card_says_whose_it_is_and_what_was_found(one):
    _, folder, export = one
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "untrained, random numbers" in card
    assert export.provenance.pairing_id in card
    assert export.facts.parity.judge in card
    for file in export.facts.files.values():
        assert all(f"`{tensor.name}`" in card for tensor in (*file.inputs, *file.outputs))
        assert all(finding.source in card for finding in file.lint.findings)
    assert "lightsam evaluate" in card
    assert (folder / "LICENSE.txt").read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_units_that_compute_wrongly_are_left_out_with_the_reason(bundled):
    about = json.loads((bundled / "android/src/main/assets/lightsam/model.json").read_text(encoding="utf-8"))
    units = about["stages"]["decoder"]["units"]
    assert units["default"] == "CPU"
    assert units["allowed"] == ["CPU"]
    (left,) = units["left_out"]
    assert left["unit"] == "GPU"
    assert "aligned wrongly" in left["reason"]
    assert left["source"].startswith("https://")
    assert left["reason"] in (bundled / "android" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_float32_does_not_ask_for_the_neural_engine(exports_of):
    about = {
        precision: describe(exports_of("coreml", precision), PLATFORMS["swift"]) for precision in ("float16", "float32")
    }
    assert about["float16"].stages["encoder"].units.default == "CPU_AND_NE"
    assert about["float32"].stages["encoder"].units.default == "ALL"


def test_the_same_export_gives_the_same_bytes(lightsam, exports_of, tmp_path):
    folder = exports_of("onnx", "float32").folder
    for name in ("a.zip", "b.zip"):
        done = lightsam("bundle", folder, "--for", "web", "--output", tmp_path / name, "--allow-untrained")
        assert done.status == 0, done.stderr
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert {name.split("/")[0] for name in archive.namelist()} == {f"{folder.parent.name}-web"}
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_files_can_be_left_to_a_download(lightsam, exports_of, tmp_path):
    export = exports_of("coreml", "float32")
    url = "https://example.org/sam/{path}"
    arguments = ("--output", tmp_path / "x", "--resources", "download", "--url", url, "--allow-untrained")
    done = lightsam("bundle", export.folder, *arguments)
    assert done.status == 0, done.stderr
    assert "https://example.org/sam/" in done.stdout
    resources = tmp_path / "x" / PLATFORMS["swift"].resources
    assert [path.name for path in resources.iterdir()] == ["model.json"]
    about = json.loads((resources / "model.json").read_text(encoding="utf-8"))
    assert about["resources"]["url"] == url
    assert {part["path"] for part in about["stages"]["encoder"]["files"]} >= {"encoder.mlpackage/Manifest.json"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "random weights"),
        (("--allow-untrained", "--for", "iphone"), "swift, android, web"),
        (("--allow-untrained", "--for", "web"), "holds no onnx export"),
        (("--allow-untrained", "--precision", "float16-safe"), "float16-safe"),
        (("--allow-untrained", "--resources", "download"), "--url belong together"),
        (("--allow-untrained", "--url", "https://example.org/{path}"), "--url belong together"),
        (("--allow-untrained", "--resources", "download", "--url", "https://example.org/"), "has no {path}"),
        (("--allow-untrained", "--resources", "elsewhere"), "inside or download"),
        (("--allow-untrained", "--weights-license", "nowhere.txt"), "nowhere.txt"),
        (("--allow-untrained", "--record", "nowhere.json"), "nowhere.json"),
    ],
)
def test_a_wrong_request_is_one_line_and_leaves_nothing(lightsam, exported, tmp_path, arguments, said):
    done = lightsam("bundle", exported, "--output", tmp_path / "x.zip", *arguments)
    assert done.status in (1, 2)
    assert done.stderr.strip().splitlines()[-1].startswith("error:")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def _changed(folder: Path, change) -> None:
    path = folder / facts.FILE_NAME
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def _of_another_contract(content):
    for file in content["files"].values():
        file["provenance"]["contract_version"] = "1"


def _of_one_stage(content):
    del content["files"]["decoder"]


def _rejected(content):
    content["parity"]["measurements"][0]["failure"] = "12 dB is below the gate"


def _of_two_models(content):
    content["files"]["decoder"]["pairing_id"] = "0" * 16


def _of_floats(content):
    content["files"]["encoder"]["inputs"][0]["dtype"] = "float32"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_of_another_contract, "version 1 of the stage contract"),
        (_of_one_stage, "holds no decoder"),
        (_rejected, "12 dB is below the gate"),
        (_of_two_models, "other weights"),
        (_of_floats, "--image-input tensor"),
    ],
)
def test_an_export_that_must_not_reach_an_app_is_refused(lightsam, own_export, tmp_path, change, said):
    _changed(own_export / "coreml-float32", change)
    output = tmp_path / "out" / "x.zip"
    done = lightsam("bundle", own_export / "coreml-float32", "--output", output, "--allow-untrained")
    assert done.status in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2  # what was begun, and the error
    assert not output.parent.exists()


def _for_newer_systems(content):
    content["files"]["encoder"]["options"]["minimum_deployment_target"] = "iOS17"


def test_a_package_names_the_systems_that_its_files_need(lightsam, own_export, bundled, tmp_path):
    _changed(own_export / "coreml-float32", _for_newer_systems)
    output = tmp_path / "newer"
    done = lightsam("bundle", own_export / "coreml-float32", "--output", output, "--allow-untrained")
    assert done.status == 0, done.stderr
    package, older = ((folder / "Package.swift").read_text(encoding="utf-8") for folder in (output, bundled / "swift"))
    assert 'platforms: [.iOS("17.0"), .macOS("14.0"), .visionOS("1.0")]' in package
    assert 'platforms: [.iOS("16.0"), .macOS("13.0"), .visionOS("1.0")]' in older
    assert older == (ROOT / "swift" / "Package.swift").read_text(encoding="utf-8")
    assert "It needs iOS 17, macOS 14 or visionOS 1" in (output / "README.md").read_text(encoding="utf-8")


def test_a_changed_file_is_refused(lightsam, own_export, tmp_path):
    weights = own_export / "coreml-float32" / "encoder.mlpackage" / "Data/com.apple.CoreML/weights/weight.bin"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    done = lightsam("bundle", own_export / "coreml-float32", "--output", tmp_path / "x.zip", "--allow-untrained")
    assert done.status == 1
    assert "changed since it was exported" in done.stderr
    assert not (tmp_path / "x.zip").exists()


def test_what_is_there_is_kept_unless_told(lightsam, exports_of, bundled, tmp_path):
    folder = exports_of("onnx", "float32").folder
    path = tmp_path / "x.zip"
    path.write_text("mine", encoding="utf-8")
    command = ("bundle", folder, "--for", "web", "--allow-untrained", "--output")
    assert lightsam(*command, path).status == 2
    assert path.read_text(encoding="utf-8") == "mine"
    assert lightsam(*command, path, "--overwrite").status == 0
    assert zipfile.is_zipfile(path)
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.tex").write_text("mine", encoding="utf-8")
    done = lightsam(*command, own, "--overwrite")
    assert done.status == 2
    assert "did not write" in done.stderr
    assert (own / "thesis.tex").exists()
    again = Path(shutil.copytree(bundled / "web", tmp_path / "again"))
    assert lightsam(*command, again, "--overwrite").status == 0
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize("name", ["x.zip", "x"])
def test_a_full_disk_is_one_line_and_leaves_nothing(lightsam, exports_of, tmp_path, monkeypatch, name):
    def refuse(*_arguments, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundling.shutil, "copyfileobj" if name == "x.zip" else "copyfile", refuse)
    folder = exports_of("onnx", "float32").folder
    done = lightsam("bundle", folder, "--for", "web", "--allow-untrained", "--output", tmp_path / name)
    assert done.status == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_license_whose_text_is_not_here_must_be_given(exports_of, tmp_path):
    from dataclasses import replace

    from lightsam.errors import UsageError

    about = replace(
        exports_of("onnx", "float32").provenance, trained=True, license="LicenseRef-Own", weights_authors="Ada"
    )
    with pytest.raises(UsageError, match="--weights-license FILE"):
        weights_text(about)
    text = tmp_path / "own.txt"
    text.write_text("do as you like", encoding="utf-8")
    assert "do as you like" in weights_text(about, text)
    assert "Copyright (c) Ada" in weights_text(replace(about, license="MIT"))
    assert code_text() in weights_text(replace(about, license="Apache-2.0"))


@pytest.mark.usefixtures("own_processes")
def test_a_record_of_the_export_stands_in_the_card(exports_of, tmp_path, lightsam):
    export = exports_of("onnx", "float32")
    record = tmp_path / "record.json"
    method = ("--rounds", "1", "--min-count", "2", "--min-time", "0", "--warmup", "1", "--threads", "1")
    what = ("--format", "onnx", "--precision", "float32", "--unit", "CPU", "--stage", "decoder")
    done = lightsam("benchmark", export.model_folder, *what, *method, "--output", record)
    assert done.status == 0, done.stderr
    into = ("--allow-untrained", "--record", record, "--output")
    done = lightsam("bundle", export.folder, "--for", "web", *into, tmp_path / "x")
    assert done.status == 0, done.stderr
    card = (tmp_path / "x" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Stages, in milliseconds" in card
    assert "1 rounds, each in a fresh process" in card
    assert "its files differ from these" not in card
    content = json.loads(record.read_text(encoding="utf-8"))
    content["results"][0]["sha256"] = "0" * 64
    record.write_text(json.dumps(content), encoding="utf-8")
    assert lightsam("bundle", export.folder, "--for", "web", *into, tmp_path / "z").status == 0
    assert "its files differ from these" in (tmp_path / "z" / "MODEL_CARD.md").read_text(encoding="utf-8")
    other = exports_of("tflite", "float32")
    done = lightsam("bundle", other.folder, "--for", "android", *into, tmp_path / "y")
    assert done.status == 2
    assert "says nothing about" in done.stderr
    assert not (tmp_path / "y").exists()


def test_the_description_is_what_apps_read(one):
    from lightsam.documents import convert

    platform, folder, _ = one
    content = json.loads((folder / platform.resources / "model.json").read_text(encoding="utf-8"))
    about = convert(content, ModelDescription, "model.json", "a description")
    assert about.stages["encoder"].units.default in platform.units
    assert about.point_slots == (None if platform.name == "web" else 8)
