"""`lightsam evaluate --shards`: the record of one process, whatever the number of shards and of workers."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from annotated import NAMES, write_bsds, write_coco, write_images, write_masks

from lightsam import load_model
from lightsam_benchmarks import shards
from lightsam_benchmarks.journals import folder_of, path_of
from lightsam_benchmarks.quality import compare, run
from lightsam_benchmarks.quality.compare import bootstrap
from lightsam_benchmarks.quality.predictions import prediction
from lightsam_benchmarks.shards import Shard, ShardResult, Work, score_shard


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def truth(tmp_path) -> Path:
    return write_coco(tmp_path / "truth.json")


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "record.json"


@pytest.fixture
def evaluate(lightsam, images, truth, output):
    """Run the command over the drawn annotations; the record is ``record.json`` unless said otherwise."""

    def start(*arguments: object, to: Path = output):
        common = ("--coco", truth, "--images", images, "--clicks", 2, "--output", to)
        return lightsam("evaluate", tiny.NAME, "--weights", "seeded", *common, *arguments)

    return start


@pytest.fixture
def here(monkeypatch):
    """Shards are done in this process, one after the other."""
    monkeypatch.setattr(shards, "spread", lambda do, items, executor, died: map(do, items))


@pytest.fixture
def encoded(monkeypatch, here) -> list[str]:
    """Names of the images that are encoded."""
    names = []
    monkeypatch.setattr(run, "prediction", lambda *arguments: names.append(arguments[1].name) or prediction(*arguments))
    return names


def text_of(path: Path) -> str:
    """A record, but for the time that it was made at."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith(' "created": ') for line in lines) == 1
    return "\n".join(line for line in lines if not line.startswith(' "created": '))


@pytest.fixture
def whole(evaluate, tmp_path) -> str:
    """The record of one process without shards."""
    done = evaluate(to=tmp_path / "whole.json")
    assert done.status == 0, done.stderr
    return text_of(tmp_path / "whole.json")


def test_any_number_of_shards_gives_the_same_record(evaluate, here, whole, output):
    for count in (1, 2, 3):
        done = evaluate("--shards", count, "--overwrite")
        assert done.status == 0, done.stderr
        assert f"shard {count} of {count}: {len(NAMES) // count} images encoded" in done.stderr
        assert text_of(output) == whole
        assert not folder_of(output).exists()
        assert not list(output.parent.glob("*.lock"))
    ious = json.loads(output.read_text(encoding="utf-8"))["results"][0]["ious"]
    assert len(set(ious)) == 5  # figures of five objects, none of which is another's


def test_two_workers_give_the_record_of_one(lightsam, exports_of, images, truth, tmp_path, own_processes):
    """PyTorch and an export, in processes of their own and by Dask; the page has the same worst answers."""
    folder = exports_of("onnx", "float32").folder
    common = ("evaluate", tiny.NAME, "--vs", folder, "--weights", "seeded", "--coco", truth, "--images", images)
    found = {}
    for name, more in (
        ("whole", ()),
        ("one", ("--shards", 3)),
        ("two", ("--shards", 3, "--jobs", 2)),
    ):
        paths = ("--output", tmp_path / f"{name}.json", "--page", tmp_path / f"{name}.html")
        done = lightsam(*common, *paths, *more)
        assert done.status == 0, done.stderr
        page = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        found[name] = (text_of(tmp_path / f"{name}.json"), page[page.index("<img") :])
    assert found["one"] == found["two"] == found["whole"]


def dies(work: Work, shard: Shard) -> ShardResult:
    """In the place of `score_shard`: the process of the first shard ends at its second image."""
    before = []

    def once(*arguments):
        if before and shard.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        before.append(1)
        return prediction(*arguments)

    run.prediction = once
    return score_shard(work, shard)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_shard_that_is_killed_goes_on_where_it_was(
    evaluate, output, whole, own_processes, monkeypatch, request, jobs
):
    with monkeypatch.context() as context:
        context.setattr(shards, "score_shard", dies)
        done = evaluate("--shards", 2, "--jobs", jobs)
    assert done.status == 1
    assert "1 of 2 shards are not done; what is done is kept, and the same command goes on: shard 1 of 2" in done.stderr
    assert "its process was ended" in done.stderr or "its worker died" in done.stderr
    assert not output.exists()
    first, second = sorted(folder_of(output).glob("*.jsonl"))
    assert [len(path.read_text(encoding="utf-8").splitlines()) for path in (first, second)] == [2, 2]
    with first.open("a", encoding="utf-8") as lines:
        lines.write('{"subject": "tiny_sam torch-float32", "ima')  # a line that was being written

    encoded = request.getfixturevalue("encoded")
    done = evaluate("--shards", 2)
    assert done.status == 0, done.stderr
    assert encoded == ["cat.png"]  # the second of the first shard
    assert text_of(output) == whole
    assert not folder_of(output).exists()


@pytest.fixture
def begun(evaluate, output, here, monkeypatch) -> Path:
    """The folder of a run of two shards that was stopped after the first image."""

    before = []

    def once(*arguments):
        if before:
            raise KeyboardInterrupt
        before.append(1)
        return prediction(*arguments)

    with monkeypatch.context() as context:
        context.setattr(run, "prediction", once)
        done = evaluate("--shards", 2)
    assert (done.status, "interrupted" in done.stderr) == (1, True)
    return folder_of(output)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_shards_goes_on(evaluate, begun, whole, encoded, output, count):
    done = evaluate("--shards", count)
    assert done.status == 0, done.stderr
    assert encoded == ["cat.png", "coffee.png"]
    assert text_of(output) == whole


def test_what_asks_something_else_is_refused(evaluate, begun, truth, tmp_path):
    before = contents(begun)
    content = json.loads(truth.read_text(encoding="utf-8"))
    content["annotations"].pop()
    for arguments, message in (
        (("--clicks", 3), "asks something else"),
        (("--limit", 2), "of other data"),
        (("--seed", 5), "asks something else"),
        (("--coco", write_coco(tmp_path / "other.json", content)), "of other data"),
    ):
        done = evaluate("--shards", 2, *arguments)
        assert (done.status, message in done.stderr, "--overwrite" in done.stderr) == (1, True, True), done.stderr
        assert contents(begun) == before
    assert evaluate("--shards", 2, "--prompts", "box", "--overwrite").status == 0
    assert not begun.exists()


def test_other_weights_are_refused(lightsam, images, truth, output, tmp_path, begun):
    before = contents(begun)
    state = load_model(tiny.NAME, weights="seeded").sam.state_dict()
    torch.save({name: tensor * 1.5 if "neck" in name else tensor for name, tensor in state.items()}, tmp_path / "w.pt")
    done = lightsam(
        "evaluate", tiny.NAME, "--weights", tmp_path / "w.pt", "--coco", truth, "--images", images, "--clicks", 2,
        "--output", output, "--shards", 2,
    )  # fmt: skip
    assert done.status == 1
    assert "begun with other weights or files" in done.stderr
    assert contents(begun) == before
    done = lightsam(
        "evaluate", tiny.NAME, "--weights", tmp_path / "w.pt", "--coco", truth, "--images", images, "--clicks", 2,
        "--output", output, "--shards", 2, "--overwrite",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert output.exists()


def test_another_image_is_refused(lightsam, truth, output, tmp_path, monkeypatch, encoded):
    """Its ground truth is the same, its pixels are not; what was evaluated before is not mixed with it."""
    folder = write_images(tmp_path / "images")
    common = ("evaluate", tiny.NAME, "--weights", "seeded", "--coco", truth, "--images", folder, "--output", output)
    (folder / "coffee.png").rename(tmp_path / "coffee.png")
    done = lightsam(*common, "--shards", 3)
    assert done.status == 1
    assert "1 of 3 shards are not done" in done.stderr
    assert "coffee.png" in done.stderr
    assert encoded == ["astronaut.png", "cat.png"]
    (tmp_path / "coffee.png").rename(folder / "coffee.png")
    (folder / "cat.png").write_bytes((folder / "coffee.png").read_bytes())
    done = lightsam(*common, "--shards", 3)
    assert done.status == 1
    assert "the image cat.png was another when it was evaluated" in done.stderr


def test_a_run_of_one_kind_does_not_go_on_as_the_other(evaluate, begun, output):
    done = evaluate()
    assert (done.status, "record.shards is of a run with --shards" in done.stderr) == (2, True)
    assert begun.exists()
    assert evaluate("--overwrite").status == 0
    assert not begun.exists()
    output.unlink()
    path_of(output).write_text("", encoding="utf-8")
    done = evaluate("--shards", 2)
    assert (done.status, "is of a run without --shards" in done.stderr) == (2, True)


def test_a_machine_without_the_folder_says_so(evaluate, output, here, monkeypatch):
    def elsewhere(work: Work, shard: Shard) -> ShardResult:
        shard.journal.unlink()
        return score_shard(work, shard)

    monkeypatch.setattr(shards, "score_shard", elsewhere)
    done = evaluate("--shards", 2)
    assert (done.status, "in a folder that all machines share" in done.stderr) == (1, True)


def test_another_runtime_elsewhere_is_refused(evaluate, here, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.99")
    real = shards.score_shard

    def elsewhere(work: Work, shard: Shard) -> ShardResult:
        monkeypatch.setattr(torch, "__version__", "2.98")
        return real(work, shard)

    monkeypatch.setattr(shards, "score_shard", elsewhere)
    done = evaluate("--shards", 2)
    assert (done.status, "install the same release on every machine" in done.stderr) == (1, True)


@pytest.mark.parametrize("kind", ["masks", "bsds"])
def test_every_form_of_ground_truth_goes_to_other_processes(lightsam, images, tmp_path, own_processes, kind):
    folder = write_masks(tmp_path / kind) if kind == "masks" else write_bsds(tmp_path / kind)
    common = ("evaluate", tiny.NAME, "--weights", "seeded", f"--{kind}", folder, "--images", images, "--prompts", "box")
    for name, more in (("whole", ()), ("shards", ("--shards", 2))):
        done = lightsam(*common, "--output", tmp_path / f"{name}.json", *more)
        assert done.status == 0, done.stderr
    assert text_of(tmp_path / "shards.json") == text_of(tmp_path / "whole.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shards", 4), "--shards is 1 to 3 for as many images, not 4"),
        (("--shards", 0), "--shards is 1 to 3"),
        (("--jobs", 2), "say how many with --shards"),
        (("--scheduler", "tcp://127.0.0.1:9"), "say how many with --shards"),
        (("--shards", 2, "--jobs", 0), "a job at least"),
    ],
)
def test_what_cannot_be_asked(evaluate, output, arguments, message):
    done = evaluate(*arguments)
    assert (done.status, message in done.stderr) == (2, True), done.stderr
    assert not output.exists()


def test_the_interval_is_the_same_however_few_images_fit(monkeypatch):
    values, names = list(np.random.default_rng(0).uniform(0, 1, 40)), [f"{number}" for number in range(40)]
    whole = bootstrap(values, names, 0)
    monkeypatch.setattr(compare, "_AT_A_TIME", 40 * 7)
    assert bootstrap(values, names, 0) == pytest.approx(whole, abs=1e-12)
