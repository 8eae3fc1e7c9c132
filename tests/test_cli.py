"""The command as a user meets it."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from skimage import data

from lightsam.models import MODELS
from lightsam_exporters.formats import FORMATS, describe_format


@pytest.mark.parametrize(
    ("command", "unused"),
    [("--help", {"torch", "numpy", "coremltools", "PIL", "pooch"}), ("models", {"torch", "numpy", "coremltools"})],
)
def test_what_is_asked_often_imports_nothing_heavy(command, unused):
    """`lightsam models` in a second: torch alone takes longer."""
    code = (
        f"import sys; sys.argv = ['lightsam', {command!r}]\n"
        "from lightsam.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        f"print(sorted({unused} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert done.stdout.splitlines()[-1] == "[]"
    assert "lightsam" in done.stdout or "mobile_sam" in done.stdout


@pytest.mark.parametrize(
    "command", ["models", "export", "parity", "lint", "residency", "benchmark", "sweep", "predict", "everything"]
)
def test_every_command_has_help_with_examples(lightsam, command):
    done = lightsam(command, "--help")
    assert done.status == 0
    assert f"lightsam {command}" in done.stdout
    assert "Examples" in done.stdout


def test_the_options_of_every_format_are_those_of_the_command(lightsam):
    """Name, help and default: they are generated, so that a format needs no second place."""
    shown = " ".join(lightsam("export", "--help").stdout.replace("│", " ").split())
    for name in FORMATS:
        one = describe_format(name)
        assert f"{name}" in shown
        assert ", ".join(one.options.precisions()) in shown
        for option in one.options.described():
            assert option.flag in shown
            assert option.help in shown
            assert option.type is bool or f"{option.help} {option.default} by default." in shown


def test_version(lightsam):
    assert lightsam("--version").stdout.startswith("lightsam 0.")


def test_models_lists_every_model(lightsam):
    done = lightsam("models")
    assert done.status == 0
    for card in (MODELS[name] for name in tiny.PUBLISHED):
        row = next(line for line in done.stdout.splitlines() if f" {card.name} " in line)
        assert card.license in row
        assert str(card.image_sizes[0]) in row
    row = next(line for line in done.stdout.splitlines() if " mobile_sam " in line)
    assert "4.1 M" in row  # of SAM's decoder
    assert "38.4" in row  # GMACs of the encoder
    mark = next(line.split()[0] for line in done.stdout.splitlines() if "RepViT-SAM README" in line)
    assert f"482.2 {mark}" in row  # published, with its source


def pixels(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image)


@pytest.fixture
def predict(lightsam, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: lightsam("predict", "--model", tiny.NAME, "--weights", "seeded", *arguments)


def test_predict_writes_the_best_mask_and_an_overlay(predict, tmp_path, photograph, tiny_predictor, coffee):
    from lightsam import Prompt

    done = predict(photograph, "--point", "300,150", "--save-logits", "logits.npy")
    assert done.status == 0, done.stderr
    prediction = tiny_predictor.predict(tiny_predictor.encode(coffee), Prompt(points=[(300, 150)]))
    mask = pixels("mask.png")
    assert np.array_equal(mask > 0, prediction.masks[prediction.best])
    assert set(np.unique(mask)) == {0, 255}
    assert np.array_equal(np.load(tmp_path / "logits.npy"), prediction.low_res_masks[prediction.best])
    overlay = pixels("mask_overlay.png")
    image = np.asarray(coffee)
    assert overlay.shape == image.shape
    inside, outside = prediction.masks[prediction.best].copy(), ~prediction.masks[prediction.best]
    assert (overlay[inside] != image[inside]).any(axis=-1).mean() > 0.95
    assert (overlay[outside] == image[outside]).all(axis=-1).mean() > 0.5
    assert done.stdout.count("0.") >= 3  # three masks for a lone point, with their predicted IoUs


def test_predict_refines_an_earlier_answer(predict, tmp_path, photograph):
    assert predict(photograph, "--point", "300,150", "--save-logits", "logits.npy").status == 0
    first = pixels("mask.png")
    done = predict(photograph, "--point", "300,150", "--mask-input", "logits.npy", "--output", "again.png")
    assert done.status == 0, done.stderr
    assert not np.array_equal(first, pixels("again.png"))


def test_predict_answers_from_artifacts_as_from_pytorch(predict, lightsam, tmp_path, exported, photograph):
    assert predict(photograph, "--box", "100,80,400,300", "--point", "250,150,0").status == 0
    for precision, least in (("float32", 0.9999), ("float16", 0.99)):
        done = lightsam(
            "predict", photograph, "--artifacts", exported, "--precision", precision, "--box", "100,80,400,300",
            "--point", "250,150,0", "--output", f"{precision}.png",
        )  # fmt: skip
        assert done.status == 0, done.stderr
        same = pixels(f"{precision}.png") == pixels("mask.png")
        assert same.mean() >= least


def odd_images(folder):
    coffee = Image.fromarray(data.coffee())
    exif = Image.Exif()
    exif[0x0112] = 6
    coffee.convert("L").save(folder / "grey.png")
    coffee.convert("RGBA").save(folder / "rgba.png")
    coffee.resize((1, 300)).save(folder / "one_pixel_wide.png")
    coffee.save(folder / "rotated.jpg", exif=exif)
    return {
        "grey.png": ("300,150", (600, 400)),
        "rgba.png": ("300,150", (600, 400)),
        "one_pixel_wide.png": ("0,150", (1, 300)),
        "rotated.jpg": ("150,300", (400, 600)),
    }


@pytest.mark.parametrize("name", ["grey.png", "rgba.png", "one_pixel_wide.png", "rotated.jpg"])
def test_odd_images_work(predict, tmp_path, name):
    point, size = odd_images(tmp_path)[name]
    done = predict(tmp_path / name, "--point", point)
    assert done.status == 0, done.stderr
    assert pixels("mask.png").shape == size[::-1]
    assert pixels("mask_overlay.png").shape == (*size[::-1], 3)


def bad_inputs(folder, state):
    """Files that are wrong in one way each."""
    (folder / "text.pt").write_text("no checkpoint", encoding="utf-8")
    (folder / "text.png").write_text("no image", encoding="utf-8")
    torch.save(state, folder / "whole.pt")
    (folder / "truncated.pt").write_bytes((folder / "whole.pt").read_bytes()[:10_000])
    torch.save({name: tensor * float("nan") for name, tensor in state.items()}, folder / "nan.pt")
    torch.save({"other.weight": torch.zeros(2)}, folder / "other.pt")
    Image.fromarray(data.coffee()).save(folder / "photo.png")
    (folder / "truncated.png").write_bytes((folder / "photo.png").read_bytes()[:9000])
    np.save(folder / "small.npy", np.zeros((8, 8), np.float32))


BAD = [
    ("export sam9", 2, "there is no model 'sam9'; the models are: edge_sam"),
    ("export tiny_sam --to gguf", 2, "there is no format 'gguf'"),
    (
        "export tiny_sam --precision int3",
        2,
        "there is no precision 'int3'; choose from: float16, float32, float16-safe",
    ),
    ("export tiny_sam --stage neck", 2, "there is no stage 'neck'"),
    ("export tiny_sam --image-size 1000", 2, "tiny_sam does not run at image size 1000; it runs at 128, 192"),
    ("export tiny_sam --minimum-deployment-target iOS9", 2, "there is no minimum deployment target 'iOS9'"),
    ("export tiny_sam --weights none.pt", 1, "there is no checkpoint none.pt"),
    ("export tiny_sam --weights text.pt", 1, "text.pt is damaged or not a checkpoint"),
    ("export tiny_sam --weights truncated.pt", 1, "truncated.pt is damaged or not a checkpoint"),
    ("export tiny_sam --weights nan.pt", 1, "nan.pt holds NaN or infinity"),
    ("export tiny_sam --weights other.pt", 1, "other.pt is not a tiny_sam checkpoint; keys: 267 missing"),
    ("export tiny_sam --weights official", 1, "the checkpoint of tiny_sam cannot be had"),
    ("parity nowhere", 1, "nowhere holds no export"),
    ("predict none.png --point 1,1", 2, "there is no image none.png"),
    ("predict text.png --point 1,1", 2, "text.png cannot be read as an image"),
    ("predict truncated.png --point 1,1", 2, "truncated.png cannot be read as an image"),
    ("predict photo.png", 2, "an empty prompt has no answer"),
    ("predict photo.png --point 600,10", 2, "the point 600,10 is outside the image, which is 600 x 400"),
    ("predict photo.png --point one,two", 2, "'one,two' is not a point: give --point X,Y or X,Y,LABEL"),
    ("predict photo.png --point 1,1,7", 2, "a point's label is 1 (foreground) or 0 (background), not 7"),
    ("predict photo.png --box 1,1,700,20", 2, "the box 1,1,700,20 reaches outside the image"),
    ("predict photo.png --box 1,1,20", 2, "'1,1,20' is not a box"),
    ("predict photo.png --box 50,50,10,60", 2, "has no area"),
    ("predict photo.png --mask-input none.npy", 2, "none.npy cannot be read as the logits of an earlier answer"),
    ("predict photo.png --mask-input text.pt", 2, "text.pt cannot be read as the logits of an earlier answer"),
    ("predict photo.png --mask-input small.npy", 2, "a mask prompt is (32, 32) logits"),
    ("predict photo.png --point 1,1 --output mask.xyz", 2, "mask.xyz ends in .xyz, which is no image's: give .png"),
    ("predict photo.png --point 1,1 --output photo.png/mask.png", 1, "cannot write to photo.png"),
    ("predict photo.png --point 1,1 --artifacts nowhere", 1, "nowhere holds no export"),
]


@pytest.mark.parametrize(("line", "status", "message"), BAD, ids=[line for line, _, _ in BAD])
def test_bad_input_gets_one_line_and_a_status(tmp_path, monkeypatch, lightsam, tiny_model, line, status, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path / "cache"))
    bad_inputs(tmp_path, tiny_model.state_dict())
    before = set(os.listdir(tmp_path))
    arguments = line.split()
    if arguments[0] == "predict":
        arguments += ["--model", tiny.NAME]
    if arguments[0] in ("predict", "export") and "--weights" not in arguments:
        arguments += ["--weights", "seeded"]
    done = lightsam(*arguments)
    assert done.status == status
    *progress, error = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert not [line for line in progress if "error" in line.lower() or "Traceback" in line]
    # Nothing is written but, for an export, the empty folder that it wanted to write to.
    left = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file() and path.name != ".lock"]
    assert left == []
    assert set(os.listdir(tmp_path)) - before <= {"artifacts", "cache"}


def test_wrong_options_end_with_2(lightsam):
    done = lightsam("export", tiny.NAME, "--no-such-option")
    assert done.status == 2
    assert "No such option" in done.stderr


def test_parity_of_a_folder_above_names_the_folders_inside(exported, lightsam):
    done = lightsam("parity", exported.parent)
    assert done.status == 1
    assert "did you mean one of its folders: tiny_sam?" in done.stderr


def test_an_interrupt_is_one_line(start_lightsam, tmp_path):
    import signal

    process = start_lightsam("export", tiny.NAME, "--weights", "seeded", "--output", tmp_path)
    for line in process.stderr:
        if "converting the encoder" in line:
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert not (tmp_path / tiny.NAME / "coreml-float16").exists()
    assert not list((tmp_path / tiny.NAME).glob(".staging-*"))


def test_auto_weights_warn_loudly(predict, lightsam, tmp_path, photograph, monkeypatch):
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path / "cache"))
    question = ("predict", photograph, "--model", tiny.NAME, "--point", "3,3")
    done = lightsam(*question, "--weights", "auto")
    assert done.status == 0
    assert "SEEDED, UNTRAINED" in done.stderr


def test_predict_never_takes_random_weights_unless_told(lightsam, tmp_path, photograph, monkeypatch):
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    done = lightsam("predict", photograph, "--model", tiny.NAME, "--point", "3,3")
    assert done.status == 1
    assert "No trained weights of tiny_sam can be had" in done.stderr
    assert "--weights seeded" in done.stderr
    assert not (tmp_path / "mask.png").exists()
