"""The images that compressed exports look at, and what is asked about each stage's precision."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
from PIL import Image

from lightsam.errors import ImageError, UsageError
from lightsam.transforms import open_image
from lightsam_exporters import facts
from lightsam_exporters.calibration import load_calibration
from lightsam_exporters.formats import FORMATS, describe_format, options_of
from lightsam_exporters.formats.base import no_inputs
from lightsam_exporters.formats.gate import Gate
from lightsam_exporters.formats.running import LoadedStage
from lightsam_exporters.parity.judge import judge
from lightsam_exporters.parity.reference import Reference
from lightsam_exporters.parity.suite import load_suite

COMPRESSING = [name for name in FORMATS if describe_format(name).options.compressed]


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        Image.new("RGB", (40, 30), (number * 40, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    return tmp_path


def test_images_come_in_a_seeded_order(folder):
    names = [one.name for one in load_calibration(folder).photographs]
    assert sorted(names) == [f"{number}.png" for number in range(6)]
    assert names != sorted(names)
    assert names == [one.name for one in load_calibration(folder).photographs]
    assert names != [one.name for one in load_calibration(folder, seed=1).photographs]
    assert [one.name for one in load_calibration(folder, limit=2).photographs] == names[:2]


def test_what_was_looked_at_is_told_apart(folder):
    about = load_calibration(folder).about
    assert about.startswith(f"{folder.name}, 6 images, sha256 ")
    Image.new("RGB", (40, 30), "blue").save(folder / "3.png")
    assert load_calibration(folder).about != about


def test_lightsams_own_photographs_are_there_without_a_folder():
    calibration = load_calibration()
    names = [one.name for one in calibration.photographs]
    assert len(names) == len(set(names)) >= 20
    whole, quarter = (
        next(one for one in calibration.photographs if part in one.name) for part in ("whole", "top left")
    )
    assert quarter.read().width * 2 <= whole.read().width + 1


def test_one_image_is_in_memory_at_a_time(folder, tiny_loaded, monkeypatch):
    opened, ours = [], open_image
    calibration = load_calibration(folder)
    steps = []
    inputs = calibration.stage_inputs("encoder", Reference(tiny_loaded), options_of("onnx"), steps.append)
    monkeypatch.setattr("lightsam_exporters.calibration.open_image", lambda path: opened.append(path) or ours(path))
    next(inputs)
    assert len(opened) == 1
    assert steps == ["calibrating the encoder: image 1 of 6"]
    assert len(list(inputs)) == 5


@pytest.mark.parametrize("stage", ["encoder", "decoder"])
def test_inputs_are_those_of_the_contract(folder, tiny_loaded, tiny_stages, stage):
    inputs = list(load_calibration(folder, 2).stage_inputs(stage, Reference(tiny_loaded), options_of("tflite")))
    assert len(inputs) == (2 if stage == "encoder" else 2 * 3)
    for given in inputs:
        assert {name: array.shape for name, array in given.items()} == {
            spec.name: spec.shape for spec in tiny_stages[stage].inputs
        }


@pytest.mark.parametrize(
    ("break_it", "error", "message"),
    [
        (lambda folder: folder / "missing", UsageError, "there is no folder of calibration images"),
        (lambda folder: (folder / "empty", (folder / "empty").mkdir())[0], UsageError, "holds no image"),
        (lambda folder: (folder, (folder / "2.png").write_bytes(b"\x89PNG damaged"))[0], ImageError, "2.png"),
    ],
)
def test_bad_folders_are_one_sentence(folder, break_it, error, message):
    given = break_it(folder)
    with pytest.raises(error, match=message):
        load_calibration(given).check()


def test_a_bad_folder_leaves_nothing(lightsam, folder, tmp_path):
    (folder / "2.png").write_bytes(b"no image at all")
    for given in (folder, tmp_path / "nowhere"):
        output = tmp_path / "out"
        done = lightsam(
            *("export", tiny.NAME, "--to", "onnx", "--precision", "w8a8", "--weights", "seeded"),
            *("--calibration", given, "--output", output),
        )
        assert done.status == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert not output.exists()


def test_images_that_nothing_looks_at_are_refused(lightsam, folder, tmp_path):
    done = lightsam(
        *("export", tiny.NAME, "--to", "coreml", "--precision", "w8", "--weights", "seeded"),
        *("--calibration", folder, "--output", tmp_path / "out"),
    )
    assert done.status == 2
    assert "--calibration changes nothing at --precision w8; precisions of coreml that look at images: " in done.stderr
    assert "w8a8, mixed" in done.stderr
    with pytest.raises(UsageError, match="the encoder must be calibrated on images, and none were given"):
        no_inputs("encoder")


# The precision of each stage


@pytest.mark.parametrize("name", COMPRESSING)
def test_a_decoder_stays_in_float16_unless_it_is_asked_for(name):
    for precision in describe_format(name).options.compressed:
        options = options_of(name, precision=precision)
        beside = "float32" if name == "coreai" else "float16"  # which has no float16
        assert [options.of_stage(stage).precision for stage in ("encoder", "decoder")] == [precision, beside]
        asked = options_of(name, precision=precision, decoder_precision=precision)
        assert asked.of_stage("decoder").precision == precision
    assert options_of(name, precision="float32").of_stage("decoder").precision == "float32"


@pytest.mark.parametrize("name", COMPRESSING)
def test_a_decoders_own_precision_is_for_compressed_encoders(name):
    with pytest.raises(UsageError, match=r"--decoder-precision is for compressed encoders \(.*\): at"):
        options_of(name, precision="float32", decoder_precision=describe_format(name).options.compressed[0])
    with pytest.raises(UsageError, match="there is no decoder_precision 'w3'; choose from: auto, "):
        options_of(name, precision=describe_format(name).options.compressed[0], decoder_precision="w3")


def test_a_precision_that_a_format_lacks_is_one_sentence(lightsam, tmp_path):
    done = lightsam("export", tiny.NAME, "--to", "tflite", "--precision", "palette4", "--output", tmp_path / "out")
    assert done.status == 2
    assert "tflite: there is no precision 'palette4'; choose from: float16, float32, " in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_stage_is_held_to_its_own_gate(tiny_stages, tiny_loaded, provenance):
    """A decoder in float16 beside a compressed encoder must not hide behind the encoder's looser gate."""

    def loaded(stage, noise):
        rng = np.random.default_rng(0)

        def run(inputs):
            outputs = stage.run(inputs)
            return {
                n: v + rng.normal(0, noise * np.abs(v).max(), v.shape).astype(np.float32) for n, v in outputs.items()
            }

        return LoadedStage(stage.name, run, provenance, "a test")

    loose, tight = Gate(20, 0.5, 0.1, 1, 0.1, ""), Gate(60, 0.5, 0.1, 1e-4, 0.1, "")
    reference = Reference(tiny_loaded)
    images = reference.reference_images(load_suite("quick"), options_of("coreml"))
    pair = loaded(tiny_stages.encoder, 0.02), loaded(tiny_stages.decoder, 0.02)
    assert judge(images, "quick", *pair, loose).passed
    report = judge(images, "quick", *pair, loose, decoder_gate=tight)
    assert {one.scope for one in report.measurements if one.failure} == {"decoder"}
    assert report.decoder_gate == tight
    report = judge(images, "quick", *pair, tight, decoder_gate=loose)
    assert {one.scope for one in report.measurements if one.failure} == {"encoder"}


# An export from end to end


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    from lightsam_exporters.loading import find_export
    from lightsam_exporters.pipeline import ExportRequest, export

    output = tmp_path_factory.mktemp("compressed")
    photographs = tmp_path_factory.mktemp("photographs")
    for number, image in enumerate(load_suite("quick").images):
        image.image.save(photographs / f"{number}.png")
    steps = []
    request = ExportRequest(
        tiny.NAME,
        "coreml",
        options_of("coreml", precision="w8a8"),
        output,
        weights="seeded",
        calibration=photographs,
    )
    folder, _ = export(request, steps.append)
    return find_export(folder, "coreml", "w8a8"), photographs, steps


def test_an_export_says_what_it_looked_at_and_how_weights_are_stored(compressed):
    entry, photographs, steps = compressed
    encoder, decoder = (entry.facts.files[name] for name in ("encoder", "decoder"))
    assert encoder.options["calibrated_on"] == load_calibration(photographs).about
    assert encoder.options["activation_ranges"]
    assert encoder.coverage > 0.95
    assert decoder.coverage == 0
    assert encoder.stored_weights == describe_format("coreml").stored_weights(entry.path("encoder"))
    assert "calibrating the encoder: image 1 of 1" in steps
    assert "converting the decoder to coreml, float16" in steps


def test_its_facts_survive_the_file(compressed):
    entry, *_ = compressed
    again = facts.read(entry.folder)
    assert again == replace(entry.facts)
    assert again.parity.decoder_gate == describe_format("coreml").gates["float16"]
    assert again.options("encoder").of_stage("decoder").precision == "float16"


def test_a_compressed_export_answers_prompts(compressed, coffee):
    from lightsam import Prompt
    from lightsam_exporters.loading import load_predictor

    predictor = load_predictor(compressed[0].folder)
    masks = predictor.predict(predictor.encode(coffee), Prompt(points=[(300, 200)])).masks
    assert masks.shape == (3, coffee.height, coffee.width)
