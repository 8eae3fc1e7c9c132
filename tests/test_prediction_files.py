"""What an answer is drawn and written as: all masks in one image, and names that would lose something are refused."""

import os

import numpy as np
import pytest
import tiny
from PIL import Image

from lightsam.cli.prediction_files import PredictionFiles, same_file
from lightsam.errors import UsageError
from lightsam.overlay import CAPTION_HEIGHT, FRAME_WIDTH, GAP, MASK_COLOUR, TILE, draw_all, draw_overlay
from lightsam.predictor import Prediction
from lightsam.prompts import Prompt

SIZES = [(40, 30), (600, 400), (400, 600), (4032, 3024)]


def prediction_about(width: int, height: int, best: int = 1) -> Prediction:
    """The left, the middle and the right third of an image."""
    columns = np.arange(width) * 3 // width
    masks = np.stack([np.broadcast_to(columns == index, (height, width)) for index in range(3)])
    scores = np.array([0.25, 0.5, 0.75], np.float32)
    scores[best] = 0.875
    return Prediction(masks, scores, np.zeros((3, 32, 32), np.float32))


def tiles_of(sheet: Image.Image, size: tuple[int, int], count: int = 3) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """Of each tile its pixels, those of its caption, and whether it stands in a blue frame."""
    scale = TILE / max(size)
    width, height = round(size[0] * scale), round(size[1] * scale)
    column = (sheet.width - GAP) // count
    pixels = np.asarray(sheet)
    assert sheet.height == GAP + height + CAPTION_HEIGHT + GAP
    found = []
    for left in range(GAP, GAP + count * column, column):
        tile = pixels[GAP : GAP + height, left : left + width]
        caption = pixels[GAP + height + FRAME_WIDTH + 1 :, left : left + column - GAP]
        ring = [
            pixels[GAP - FRAME_WIDTH : GAP, left : left + width],
            pixels[GAP + height : GAP + height + FRAME_WIDTH, left : left + width],
            pixels[GAP : GAP + height, left - FRAME_WIDTH : left],
            pixels[GAP : GAP + height, left + width : left + width + FRAME_WIDTH],
        ]
        sides = {bool((side == MASK_COLOUR).all()) for side in ring}
        assert len(sides) == 1  # a whole frame, or none of it
        found.append((tile, caption, sides.pop()))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_all_masks_stand_side_by_side(coffee, size):
    image, prediction = coffee.resize(size), prediction_about(*size)
    sheet = draw_all(image, prediction, Prompt(points=[(size[0] / 2, size[1] / 2)]))
    assert max(sheet.size) < 3 * (TILE + 2 * GAP)  # also of 12 megapixels
    tiles = tiles_of(sheet, size)
    assert [framed for _, _, framed in tiles] == [False, True, False]
    plain = np.asarray(image.resize(tiles[0][0].shape[1::-1], Image.Resampling.LANCZOS), int)
    for index, (tile, _, _) in enumerate(tiles):
        third = np.arange(tile.shape[1]) * 3 // tile.shape[1]
        # away from the outlines, and above the dot in the middle
        inner = np.abs(np.arange(tile.shape[1])[:, None] - np.arange(1, 3) * tile.shape[1] / 3).min(1) > TILE / 40
        top = slice(0, tile.shape[0] // 3)
        mine, others = inner & (third == index), inner & (third != index)
        tinted = (plain[top, mine] + np.array(MASK_COLOUR)) / 2
        assert np.abs(tile[top, mine] - tinted).max() <= 1
        assert (tile[top, others] == plain[top, others]).all()
        dot = tile[tile.shape[0] // 2, tile.shape[1] // 2]
        assert dot[1] > max(dot[0], dot[2]) + 50  # green: the prompt is in every tile, scaled with the image


@pytest.mark.parametrize("size", [(40, 30), (30, 300), (4032, 3024)])
def test_captions_can_be_read_at_every_size(coffee, size):
    """As large at a thumbnail as at 12 megapixels: the same words are the same pixels."""
    prediction = prediction_about(*size)
    captions = [tile[1] for tile in tiles_of(draw_all(coffee.resize(size), prediction, Prompt(points=[(1, 1)])), size)]
    inked = [(caption < 128).all(-1) for caption in captions]
    for ink in inked:
        rows = np.flatnonzero(ink.any(1))
        assert 12 <= np.ptp(rows) <= 24  # pixels high, none of them cut off
        assert rows[-1] < ink.shape[0] - 2
        assert np.flatnonzero(ink.any(0))[-1] < ink.shape[1] - 1
    assert np.ptp(np.flatnonzero(inked[1].any(0))) > np.ptp(np.flatnonzero(inked[0].any(0))) + 40  # ", chosen"
    reference = tiles_of(draw_all(coffee, prediction_about(600, 400), Prompt(points=[(1, 1)])), (600, 400))
    for ink, (_, caption, _) in zip(inked, reference, strict=True):
        width = min(ink.shape[1], caption.shape[1])
        assert (ink[:, :width] == (caption < 128).all(-1)[:, :width]).all()


def test_captions_tell_the_predicted_iou(coffee):
    low, high = prediction_about(600, 400), prediction_about(600, 400)
    high.iou_predictions[2] = 0.8
    sheets = [tiles_of(draw_all(coffee, prediction, Prompt(points=[(1, 1)])), (600, 400)) for prediction in (low, high)]
    changed = [not np.array_equal(one[1], other[1]) for one, other in zip(*sheets, strict=True)]
    assert changed == [False, False, True]


def test_the_mask_of_a_box_is_one_tile(coffee):
    prediction = prediction_about(600, 400, best=0)
    one = Prediction(prediction.masks[:1], prediction.iou_predictions[:1], prediction.low_res_masks[:1])
    prompt = Prompt(box=(60, 40, 300, 200))
    ((tile, _, framed),) = tiles_of(draw_all(coffee, one, prompt), (600, 400), count=1)
    assert framed
    small, covered = coffee.resize((480, 320), Image.Resampling.LANCZOS), np.zeros((320, 480), bool)
    covered[:, :160] = True
    assert (tile == np.asarray(draw_overlay(small, covered, Prompt(box=(48, 32, 240, 160))))).all()


def test_links_and_relative_parts_are_seen_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(b"it")
    (tmp_path / "other.png").write_bytes(b"it")
    (tmp_path / "link.png").symlink_to("photo.png")
    os.link("photo.png", "hard.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to("folder")
    path = type(tmp_path)
    photo = path("photo.png")
    for name in ("photo.png", "./photo.png", "folder/../photo.png", "way/../photo.png", "link.png", "hard.png"):
        assert same_file(path(name), photo), name
        assert same_file(tmp_path / name, photo), name
    assert not same_file(path("other.png"), photo)
    assert same_file(path("way/new.png"), path("folder/new.png"))  # neither is there
    assert same_file(path("New.png"), path("new.png"))  # one file on macOS and Windows
    assert not same_file(path("new.png"), path("newer.png"))
    assert same_file(path("PHOTO.png"), photo) == (tmp_path / "PHOTO.png").exists()  # as the file system says


@pytest.fixture
def predict(lightsam, tmp_path, monkeypatch, coffee):
    """The command in a folder with photo.png, a link to it, and logits.npy; it computes only when told that it may."""
    from lightsam import Predictor

    monkeypatch.chdir(tmp_path)
    coffee.save("photo.png")
    (tmp_path / "link.png").symlink_to("photo.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    np.save("logits.npy", np.zeros((32, 32), np.float32))

    def run(*arguments, works=False):
        if not works:

            def encode(*_):
                raise AssertionError("work was begun")

            monkeypatch.setattr(Predictor, "encode", encode)
        given = ("photo.png", "--model", tiny.NAME, "--weights", "seeded", "--point", "300,150", *arguments)
        return lightsam("predict", *given)

    return run


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


REFUSED = [
    ("--output photo.png", "photo.png is the image itself, which is never replaced"),
    ("--output photo.png --overwrite", "photo.png is the image itself, which is never replaced"),
    ("--output ./folder/../photo.png", "photo.png is the image itself"),
    ("--output link.png --overwrite", "link.png is the image itself"),
    ("--overlay photo.png --overwrite", "photo.png is the image itself"),
    ("--mask-input logits.npy --save-logits logits.npy --overwrite", "logits.npy is the mask input itself"),
    ("--output a.png --overlay a.png", "one file, a.png and a.png: name them apart"),
    ("--output a.png --overlay folder/../a.png", "one file, a.png and folder/../a.png: name them apart"),
    ("--output a.png --overlay A.PNG", "one file, a.png and A.PNG: name them apart"),
    ("--output a.png --overlay a_all.png --all", "one file, a_all.png and a_all.png: name them apart"),
    ("--output folder.png --overwrite", "folder.png is a folder"),
    ("--output m.psd", "m.psd ends in .psd, which can be read but not written"),
    ("--output m.npy", "m.npy ends in .npy, which is no image's"),
    ("--output mask", "mask ends in nothing, which is no image's"),
    ("--overlay m.cur", "m.cur ends in .cur, which can be read but not written"),
    ("--output m.ico", "m.ico cannot hold an image of 600 x 400 as ICO (it would become 256 x 171): take .png"),
    ("--output m.xbm", "m.xbm cannot hold an image of 600 x 400 as XBM (cannot write mode L as XBM): take .png"),
    ("--output m.h5", "m.h5 cannot hold an image of 600 x 400 as HDF5"),
    ("--save-logits logits.txt", "logits.txt does not end in .npy"),
]


@pytest.mark.parametrize(("line", "message"), REFUSED, ids=[line for line, _ in REFUSED])
def test_what_would_lose_something_is_refused_before_any_work(predict, tmp_path, line, message):
    before = contents(tmp_path)
    done = predict(*line.split())
    assert done.status == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert contents(tmp_path) == before
    assert (tmp_path / "link.png").is_symlink()


@pytest.mark.parametrize("name", ["mask.png", "mask_overlay.png", "mask_all.png", "first.npy"])
def test_what_is_there_is_replaced_only_when_asked(predict, tmp_path, name):
    """Somebody's file of the default name, and a second run by a newcomer."""
    (tmp_path / name).write_bytes(b"good")
    options = ("--all", "--save-logits", "first.npy")
    done = predict(*options)
    assert done.status == 2
    assert f"{name} is there already: give --overwrite to replace it, or another name" in done.stderr
    assert (tmp_path / name).read_bytes() == b"good"


def test_overwrite_replaces_and_the_image_stays(predict, tmp_path):
    """A link is replaced as itself, and not what it leads to."""
    image = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "kept.png").write_bytes(b"good")
    (tmp_path / "mask.png").symlink_to("kept.png")
    done = predict("--all", "--save-logits", "first.npy", "--overwrite", works=True)
    assert done.status == 0, done.stderr
    assert "written to mask.png, mask_overlay.png, mask_all.png and first.npy" in done.stdout
    assert (tmp_path / "photo.png").read_bytes() == image
    assert (tmp_path / "kept.png").read_bytes() == b"good"
    with Image.open("mask_all.png") as sheet:
        tiles = tiles_of(sheet, (600, 400))
    assert sum(framed for _, _, framed in tiles) == 1
    with Image.open("mask.png") as mask:
        assert mask.size == (600, 400)
    again = predict("--all", "--save-logits", "first.npy", "--mask-input", "logits.npy", "--overwrite", works=True)
    assert again.status == 0, again.stderr


def test_formats_that_hold_both_images_are_taken(tmp_path):
    for suffix in (".png", ".jpg", ".webp", ".tiff", ".bmp", ".gif", ".PNG"):
        files = PredictionFiles(tmp_path / f"mask{suffix}", tmp_path / f"overlay{suffix}")
        files.check({}, overwrite=False)
        files.check_sizes((600, 400))
    with pytest.raises(UsageError, match=r"mask\.webp cannot hold an image of 20000 x 10 as WEBP"):
        PredictionFiles(tmp_path / "mask.webp", tmp_path / "overlay.png").check_sizes((20000, 10))
