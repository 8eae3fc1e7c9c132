"""`lightsam evaluate instances`: masks for boxes, and their average precision, over images that the tests annotate."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from annotated import HEIGHT, SHAPES, WIDTH, coco, write_coco, write_images
from json_schema import errors

from lightsam.errors import ContractError, DatasetError
from lightsam.geometry import Frame
from lightsam.predictor import Encoding, Prediction, Predictor
from lightsam_benchmarks.evaluations import evaluate as evaluate_all
from lightsam_benchmarks.instances import report, run, sets, storage
from lightsam_benchmarks.instances.record import Record
from lightsam_benchmarks.instances.request import Request, SetFiles
from lightsam_benchmarks.journals import path_of
from lightsam_benchmarks.quality import subjects
from lightsam_benchmarks.schemas import SCHEMAS

SCHEMA = Path(__file__).parent.parent / "docs" / "schemas" / "instances-record.json"
TRUE_BOXES = {
    name: np.array([x.min(), y.min(), x.max() + 2, y.max() + 2])  # as `annotated` gives them, a pixel too wide
    for name, (y, x) in ((name, np.nonzero(mask)) for name, mask in SHAPES.items())
}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def truth(tmp_path) -> Path:
    return write_coco(tmp_path / "truth.json")


class Told(Predictor):
    """A predictor whose masks a function of the box gives; it notes what it was asked."""

    def __init__(self, mask) -> None:
        self.mask, self.encoded, self.asked = mask, 0, []

    def encode(self, image) -> Encoding:
        self.encoded += 1
        return Encoding({}, Frame(WIDTH, HEIGHT, 128))

    def predict_batch(self, encoding, prompts, *, multimask=None, best_only=False) -> list[Prediction]:
        assert best_only
        self.asked.append((len(prompts), multimask))
        logits = np.zeros((1, 32, 32), np.float32)
        return [Prediction(self.mask(prompt.box)[None], np.ones(1, np.float32), logits) for prompt in prompts]


def true_mask(box) -> np.ndarray:
    """Of the object whose box is nearest."""
    return SHAPES[min(TRUE_BOXES, key=lambda name: np.abs(TRUE_BOXES[name] - box).sum())]


def nothing(box) -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH), bool)


def told(name: str, mask) -> tuple[subjects.Candidate, Told]:
    """A subject that answers what it is told to."""
    real = subjects.of_model(tiny.NAME, "seeded", subjects.Loading())
    predictor = Told(mask)
    return replace(real, name=name, load=lambda: replace(real.load(), predictor=predictor)), predictor


def evaluated(request: Request, tmp_path, *candidates, **options) -> Record:
    return evaluate_all(candidates, run.Instances(sets.load(request), request), tmp_path / "record.json", **options)


def asked(truth: Path, images: Path, boxes: str | Path = "ground-truth", **options) -> Request:
    made = isinstance(boxes, str)
    files = SetFiles(truth.name, truth, images, None if made else boxes)
    return Request(sets=(files,), boxes=boxes if made else "detections", **options)


def write_boxes(path: Path, content: object | None = None, **changes) -> Path:
    """The annotations' boxes as a detector's."""
    entries = coco()["annotations"] if content is None else content
    if content is None:
        keys = ("image_id", "category_id", "bbox")
        entries = [
            {**{key: one[key] for key in keys}, "score": 0.9 - 0.1 * n, **changes} for n, one in enumerate(entries)
        ]
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def test_the_true_masks_have_ap_1_and_empty_ones_0(truth, images, tmp_path):
    perfect, predictor = told("perfect", true_mask)
    empty, _ = told("empty", nothing)
    request = asked(truth, images)
    record = evaluated(request, tmp_path, perfect, empty, pairs=[("perfect", "empty")])
    right, wrong = (record.result(name, "truth.json") for name in ("perfect", "empty"))
    assert (right.precision.ap, right.precision.ap50, right.precision.ap75, right.precision.ar) == (1, 1, 1, 1)
    assert (right.precision.ap_small, right.precision.ap_medium, right.precision.ap_large) == (None, 1, None)
    assert [(one.name, one.ap) for one in right.by_category] == [("shape", 1)]
    assert (right.empty, right.not_finite) == (0, 0)
    assert (wrong.precision.ap, wrong.precision.ar, wrong.empty) == (0, 0, 5)
    (difference,) = record.differences
    assert (difference.difference, difference.mask_iou, difference.least_mask_iou) == (-1, 0, 0)
    (one,) = record.sets
    assert (one.images, one.objects, one.crowds, one.rules) == (3, 5, 0, "coco")
    assert (one.boxes.source, one.boxes.count, one.boxes.precision.ap) == ("ground-truth", 5, 1)
    assert predictor.encoded == 3  # once an image
    assert storage.read(tmp_path / "record.json") == record
    assert (
        errors(
            json.loads(SCHEMA.read_text(encoding="utf-8")),
            json.loads((tmp_path / "record.json").read_text(encoding="utf-8")),
        )[:1]
        == []
    )
    assert SCHEMAS["instances-record"][0] is Record
    assert "untrained" in report.markdown([record])


def test_ap_of_half_the_masks_is_that_of_the_scorers_definition(truth, images, tmp_path):
    """The best-scored box right, the others wrong: precision 1 up to a recall of 1/5, so 21 of 101 recalls."""
    candidate, _ = told("first", lambda box: true_mask(box) if box[0] == 0 else nothing(box))
    boxes = write_boxes(tmp_path / "boxes.json")
    record = evaluated(asked(truth, images, boxes), tmp_path, candidate)
    content = coco()["annotations"]
    first = next(n for n, one in enumerate(content) if one["bbox"][0] == 0)
    recalls = np.linspace(0, 1, 101)
    assert record.results[0].precision.ap == pytest.approx((recalls <= 0.2).mean() / (first + 1), abs=1e-4)
    assert record.results[0].precision.ar == pytest.approx(0.2)
    assert record.sets[0].boxes.file == "boxes.json"
    assert str(tmp_path) not in (tmp_path / "record.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(("mask", "multimask"), [("single", False), ("best", True)])
def test_which_mask_answers(truth, images, tmp_path, mask, multimask):
    candidate, predictor = told("one", true_mask)
    evaluated(asked(truth, images, mask=mask), tmp_path, candidate)
    assert {how for _, how in predictor.asked} == {multimask}
    assert sum(count for count, _ in predictor.asked) == 5


def test_jitter_is_seeded_and_lowers_the_ap_of_boxes_alone(truth, images, tmp_path):
    candidate, _ = told("one", true_mask)
    same, again, other = (asked(truth, images, "jittered", seed=seed) for seed in (1, 1, 2))
    assert sets.load(same)[0].boxes == sets.load(again)[0].boxes
    assert sets.load(same)[0].boxes != sets.load(other)[0].boxes
    drawn = sets.load(replace(same, limit=1))[0]
    assert drawn.boxes.of.items() <= sets.load(same)[0].boxes.of.items()  # whichever images are drawn
    moved = evaluated(same, tmp_path, candidate)
    assert moved.sets[0].boxes.precision.ap < 0.95
    assert moved.results[0].precision.ap == 1
    unmoved = evaluated(replace(same, shift=0.0, scale=0.0), tmp_path, candidate)
    assert unmoved.sets[0].boxes.precision.ap == 1


def test_crowds_count_neither_for_nor_against(images, tmp_path):
    content = coco()
    content["annotations"][2] |= {"iscrowd": 1}
    truth = write_coco(tmp_path / "truth.json", content)
    candidate, _ = told("one", true_mask)
    record = evaluated(asked(truth, images), tmp_path, candidate)
    assert record.sets[0].crowds == 1
    assert (record.sets[0].boxes.count, record.sets[0].boxes.dropped) == (4, {"crowds": 1})
    record = evaluated(asked(truth, images, write_boxes(tmp_path / "boxes.json")), tmp_path, candidate)
    assert record.sets[0].boxes.count == 5
    assert record.results[0].precision.ap == 1


def test_boxes_are_clipped_and_those_without_area_counted(truth, images, tmp_path):
    right = json.loads(write_boxes(tmp_path / "all.json").read_text(encoding="utf-8"))
    right[0]["bbox"] = [-40, -30, 90, 71]  # reaches over the edge at the corner
    beyond = [{**right[0], "bbox": [WIDTH + 5, 3, 10, 10]}, {**right[0], "bbox": [5, 5, 0, 10]}]
    found = sets.load(asked(truth, images, write_boxes(tmp_path / "boxes.json", right + beyond)))[0].boxes
    assert found.count == 5
    assert found.dropped["boxes without area in their image"] == 2
    assert found.of["astronaut.png"][0].box == (0, 0, 50, 41)


def test_lvis(images, tmp_path):
    """No iscrowd and no file_name; what was not looked for in an image is not wrong there."""
    content = coco()
    content["categories"] = [{"id": 1, "name": "shape", "frequency": "f"}, {"id": 2, "name": "else", "frequency": "r"}]
    for image in content["images"]:
        image |= {"coco_url": f"http://example.org/val2017/{image.pop('file_name')}"}
        image |= {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    for one in content["annotations"]:
        del one["iscrowd"]
    (tmp_path / "val2017").symlink_to(images)
    truth = write_coco(tmp_path / "lvis.json", content)
    boxes = json.loads(write_boxes(tmp_path / "boxes.json").read_text(encoding="utf-8"))
    boxes += [{**boxes[0], "category_id": 2, "score": 0.99}]  # else, which nobody looked for
    candidate, _ = told("one", true_mask)
    record = evaluated(asked(truth, tmp_path, write_boxes(tmp_path / "boxes.json", boxes)), tmp_path, candidate)
    assert record.sets[0].rules == "lvis"
    precision = record.results[0].precision
    assert (precision.ap, precision.ap_frequent, precision.ap_rare, precision.ar) == (1, 1, None, 1)
    assert "APf" in report.markdown([record])
    many = sets.load(asked(truth, tmp_path, write_boxes(tmp_path / "boxes.json", boxes[:1] * 301)))[0].boxes
    assert (many.count, many.dropped["boxes beyond the best 300 of an image"]) == (300, 1)


# The command


@pytest.fixture
def evaluate(lightsam, images, truth, tmp_path):
    """Run the command over the drawn annotations; the record is ``record.json`` unless said otherwise."""

    def start(*arguments: object, boxes: object = "ground-truth", output: str = "record.json"):
        return lightsam(
            "evaluate", "instances", *arguments, "--annotations", truth, "--images", images, "--boxes", boxes,
            "--output", tmp_path / output,
        )  # fmt: skip

    return start


def test_pytorch_beside_an_export(evaluate, exports_of, tmp_path):
    entry = exports_of("onnx", "float32")
    done = evaluate(tiny.NAME, "--weights", "seeded", "--vs", entry.folder, "--mask", "best")
    assert done.status == 0, done.stderr
    record = storage.read(tmp_path / "record.json")
    assert [one.name for one in record.subjects] == ["tiny_sam torch-float32", "tiny_sam onnx-float32"]
    assert record.subjects[1].files == {stage: entry.facts.files[stage].sha256 for stage in ("encoder", "decoder")}
    (difference,) = record.differences
    assert difference.mask_iou > 0.98
    assert all(one.empty < 5 for one in record.results)  # zeros would agree, too
    assert record.mask == "best"
    for shown in ("Average precision of masks by boxes, 5 boxes in 3 images", "AP of the boxes", "untrained weights"):
        assert shown in done.stdout


ONE_IMAGE = """
import threading
from lightsam_benchmarks.instances import run
quick, done = run.masks_of, []
def once(*arguments):
    if done:
        threading.Event().wait()  # to be killed
    done.append(quick(*arguments))
    return done[0]
run.masks_of = once
"""


def test_a_killed_run_goes_on_where_it_was(evaluate, start_lightsam, images, truth, tmp_path, monkeypatch):
    assert evaluate(tiny.NAME, "--weights", "seeded", output="whole.json").status == 0
    whole = storage.read(tmp_path / "whole.json")
    output = tmp_path / "record.json"
    journal = path_of(output)
    process = start_lightsam(
        "evaluate", "instances", tiny.NAME, "--weights", "seeded", "--annotations", truth, "--images", images,
        "--boxes", "ground-truth", "--output", output, before=ONE_IMAGE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not journal.exists() or len(journal.read_text(encoding="utf-8").splitlines()) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not output.exists()
    done_before = json.loads(journal.read_text(encoding="utf-8").splitlines()[1])["image"]
    with journal.open("a", encoding="utf-8") as lines:
        lines.write('{"subject": "tiny_sam torch-float32", "ima')  # a line that was being written

    kept = journal.read_bytes()
    for arguments, message in ((("--mask", "best"), "asks something else"), (("--limit", 2), "of other images")):
        refused = evaluate(tiny.NAME, "--weights", "seeded", *arguments)
        assert refused.status == 1
        assert message in refused.stderr
        assert journal.read_bytes() == kept

    seen, quick = [], run.masks_of
    monkeypatch.setattr(run, "masks_of", lambda *them: seen.append(them[1].name) or quick(*them))
    assert evaluate(tiny.NAME, "--weights", "seeded").status == 0
    assert set(seen) == {"astronaut.png", "cat.png", "coffee.png"} - {done_before}
    record = storage.read(output)
    assert record.sets == whole.sets
    # Another process, so not to the last bit.
    assert record.results[0].precision.ap == pytest.approx(whole.results[0].precision.ap, abs=0.02)
    assert not journal.exists()
    assert not list(tmp_path.glob("*.lock"))


def test_sets(lightsam, images, tmp_path):
    """Every folder is a set, as SegInW's are, a row each and their mean."""
    folder = tmp_path / "seginw"
    for name, changes in (("A", {}), ("B", {"score": 0.5})):
        place = folder / name / "valid"
        place.mkdir(parents=True)
        for image in images.iterdir():
            (place / image.name).symlink_to(image)
        write_coco(place / "_annotations_min1cat.coco.json")
        write_boxes(place / "boxes.json", **changes)
    (folder / "readme").mkdir()
    arguments = ("evaluate", "instances", tiny.NAME, "--weights", "seeded", "--sets", folder, "--output")
    done = lightsam(*arguments, tmp_path / "record.json")
    assert done.status == 0, done.stderr
    record = storage.read(tmp_path / "record.json")
    assert [one.name for one in record.sets] == ["A", "B"]
    (mean,) = record.means
    assert (mean.sets, mean.boxes_ap) == (2, 1)
    assert mean.ap == pytest.approx(np.mean([one.precision.ap for one in record.results]), abs=1e-5)
    assert record.passed_over == ("readme",)
    for shown in ("mean of 2", "passed over, as they hold no annotations: readme"):
        assert shown in done.stdout
    (folder / "B" / "valid" / "boxes.json").unlink()
    done = lightsam(*arguments, tmp_path / "other.json")
    assert done.status == 2
    assert "the set B has no boxes.json" in done.stderr
    assert lightsam(*arguments, tmp_path / "other.json", "--boxes", "jittered", "--limit", 1).status == 0


def test_the_mean_over_sets_is_of_their_aps(images, tmp_path):
    """One set whose masks are right, one whose are not."""
    files = []
    for name, category in (("right", 1), ("wrong", 2)):
        content = coco(categories=[{"id": 1, "name": "shape"}, {"id": 2, "name": "other"}])
        boxes = [{**one, "category_id": category, "score": 1} for one in content["annotations"]]
        files.append(
            SetFiles(
                name,
                write_coco(tmp_path / f"{name}.json", content),
                images,
                write_boxes(tmp_path / f"{name}-boxes.json", boxes),
            )
        )
    candidate, _ = told("one", true_mask)
    record = evaluated(Request(sets=tuple(files), boxes="detections"), tmp_path, candidate)
    assert [one.precision.ap for one in record.results] == [1, 0]
    assert (record.means[0].ap, record.means[0].boxes_ap) == (0.5, 0.5)


def test_files_may_be_urls(lightsam, images, truth, tmp_path):
    arguments = ("evaluate", "instances", tiny.NAME, "--weights", "seeded", "--limit", 1, "--output")
    boxes = write_boxes(tmp_path / "boxes.json")
    for before, name in (("", "paths.json"), ("file://", "urls.json")):
        where = [
            part
            for option, path in (("--annotations", truth), ("--images", images), ("--boxes", boxes))
            for part in (option, f"{before}{path}")
        ]
        done = lightsam(*arguments, tmp_path / name, *where)
        assert done.status == 0, done.stderr
    paths, urls = (storage.read(tmp_path / name) for name in ("paths.json", "urls.json"))
    assert urls.sets == paths.sets
    assert urls.results[0].precision == paths.results[0].precision


def test_a_record_is_not_replaced_unasked(evaluate, tmp_path):
    (tmp_path / "record.json").write_text("mine", encoding="utf-8")
    done = evaluate(tiny.NAME, "--weights", "seeded")
    assert done.status == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "record.json").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "or has none"),
        ({"boxes": []}, "is not a list of boxes"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}], "box 1, is not image_id"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, -3, 4], "score": 1}], "box 1, is not image_id"),
        (
            [{"image_id": 77, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}],
            "is of the image 77, which truth.json",
        ),
        ([{"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4], "score": 1}], "is of the category 9, which truth"),
        ([{"image_id": 1, "category_id": 1, "bbox": [999, 2, 3, 4], "score": 1}], "has no box for any of the 3 images"),
    ],
)
def test_boxes_that_cannot_be_used(evaluate, tmp_path, content, message):
    done = evaluate(tiny.NAME, "--weights", "seeded", boxes=write_boxes(tmp_path / "boxes.json", content))
    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "record.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mask", "largest"), "no choice of masks 'largest'"),
        (("--limit", 0), "--limit is 1 image at least"),
        (("--shift", 0.2), "--shift and --scale are of --boxes jittered"),
        (("--sets", "."), "--sets has annotations and images of its own"),
        (("--boxes", "gone.json"), "there is no file of boxes gone.json"),
        (("--boxes", "jittered", "--scale", 1), "--scale is a share from 0 to below 1"),
    ],
)
def test_what_cannot_be_asked(evaluate, tmp_path, arguments, message):
    done = (
        evaluate(tiny.NAME, "--weights", "seeded", *arguments)
        if "--boxes" not in arguments
        else evaluate(tiny.NAME, "--weights", "seeded", *arguments[2:], boxes=arguments[1])
    )
    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.update(categories=[]), "lists no categories"),
        (lambda it: it.update(annotations=[]), "holds no annotation"),
        (lambda it: it["annotations"][0].update(category_id=5), "is of the category 5"),
        (lambda it: it["annotations"][0].update(image_id=50), "is of the image 50"),
        (lambda it: it["annotations"][0].update(bbox=[1, 2, 3]), "has a bbox that is not"),
        (lambda it: it["images"][0].update(id="a"), "whose ids are no whole numbers"),
    ],
)
def test_annotations_that_cannot_be_used(images, tmp_path, change, message):
    content = coco()
    change(content)
    with pytest.raises(DatasetError, match=message):
        sets.load(asked(write_coco(tmp_path / "truth.json", content), images))


def test_a_damaged_record_is_refused(truth, images, tmp_path):
    candidate, _ = told("one", true_mask)
    evaluated(asked(truth, images), tmp_path, candidate)
    path = tmp_path / "record.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for change, message in (({"results": []}, "not one result"), ({"schema": 9}, "schema 1")):
        path.write_text(json.dumps({**content, **change}), encoding="utf-8")
        with pytest.raises(ContractError, match=message):
            storage.read(path)
