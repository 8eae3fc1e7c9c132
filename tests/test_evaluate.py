"""`lightsam evaluate` on real exports of a small model, over images that the tests annotate."""

import json
import os
import signal
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from annotated import SHAPES, coco, write_bsds, write_coco, write_images, write_masks
from PIL import Image

from lightsam import load_model
from lightsam.errors import ContractError
from lightsam.geometry import Frame
from lightsam.predictor import Encoding, Prediction, Predictor
from lightsam_benchmarks.journals import path_of
from lightsam_benchmarks.quality import ground_truth, predictions, run, storage
from lightsam_benchmarks.quality.evaluation import Evaluation
from lightsam_benchmarks.quality.predictions import prediction


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def truth(tmp_path) -> Path:
    return write_coco(tmp_path / "truth.json")


@pytest.fixture
def evaluate(lightsam, images, truth, tmp_path):
    """Run the command over the drawn annotations; the record is ``record.json`` unless said otherwise."""

    def start(*arguments: object, output: str = "record.json"):
        return lightsam(
            "evaluate", *arguments, "--coco", truth, "--images", images, "--output", tmp_path / output
        )  # fmt: skip

    return start


def test_pytorch_beside_every_format(evaluate, exports_of, tmp_path):
    """The files of a model answer as PyTorch does, so their masks are as good, whatever these are."""
    folder = tmp_path / "all"
    entries = [exports_of(name, "float32") for name in ("coreml", "onnx", "tflite")]
    done = evaluate(
        tiny.NAME, "--weights", "seeded", "--vs", entries[1].folder, "--clicks", 3,
        "--page", folder / "page.html",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    record = storage.read(tmp_path / "record.json")
    assert [one.name for one in record.subjects] == ["tiny_sam torch-float32", "tiny_sam onnx-float32"]
    assert [(one.subject, one.prompts) for one in record.results] == [
        (name, prompts)
        for name in ("tiny_sam torch-float32", "tiny_sam onnx-float32")
        for prompts in ("box", "point", "clicks")
    ]
    for result in record.results:
        assert len(result.ious) == 5
        assert result.miou == pytest.approx(np.mean(result.ious), abs=1e-5)
        assert sum(score.objects for score in result.by_size.values()) == 5
        assert result.not_finite == 0
    clicks = record.result("tiny_sam torch-float32", "clicks")
    point = record.result("tiny_sam torch-float32", "point")
    assert len(clicks.after_click) == 3
    assert clicks.after_click[0] == pytest.approx(point.miou, abs=1e-5)  # the first click is the lone point
    assert clicks.after_click[-1] == pytest.approx(clicks.miou, abs=1e-5)
    assert [row[0] for row in clicks.click_ious] == list(point.ious)
    assert set(clicks.noc) == {"85", "90"}
    for one in record.differences:
        assert abs(one.difference) < 0.01
        assert (one.a, one.b, one.objects, one.images) == (*[s.name for s in record.subjects], 5, 3)
    # Every file's own runtime ran, and the record says what was run.
    assert record.subjects[1].files == {stage: entries[1].facts.files[stage].sha256 for stage in ("encoder", "decoder")}
    assert record.subjects[1].runs_on.startswith("ONNX Runtime")
    assert str(tmp_path) not in (tmp_path / "record.json").read_text(encoding="utf-8")
    for shown in ("Mean IoU with ground truth, 5 objects in 3 images", "NoC@85", "B - A", "untrained weights"):
        assert shown in done.stdout
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.count('alt="the answer"') == 2 * 3 * 5  # fewer objects than are kept
    assert page.count("data:image/webp") == 3 * page.count('alt="the answer"')
    assert "coffee.png, object 14 (shape)" in page
    assert "--paper: #fff" in page

    for entry in (entries[0], entries[2]):
        done = evaluate(entry.folder, "--prompts", "box", "--format", "onnx", output=f"{entry.name}.json")
        assert done.status == 0, done.stderr
        (found,) = storage.read(tmp_path / f"{entry.name}.json").results
        assert found.miou == pytest.approx(record.result("tiny_sam torch-float32", "box").miou, abs=0.01)


def test_a_models_folder_is_all_its_exports(evaluate, exported, tmp_path):
    assert evaluate(exported, "--prompts", "point").status == 0
    record = storage.read(tmp_path / "record.json")
    assert [one.name for one in record.subjects] == ["tiny_sam coreml-float16", "tiny_sam coreml-float32"]
    assert "numerics" in record.subjects[0].runs_on or "Core ML" in record.subjects[0].runs_on
    done = evaluate(exported, "--precision", "float16", "--prompts", "box", output="one.json")
    assert done.status == 0
    assert [one.about.precision for one in storage.read(tmp_path / "one.json").subjects] == ["float16"]


def test_every_form_of_ground_truth(lightsam, images, truth, tmp_path):
    """The same masks in another form score the same."""
    write_masks(tmp_path / "masks")
    write_bsds(tmp_path / "bsds")
    common = (tiny.NAME, "--weights", "seeded", "--images", images, "--prompts", "box")
    found = {}
    for option, path in (("--coco", truth), ("--masks", tmp_path / "masks"), ("--bsds", tmp_path / "bsds")):
        output = tmp_path / f"{option[2:]}.json"
        done = lightsam("evaluate", *common, option, path, "--output", output)
        assert done.status == 0, done.stderr
        record = storage.read(output)
        found[option] = {(o.image, o.area): i for o, i in zip(record.objects, record.results[0].ious, strict=True)}
    assert found["--masks"] == found["--coco"]
    assert found["--coco"].items() <= found["--bsds"].items()
    assert len(found["--bsds"]) == 8


def test_tampered_weights_score_differently(evaluate, tmp_path):
    """Two checkpoints of one model, one of them with its decoder's last layer turned round."""
    state = load_model(tiny.NAME, weights="seeded").sam.state_dict()
    torch.save(state, tmp_path / "good.pt")
    tampered = {
        name: -tensor if name.startswith("mask_decoder.output_hypernetworks_mlps") else tensor
        for name, tensor in state.items()
    }
    torch.save(tampered, tmp_path / "bad.pt")
    done = evaluate(
        tiny.NAME, "--weights", tmp_path / "good.pt", "--weights", tmp_path / "bad.pt", "--prompts", "box"
    )  # fmt: skip
    assert done.status == 0, done.stderr
    record = storage.read(tmp_path / "record.json")
    assert [one.name for one in record.subjects] == [f"tiny_sam torch-float32 ({name}.pt)" for name in ("good", "bad")]
    good, bad = record.results
    assert good.ious != bad.ious
    assert record.subjects[0].about.weights.sha256 != record.subjects[1].about.weights.sha256


def test_a_file_that_was_changed_is_evaluated_and_said_so(evaluate, exports_of, tmp_path):
    import shutil

    import onnx

    entry = exports_of("onnx", "float32")
    folder = Path(shutil.copytree(entry.model_folder, tmp_path / "tiny_sam"))
    path = folder / entry.name / entry.facts.files["decoder"].path
    model = onnx.load(path)
    weight = next(t for t in model.graph.initializer if len(t.dims) == 2 and t.dims[0] > 1)
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), weight.name))
    onnx.save(model, path)
    done = evaluate(entry.folder, "--vs", folder / entry.name, "--prompts", "box")
    assert done.status == 0, done.stderr
    record = storage.read(tmp_path / "record.json")
    assert [one.changed for one in record.subjects] == [False, True]
    assert record.subjects[0].files["decoder"] != record.subjects[1].files["decoder"]
    assert record.subjects[1].name.startswith("tiny_sam onnx-float32 (")
    assert record.results[0].ious != record.results[1].ious
    assert "its files have changed since they were exported" in done.stdout


class Knowing(Predictor):
    """A predictor that answers what it is told to, and notes what it was asked."""

    def __init__(self, frame: Frame, masks) -> None:
        self.frame, self.masks, self.settings = frame, masks, []

    def encode(self, image) -> Encoding:
        return Encoding({"image_embeddings": np.zeros((1, 1, 1, 1), np.float32)}, self.frame)

    def predict_batch(self, encoding, prompts, *, multimask=None, best_only=False) -> list[Prediction]:
        assert best_only
        self.settings += [(prompt, multimask) for prompt in prompts]
        logits = np.zeros((1, 32, 32), np.float32)
        return [Prediction(self.masks(prompt)[None], np.ones(1, np.float32), logits) for prompt in prompts]


FRAME = Frame(160, 120, 128)


def asked_of(evaluation: Evaluation, masks) -> tuple[Knowing, dict]:
    (sample,) = [one for one in ground_truth.load(evaluation).samples if one.name == "cat.png"]
    predictor = Knowing(FRAME, masks)
    return predictor, prediction(predictor, sample, evaluation)


def around(prompt) -> np.ndarray:
    """The true mask of whatever is asked for."""
    if prompt.box is not None:
        x, y = (prompt.box[0] + prompt.box[2]) / 2, (prompt.box[1] + prompt.box[3]) / 2
    else:
        x, y = prompt.points[0]
    return SHAPES["disc"] if SHAPES["disc"][int(y), int(x)] else SHAPES["box"]


def test_a_perfect_predictor_scores_one(images, truth):
    evaluation = Evaluation("coco", truth, images, clicks=4)
    predictor, scores = asked_of(evaluation, around)
    for kind in ("box", "point", "clicks"):
        assert scores[kind].ious == [1, 1]
        assert scores[kind].boundary_ious == [1, 1]
    assert scores["clicks"].click_ious == [[1] * 4] * 2
    assert len(predictor.settings) == 4  # a perfect mask is not clicked again, and the point is the first click


def test_clicks_mend_what_is_wrong(images, truth):
    """Of a predictor that adds a piece of the object at every click, every click is at the largest piece missing."""

    def pieces(prompt) -> np.ndarray:
        mask = np.zeros_like(SHAPES["disc"])
        for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
            assert label == 1
            mask[max(0, int(y) - 12) : int(y) + 13, max(0, int(x) - 12) : int(x) + 13] = True
        return mask & around(prompt)

    evaluation = Evaluation("coco", truth, images, ("clicks",), clicks=6)
    predictor, scores = asked_of(evaluation, pieces)
    for row in scores["clicks"].click_ious:
        assert all(before < after or after == 1 for before, after in pairwise(row))
        assert row[-1] > 0.85
    counts = [len(prompt.points) for prompt, _ in predictor.settings]
    assert max(counts) == 6
    for prompt, multimask in predictor.settings:
        assert multimask is (len(prompt.points) == 1)  # best of three for the lone point, mask 0 from then on
        assert (prompt.mask is not None) is (len(prompt.points) > 1)


@pytest.mark.parametrize(
    ("protocol", "box", "point", "clicks", "with_mask", "x1"),
    [
        ("lightsam", False, True, False, True, 86),
        ("efficientvit", True, True, True, False, 87),
        ("edgesam", False, False, False, False, 87),
    ],
)
def test_protocols(images, truth, protocol, box, point, clicks, with_mask, x1):
    """Three masks or one for each kind of prompt, the mask before, and the annotation's own box, a pixel wider here."""
    evaluation = Evaluation("coco", truth, images, clicks=2, protocol=protocol)
    predictor, scores = asked_of(evaluation, lambda prompt: around(prompt) & (np.arange(160) < 120))
    found = {}
    for prompt, multimask in predictor.settings:
        kind = "box" if prompt.box else ("point" if len(prompt.points) == 1 else "clicks")
        found.setdefault(kind, set()).add(multimask)
        assert (prompt.mask is not None) is (with_mask and kind == "clicks")
    assert found == {"box": {box}, "point": {point}, "clicks": {clicks}}
    assert predictor.settings[0][0].box[2] == x1
    if protocol != "edgesam":  # whose resampled ground truth is a little wider
        assert scores["box"].ious[0] == 1
    else:
        assert 0.9 < scores["box"].ious[0] < 1


def test_answers_that_are_not_finite_are_counted(images, truth):
    class Broken(Knowing):
        def predict_batch(self, *arguments, **options):
            return [
                replace(one, low_res_masks=np.full((1, 32, 32), np.nan))
                for one in super().predict_batch(*arguments, **options)
            ]

    sample = ground_truth.load(Evaluation("coco", truth, images)).samples[0]
    scores = prediction(Broken(FRAME, around), sample, Evaluation("coco", truth, images, clicks=2))
    assert (scores["box"].not_finite, scores["point"].not_finite) == (1, 1)


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


ONE_IMAGE = """
import threading
from lightsam_benchmarks.quality import run
quick, done = run.prediction, []
def once(*arguments):
    if done:
        threading.Event().wait()  # to be killed
    done.append(quick(*arguments))
    return done[0]
run.prediction = once
"""


def test_a_killed_run_goes_on_where_it_was(evaluate, start_lightsam, images, truth, tmp_path, monkeypatch):
    """Killed after an image; the rest is done by the next run, and the record is that of an undisturbed one."""
    assert evaluate(tiny.NAME, "--weights", "seeded", output="whole.json").status == 0
    whole = storage.read(tmp_path / "whole.json")
    output = tmp_path / "record.json"
    arguments = ("evaluate", tiny.NAME, "--weights", "seeded", "--coco", truth, "--images", images, "--output", output)
    journal = path_of(output)
    process = start_lightsam(*arguments, before=ONE_IMAGE)
    deadline = time.monotonic() + 120
    while not journal.exists() or len(journal.read_text(encoding="utf-8").splitlines()) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not output.exists()
    with journal.open("a", encoding="utf-8") as lines:
        lines.write('{"subject": "tiny_sam torch-float32", "ima')  # a line that was being written
    done_before = {line["image"] for line in lines_of_whole(journal)}
    assert len(done_before) == 1

    settings = []
    monkeypatch.setattr(
        run, "prediction", lambda *arguments: settings.append(arguments[1].name) or prediction(*arguments)
    )
    assert evaluate(tiny.NAME, "--weights", "seeded").status == 0
    assert set(settings) == {"astronaut.png", "cat.png", "coffee.png"} - done_before
    record = storage.read(output)
    assert record.data == whole.data
    for one, other in zip(record.results, whole.results, strict=True):
        # Another process, so not to the last bit.
        assert one.ious == pytest.approx(other.ious, abs=0.01)
    assert not journal.exists()
    assert not list(tmp_path.glob("*.lock"))


def lines_of_whole(journal: Path) -> list[dict]:
    head, *rest = journal.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    assert set(json.loads(head)) == {"evaluation"}
    return [json.loads(line) for line in rest]


@pytest.fixture
def interrupted(evaluate, tmp_path, monkeypatch) -> Path:
    """A journal of a run that was stopped after one image."""
    calls = []

    def once(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return prediction(*arguments)

    with monkeypatch.context() as context:
        context.setattr(run, "prediction", once)
        done = evaluate(tiny.NAME, "--weights", "seeded")
    assert done.status == 1
    assert "interrupted" in done.stderr
    journal = path_of(tmp_path / "record.json")
    assert len(lines_of(journal)) == 2
    return journal


def test_what_another_run_left_is_not_mixed_in(evaluate, interrupted, tmp_path):
    before = interrupted.read_text(encoding="utf-8")
    for arguments, message in (
        (("--prompts", "box"), "asks something else"),
        (("--limit", 2), "of other data"),
        (("--seed", 5), "asks something else"),
    ):
        done = evaluate(tiny.NAME, "--weights", "seeded", *arguments)
        assert done.status == 1
        assert message in done.stderr
        assert "--overwrite" in done.stderr
        assert interrupted.read_text(encoding="utf-8") == before
    torch.manual_seed(0)
    state = load_model(tiny.NAME, weights="seeded").sam.state_dict()
    torch.save({name: tensor * 1.5 if "neck" in name else tensor for name, tensor in state.items()}, tmp_path / "w.pt")
    done = evaluate(tiny.NAME, "--weights", tmp_path / "w.pt")
    assert done.status == 1
    assert "was begun with other weights or files" in done.stderr
    assert interrupted.read_text(encoding="utf-8") == before
    assert evaluate(tiny.NAME, "--weights", "seeded", "--prompts", "box", "--overwrite").status == 0
    assert [one.prompts for one in storage.read(tmp_path / "record.json").results] == ["box"]


def test_a_subject_may_be_added_and_none_forgotten(evaluate, interrupted, exports_of, tmp_path):
    entry = exports_of("onnx", "float32")
    done = evaluate(entry.folder)
    assert done.status == 1
    assert "it began with tiny_sam torch-float32, too" in done.stderr
    done = evaluate(tiny.NAME, entry.folder, "--weights", "seeded")
    assert done.status == 0, done.stderr
    assert len(storage.read(tmp_path / "record.json").results) == 4


def test_a_record_is_not_replaced_unasked(evaluate, tmp_path):
    assert evaluate(tiny.NAME, "--weights", "seeded", "--limit", 1, "--prompts", "box").status == 0
    before = (tmp_path / "record.json").read_bytes()
    done = evaluate(tiny.NAME, "--weights", "seeded", "--limit", 2)
    assert done.status == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "record.json").read_bytes() == before
    assert evaluate(tiny.NAME, "--weights", "seeded", "--limit", 2, "--prompts", "box", "--overwrite").status == 0
    assert storage.read(tmp_path / "record.json").data.images == 2


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (("no_sam",), "neither a model nor a folder 'no_sam'", 2),
        (("{images}",), "holds no export", 1),
        ((tiny.NAME, tiny.NAME), "named twice", 2),
        ((tiny.NAME, "--weights", "{images}/gone.pt"), "there is no checkpoint", 1),
        ((tiny.NAME, "--prompts", "text"), "no prompt 'text'", 2),
        ((tiny.NAME, "--prompts", "clicks"), "give --clicks N", 2),
        ((tiny.NAME, "--protocol", "mine"), "no protocol 'mine'", 2),
        ((tiny.NAME, "--bsds", "{images}"), "one of --coco FILE.json, --masks DIR and --bsds DIR", 2),
        ((tiny.NAME, "--image-size", "100"), "does not run at image size 100", 2),
        ((tiny.NAME, "--page", "page.pdf"), "must end in .html", 2),
        (("{exports}", "--weights", "seeded"), "--weights are those of a model", 2),
        (("{exports}/onnx-float64",), "neither a model nor a folder", 2),
        (("{exports}", "--precision", "float32", "--clicks", "8"), "8 clicks take 9 prompt slots", 2),
    ],
)
def test_what_cannot_be_evaluated(evaluate, images, exported, tmp_path, arguments, message, status):
    before = set(tmp_path.iterdir())
    done = evaluate(*(argument.format(images=images, exports=exported) for argument in arguments))
    assert done.status == status
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert {path for path in tmp_path.iterdir() if path.suffix != ".jsonl"} == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        (coco(images=coco()["images"][:1]), "which the file does not list"),
        (coco(annotations=[]), "no object left"),
        (
            coco(images=[{**image, "file_name": f"{image['id']}.png"} for image in coco()["images"]]),
            "there is no image",
        ),
        (coco(annotations=[{**coco()["annotations"][0], "segmentation": []}]), "has an empty mask"),
    ],
)
def test_ground_truth_that_cannot_be_used(evaluate, truth, tmp_path, content, message):
    """The readers' own tests have the rest."""
    truth.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    before = set(tmp_path.iterdir())
    done = evaluate(tiny.NAME, "--weights", "seeded")
    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert set(tmp_path.iterdir()) == before


def test_an_image_that_breaks_halfway(evaluate, lightsam, truth, tmp_path):
    """What was done until then is kept, and counts when the image is mended."""
    folder = write_images(tmp_path / "images")
    path = folder / "coffee.png"
    Image.open(path).save(path, "JPEG")  # of which the header is read beforehand, and no more
    path.write_bytes(path.read_bytes()[:3000])
    common = ("--weights", "seeded", "--prompts", "box", "--output", tmp_path / "o.json")
    done = lightsam("evaluate", tiny.NAME, "--coco", truth, "--images", folder, *common)
    assert done.status == 2
    assert "coffee.png cannot be read as an image" in done.stderr
    assert not (tmp_path / "o.json").exists()
    assert len(lines_of(path_of(tmp_path / "o.json"))) == 3


def test_two_records(evaluate, lightsam, exports_of, tmp_path):
    """The same objects in two records are paired; what lost more than the margin ends with status 1."""
    entry = exports_of("onnx", "float32")
    assert evaluate(tiny.NAME, "--weights", "seeded", output="a.json").status == 0
    assert evaluate(entry.folder, "--limit", 2, output="b.json").status == 0
    done = lightsam("evaluate", "compare", tmp_path / "a.json", tmp_path / "b.json")
    assert done.status == 0, done.stderr
    assert "differs: objects: 5, now" in done.stdout

    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    for result in content["results"]:
        result["ious"] = [max(0, value - 0.01) for value in result["ious"]]
    (tmp_path / "worse.json").write_text(json.dumps(content), encoding="utf-8")
    done = lightsam("evaluate", "compare", tmp_path / "a.json", tmp_path / "worse.json")
    assert done.status == 1
    assert "2 of 2 lost more than 0.002 mIoU" in done.stderr
    assert lightsam("evaluate", "compare", tmp_path / "a.json", tmp_path / "worse.json", "--margin", 0.05).status == 0
    assert lightsam("evaluate", "compare", tmp_path / "worse.json", tmp_path / "a.json").status == 0

    content["objects"] = [{**one, "area": one["area"] + 1} for one in content["objects"]]
    (tmp_path / "other.json").write_text(json.dumps(content), encoding="utf-8")
    done = lightsam("evaluate", "compare", tmp_path / "a.json", tmp_path / "other.json")
    assert done.status == 2
    assert "no object in common" in done.stderr
    assert evaluate(tiny.NAME, "--weights", "seeded", "--protocol", "edgesam", output="edge.json").status == 0
    done = lightsam("evaluate", "compare", tmp_path / "a.json", tmp_path / "edge.json")
    assert done.status == 2
    assert "the protocols lightsam and edgesam" in done.stderr


def test_records_for_people(evaluate, lightsam, tmp_path):
    assert evaluate(tiny.NAME, "--weights", "seeded", "--prompts", "box").status == 0
    done = lightsam(
        "evaluate", "report", tmp_path / "record.json", "--output", tmp_path / "r.md", "--output", tmp_path / "r.html"
    )
    assert done.status == 0, done.stderr
    assert "| tiny_sam torch-float32 | box | 0." in (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "tiny_sam torch-float32" in (tmp_path / "r.html").read_text(encoding="utf-8")
    done = lightsam("evaluate", "report", tmp_path / "record.json", "--output", tmp_path / "r.pdf")
    assert (done.status, "must end in .html or .md" in done.stderr) == (2, True)


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 99}', '{"schema": 1}', '{"schema": 1, "protocol": {}}'])
def test_broken_records(lightsam, tmp_path, content):
    (tmp_path / "r.json").write_text(content, encoding="utf-8")
    done = lightsam("evaluate", "report", tmp_path / "r.json")
    assert done.status == 1
    assert str(tmp_path / "r.json") in done.stderr


def test_a_record_that_lacks_objects_is_damaged(evaluate, tmp_path):
    assert evaluate(tiny.NAME, "--weights", "seeded", "--prompts", "box").status == 0
    content = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    content["objects"].pop()
    with pytest.raises(ContractError, match="lacks objects"):
        storage.from_json(content, Path("x.json"))


def test_static_decoders_are_asked_one_by_one_and_dynamic_ones_together(images, truth, tiny_model, monkeypatch):
    sample = ground_truth.load(Evaluation("coco", truth, images)).samples[1]
    predictor = Predictor.from_model(tiny_model)
    sizes = []
    decode = predictor._decoder
    predictor._decoder = lambda inputs: sizes.append(len(inputs["point_labels"])) or decode(inputs)
    together = prediction(predictor, sample, Evaluation("coco", truth, images))
    assert sizes == [2, 2]
    sizes.clear()
    monkeypatch.setattr(predictions, "PROMPTS_A_CALL", 1)
    apart = prediction(predictor, sample, Evaluation("coco", truth, images))
    assert sizes == [1, 1, 1, 1]
    assert apart["box"].ious == pytest.approx(together["box"].ious, abs=0.01)
