"""Everything in an image, against segment-anything's own generator on the same logits."""

import json
from dataclasses import replace
from pathlib import Path

import colour_model
import numpy as np
import pytest
from faster_coco_eval import mask as coco
from PIL import Image
from skimage import data

from lightsam import Predictor
from lightsam.boxes import crop_boxes, suppressed
from lightsam.cli.everything_files import EverythingFiles
from lightsam.errors import UsageError
from lightsam.everything import Everything
from lightsam.files import WriteError
from lightsam.geometry import Fit, Frame, MaskResize
from lightsam.metrics import mask_iou
from lightsam.shapes import rle_counts
from lightsam.transforms import upscale_masks
from lightsam.windows import Runs, Upscaling

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden" / "everything.json").read_text(encoding="utf-8"))
COLOURS = Predictor(colour_model.encoder, colour_model.decoder, colour_model.rules())


def found_in(case, predictor=COLOURS):
    image = colour_model.scene(*case["size"])
    return predictor.segment_everything(predictor.encode(image), Everything(**case["how"]), image=image)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: "x".join(map(str, case["size"])))
def test_masks_and_their_order_are_those_of_segment_anything(case):
    found = found_in(case)
    assert len(found) == len(case["masks"]) > 5
    for mine, theirs in zip(found, case["masks"], strict=True):
        assert mine.point == pytest.approx(theirs["point"])
        assert mine.predicted_iou == theirs["predicted_iou"]
        assert mine.stability_score == pytest.approx(theirs["stability_score"], abs=1e-3)
        assert list(mine.runs.outermost) == theirs["outermost"]
        assert mine.runs.area == pytest.approx(theirs["area"], abs=3)
        x0, y0, x1, y1 = mine.crop
        assert [x0, y0, x1 - x0, y1 - y0] == theirs["crop_box"]
        golden = np.repeat(np.arange(len(theirs["counts"])) % 2 == 1, theirs["counts"])
        assert mask_iou(golden.reshape(mine.runs.mask.shape, order="F"), mine.runs.mask) > 0.999


def test_a_decoder_of_fixed_slots_finds_the_same():
    calls = []

    def one_at_a_time(inputs):
        calls.append(inputs["point_coords"].shape)
        return colour_model.decoder(inputs)

    case = GOLDEN["cases"][0]
    fixed = Predictor(colour_model.encoder, one_at_a_time, colour_model.rules(), point_slots=8)
    expected = found_in(case)
    assert [one.runs.counts for one in found_in(case, fixed)] == [one.runs.counts for one in expected]
    assert set(calls) == {(1, 8, 2)}
    assert len(calls) == case["how"]["points_per_side"] ** 2


def test_points_are_asked_in_batches_and_told():
    asked, told = [], []

    def counted(inputs):
        asked.append(len(inputs["point_coords"]))
        return colour_model.decoder(inputs)

    predictor = Predictor(colour_model.encoder, counted, colour_model.rules())
    how = Everything(points_per_side=5, points_per_batch=10)
    image = colour_model.scene(100, 80)
    predictor.segment_everything(predictor.encode(image), how, on_points=lambda done, total: told.append((done, total)))
    assert asked == [10, 10, 5]
    assert told == [(10, 25), (20, 25), (25, 25)]


def test_crops_need_the_image_itself():
    encoding = COLOURS.encode(colour_model.scene(100, 80))
    how = Everything(crop_n_layers=1)
    with pytest.raises(UsageError, match="crop_n_layers cuts the image up: give the image, too"):
        COLOURS.segment_everything(encoding, how)
    with pytest.raises(UsageError, match="give both of one image"):
        COLOURS.segment_everything(encoding, how, image=colour_model.scene(80, 100))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points_per_side": 0}, "points_per_side is 1 or more, not 0"),
        ({"crop_n_layers": -1}, "crop_n_layers is 0 or more, not -1"),
        ({"box_nms_thresh": 1.5}, "box_nms_thresh is from 0 to 1, not 1.5"),
    ],
)
def test_what_cannot_be_looked_for(changes, message):
    with pytest.raises(UsageError, match=message):
        Everything(**changes)


# Windows: a mask computed where it is alone


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("mask_resize", MaskResize)
@pytest.mark.parametrize("size", [(333, 210), (64, 300), (1, 500)])
def test_a_window_is_what_the_whole_mask_is_there(fit, mask_resize, size):
    rng = np.random.default_rng(0)
    frame = Frame(*size, 256, fit, mask_resize)
    logits = np.full((64, 64), -6, np.float32)
    logits[10:20, 4:30] = rng.normal(0, 4, (10, 26))
    whole = upscale_masks(logits[None], frame)[0]
    window = Upscaling(frame).window(logits, -1.0)
    rows, columns = window.logits.shape
    inside = (slice(window.top, window.top + rows), slice(window.left, window.left + columns))
    np.testing.assert_allclose(window.logits, whole[inside], atol=2e-5)
    outside = whole.copy()
    outside[inside] = -9
    assert outside.max() <= -1
    if mask_resize is MaskResize.BILINEAR and min(size) > 100:
        assert window.logits.size < whole.size / 2


def test_an_empty_window():
    window = Upscaling(Frame(30, 20, 256)).window(np.full((64, 64), -5, np.float32), -1.0)
    assert window.logits.size == 0
    runs = Runs.of(window.logits > 0, size=(30, 20))
    assert (runs.area, runs.counts, runs.mask.any()) == (0, [600], False)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 1])
def test_runs_are_cocos(share):
    mask = np.random.default_rng(1).random((7, 9)) < share
    runs = Runs.of(mask)
    assert runs.counts == rle_counts(mask)
    assert runs.area == mask.sum()
    np.testing.assert_array_equal(runs.mask, mask)
    if mask.any():
        y, x = np.nonzero(mask)
        assert runs.outermost == (x.min(), y.min(), x.max(), y.max())
    larger = np.zeros((12, 20), bool)
    larger[3:10, 5:14] = mask
    assert Runs.of(mask, 5, 3, (20, 12)).counts == rle_counts(larger)


# Boxes


def test_of_the_same_boxes_the_surest_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 10, 10]], float)
    scores = np.array([0.8, 0.9, 0.1, 0.9])
    assert suppressed(boxes, scores, 0.5).tolist() == [1, 2]
    assert suppressed(boxes, scores, 1).tolist() == [1, 3, 0, 2]
    assert suppressed(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def test_crops_cover_the_image_and_overlap():
    size = (1500, 1000)
    crops = crop_boxes(size, 2, 512 / 1500)
    assert [layer for layer, _ in crops] == [0] + [1] * 4 + [2] * 16
    covered = np.zeros((1000, 1500), int)
    for layer, (x0, y0, x1, y1) in crops:
        if layer == 1:
            covered[y0:y1, x0:x1] += 1
    assert covered.min() == 1
    assert covered.max() == 4


def test_memory_holds_runs_and_not_masks():
    """Of 12 megapixels: what is kept of a mask is a few kilobytes."""
    how = Everything(points_per_side=3, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1)
    found = COLOURS.segment_everything(COLOURS.encode(colour_model.scene(4000, 3000)), how)
    assert len(found) > 10
    assert sum(one.runs.starts.nbytes + one.runs.lengths.nbytes for one in found) < 4e6
    first = found[0]
    assert replace(first, predicted_iou=0).bbox == first.bbox
    x, y, width, height = first.bbox
    assert first.runs.mask[y : y + height, x : x + width].sum() == first.runs.area


# The command


ALL = ("--points-per-side", "4", "--pred-iou-thresh", "-9", "--stability-score-thresh", "0", "--box-nms-thresh", "1")
"""Drawn weights are sure of nothing."""


@pytest.fixture
def photograph(tmp_path):
    Image.fromarray(data.coffee()[:200, :300]).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


@pytest.fixture
def artifacts(matrix_of):
    return matrix_of("tiny_sam", "onnx", "float32").folder


def test_the_command_writes_what_is_found(lightsam, photograph, artifacts):
    done = lightsam("everything", photograph, "--artifacts", artifacts, *ALL)
    assert done.status == 0, done.stderr
    folder = photograph.with_name("photo_everything")
    content = json.loads((folder / "everything.json").read_text(encoding="utf-8"))
    assert content["image"] == {"file_name": "photo.jpg", "width": 300, "height": 200}
    annotations = content["annotations"]
    assert f"{len(annotations)} masks" in done.stdout
    assert "points asked: 16 of 16" in done.stderr
    assert len(annotations) == len(list((folder / "masks").iterdir())) > 2
    scores = [one["predicted_iou"] for one in annotations]
    assert scores == sorted(scores, reverse=True)
    for one in annotations:
        mask = coco.decode(one["segmentation"])
        with Image.open(folder / "masks" / f"{one['id']:04}.png") as written:
            np.testing.assert_array_equal(np.asarray(written), mask.astype(bool))
        assert one["area"] == mask.sum() == coco.area(one["segmentation"])
        assert one["bbox"] == coco.toBbox(one["segmentation"]).tolist()
    with Image.open(folder / "overlay.png") as overlay, Image.open(photograph) as image:
        assert overlay.size == image.size
        assert np.abs(np.asarray(overlay, int) - np.asarray(image, int)).max() > 50


def test_the_folder_of_another_run_is_replaced_only_when_told(lightsam, photograph, artifacts):
    command = ("everything", photograph, "--artifacts", artifacts, *ALL)
    assert lightsam(*command).status == 0
    again = lightsam(*command)
    assert again.status == 2
    assert "photo_everything is there already: give --overwrite" in again.stderr
    assert lightsam(*command, "--overwrite", "--points-per-side", "1").status == 0
    assert len(list((photograph.with_name("photo_everything") / "masks").iterdir())) <= 3
    assert sorted(path.name for path in photograph.parent.iterdir()) == ["photo.jpg", "photo_everything"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_was_found_before_stays_when_its_replacement_is_interrupted(tmp_path, monkeypatch, error):
    files = EverythingFiles(tmp_path / "found")
    image = colour_model.scene(100, 80)
    files.write(image, "before.png", [])
    rename = Path.rename

    def broken(self, target):
        if self.name.startswith(".found") and target == files.folder and not (tmp_path / "broken").exists():
            (tmp_path / "broken").touch()
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises((WriteError, KeyboardInterrupt)):
        files.write(image, "after.png", [])
    assert (
        json.loads((files.folder / "everything.json").read_text(encoding="utf-8"))["image"]["file_name"] == "before.png"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "found"]


def test_a_folder_of_something_else_stays(lightsam, photograph, artifacts, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    command = ("everything", photograph, "--artifacts", artifacts, "--output", tmp_path / "mine", "--overwrite")
    done = lightsam(*command)
    assert done.status == 2
    assert "is a folder of something else, and is not replaced" in done.stderr
    assert (tmp_path / "mine" / "letter.txt").read_text(encoding="utf-8") == "dear"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--points-per-side", "0"), 2, "points_per_side is 1 or more, not 0"),
        (("--artifacts", "nowhere"), 1, "nowhere holds no export"),
    ],
)
def test_bad_input_of_the_command(lightsam, photograph, options, status, message):
    done = lightsam("everything", photograph, *options)
    assert done.status == status
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not photograph.with_name("photo_everything").exists()


def test_no_image(lightsam, tmp_path, artifacts):
    done = lightsam("everything", tmp_path / "none.jpg", "--artifacts", artifacts)
    assert done.status == 2
    assert "there is no image" in done.stderr
