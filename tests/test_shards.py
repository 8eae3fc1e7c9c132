"""`lightsam evaluate edges --shards` and `instances --shards`: the record of one process.

`test_evaluate_shards.py` has what all three commands share: processes that die, other runtimes, what cannot be asked.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from annotated import coco, write_bsds, write_coco, write_images

from lightsam import load_model
from lightsam_benchmarks import shards
from lightsam_benchmarks.edges import run as edges
from lightsam_benchmarks.edges.run import counted
from lightsam_benchmarks.instances import run as instances
from lightsam_benchmarks.instances.run import masks_of
from lightsam_benchmarks.journals import folder_of, path_of
from lightsam_benchmarks.quality.coco import decode, encode
from lightsam_benchmarks.quality.dataset import Sample


@dataclass(frozen=True)
class Kind:
    """One of the two commands, over images that the tests draw."""

    module: Any
    """Where `function` is looked up."""
    function: str
    """What answers an image."""
    write: Callable[[Path], tuple]
    """Write its data into a folder; returns the options that name them."""
    images: tuple[str, ...]
    """Keys of the images, in the order of the data; those without a prompt are in brackets."""
    other: tuple
    """Options that ask something else."""


def write_edges(folder: Path) -> tuple:
    return ("--bsds", write_bsds(folder / "truth"), "--images", write_images(folder / "images"))


def write_sets(folder: Path) -> tuple:
    """Two sets with boxes of falling scores; nothing is found in one image of the second."""
    boxes = [{**one, "score": 0.9 - 0.1 * number} for number, one in enumerate(coco()["annotations"])]
    for name, found in (("A", boxes), ("B", [one for one in boxes if one["image_id"] != 1])):
        place = write_images(folder / "sets" / name)
        write_coco(place / "annotations.json")
        (place / "boxes.json").write_text(json.dumps(found), encoding="utf-8")
    return ("--sets", folder / "sets")


def partly_right(predictor, sample, boxes, mask) -> tuple[tuple[str, ...], int]:
    """Masks of drawn weights, but all of the left half of each box: some are right, and no two alike."""
    masks, not_finite = masks_of(predictor, sample, boxes, mask)
    width, height = sample.size
    y, x = np.mgrid[:height, :width]
    mended = []
    for one, counts in zip(boxes, masks, strict=True):
        x0, y0, x1, y1 = one.box
        within = (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
        drawn = decode({"size": [height, width], "counts": counts})
        mended.append(encode(within & (drawn | (x < (x0 + x1) / 2)))["counts"])
    return tuple(mended), not_finite


KINDS = {
    "edges": Kind(edges, "counted", write_edges, ("astronaut.png", "cat.png", "coffee.png"), ("--border", 3)),
    "instances": Kind(
        instances,
        "masks_of",
        write_sets,
        ("A/astronaut.png", "A/cat.png", "A/coffee.png", "B/astronaut.png", "[B/cat.png]", "B/coffee.png"),
        ("--mask", "best"),
    ),
}


@pytest.fixture(params=KINDS)
def name(request) -> str:
    return request.param


@pytest.fixture
def kind(name) -> Kind:
    return KINDS[name]


@pytest.fixture
def options(kind, tmp_path) -> tuple:
    return kind.write(tmp_path)


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "record.json"


@pytest.fixture
def evaluate(lightsam, name, options, output):
    """Run the command; the record is ``record.json`` unless said otherwise."""

    def start(*arguments: object, weights: object = "seeded", to: Path = output):
        return lightsam("evaluate", name, tiny.NAME, "--weights", weights, *options, "--output", to, *arguments)

    return start


@pytest.fixture
def here(monkeypatch):
    """Shards are done in this process, one after the other."""
    monkeypatch.setattr(shards, "spread", lambda do, items, executor, died: map(do, items))


@pytest.fixture
def answered(monkeypatch, kind, here) -> list[str]:
    """Files of the images that are answered, as `Kind.images` names them."""
    names: list[str] = []
    answer = counted if kind is KINDS["edges"] else partly_right

    def noted(*arguments):
        (path,) = [one.path for one in arguments if isinstance(one, Sample)]
        names.append(path.name if kind is KINDS["edges"] else f"{path.parent.name}/{path.name}")
        return answer(*arguments)

    monkeypatch.setattr(kind.module, kind.function, noted)
    return names


def asked_of(kind: Kind) -> list[str]:
    return [name for name in kind.images if not name.startswith("[")]


def without_times(content: Any) -> Any:
    """A record, but for when it was made and how long that took."""
    if isinstance(content, dict):
        times = ("created", "detection_s", "matching_s")
        return {key: without_times(value) for key, value in content.items() if key not in times}
    return [without_times(one) for one in content] if isinstance(content, list) else content


def found_in(path: Path) -> Any:
    return without_times(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def other_weights(tmp_path) -> Path:
    state = load_model(tiny.NAME, weights="seeded").sam.state_dict()
    path = tmp_path / "other.pt"
    torch.save({name: tensor * 1.5 if "neck" in name else tensor for name, tensor in state.items()}, path)
    return path


def compared(name: str, other_weights: Path) -> tuple:
    """Options for two subjects, side by side."""
    return ("--weights", other_weights, *(("--vs", tiny.NAME) if name == "instances" else ()))


def test_any_number_of_shards_gives_the_record_of_one_process(
    evaluate, name, kind, here, answered, output, other_weights, tmp_path
):
    two = compared(name, other_weights)
    whole = evaluate(*two, to=tmp_path / "whole.json")
    assert whole.status == 0, whole.stderr
    for count in (2, 4)[: len(kind.images) // 3]:
        answered.clear()
        done = evaluate(*two, "--shards", count, "--overwrite")
        assert done.status == 0, done.stderr
        assert f"{len(kind.images)} images in {count} shards" in done.stderr
        assert sorted(answered) == sorted([*asked_of(kind)] * 2)
        assert done.stdout.splitlines()[:5] == whole.stdout.splitlines()[:5]
        assert found_in(output) == found_in(tmp_path / "whole.json")
        assert not folder_of(output).exists()
        assert not list(tmp_path.glob("*.lock"))
    record = found_in(output)
    if name == "edges":
        first, second = record["results"]
        assert len({image["counts"]["found"][0] for one in (first, second) for image in one["images"]}) == 6
    else:
        assert all(0 < one["precision"]["ap"] < 1 for one in record["results"])
        assert all(0 < one["mask_iou"] < 1 for one in record["differences"])
        assert [one["boxes"]["count"] for one in record["sets"]] == [5, 3]


def test_two_workers_give_the_record_of_one_process(evaluate, output, tmp_path, own_processes):
    """In processes of their own, by Dask."""
    assert evaluate(to=tmp_path / "whole.json").status == 0
    done = evaluate("--shards", 2, "--jobs", 2)
    assert done.status == 0, done.stderr
    assert found_in(output) == found_in(tmp_path / "whole.json")


@pytest.fixture
def begun(evaluate, kind, output, answered, options) -> Path:
    """The folder of a run of two shards, the second of which failed for a damaged image."""
    last = max(Path(options[1]).parent.glob("**/coffee.png"))
    whole = last.read_bytes()
    last.write_bytes(b"")
    done = evaluate("--shards", 2)
    last.write_bytes(whole)
    assert done.status == 1
    assert "1 of 2 shards are not done" in done.stderr
    assert f"{last} cannot be read as an image" in done.stderr
    assert not output.exists()
    half = asked_of(kind)[: -(-len(kind.images) // 2)]
    assert answered == half
    answered.clear()
    return folder_of(output)


@pytest.mark.parametrize("count", [2, 3])
def test_a_shard_that_failed_is_done_by_the_next_run(evaluate, kind, begun, answered, output, tmp_path, count):
    """Also in another number of shards."""
    done = evaluate("--shards", count)
    assert done.status == 0, done.stderr
    assert answered == asked_of(kind)[-(-len(kind.images) // 2) :]
    assert not begun.exists()
    assert evaluate(to=tmp_path / "whole.json").status == 0
    assert found_in(output) == found_in(tmp_path / "whole.json")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def test_what_differs_is_refused_and_discarded_on_demand(evaluate, kind, begun, answered, other_weights, output):
    before = contents(begun)
    for arguments, weights, message, status in (
        (("--shards", 2, *kind.other), "seeded", "asks something else", 1),
        (("--shards", 2), other_weights, "begun with other weights or files", 1),
        ((), "seeded", "is of a run with --shards", 2),
    ):
        done = evaluate(*arguments, weights=weights)
        assert (done.status, message in done.stderr) == (status, True), done.stderr
        assert contents(begun) == before
    assert answered == []
    done = evaluate("--shards", 2, "--overwrite", weights=other_weights)
    assert done.status == 0, done.stderr
    assert answered == asked_of(kind)
    assert not path_of(output).exists()


def test_another_image_is_refused_and_done_again_on_demand(evaluate, kind, begun, answered, options, output, tmp_path):
    """Its annotations are the same, its pixels are not; what was done before is not mixed with it."""
    first = min(Path(options[1]).parent.glob("**/astronaut.png"))
    first.write_bytes(first.with_name("coffee.png").read_bytes())
    done = evaluate("--shards", 2)
    assert done.status == 1
    assert f"the image {kind.images[0]} was another when it was evaluated: say --overwrite" in done.stderr
    answered.clear()
    done = evaluate("--shards", 2, "--overwrite")
    assert done.status == 0, done.stderr
    assert kind.images[0] in answered
    assert kind.images[1] not in answered
    assert evaluate(to=tmp_path / "whole.json").status == 0
    assert found_in(output) == found_in(tmp_path / "whole.json")
