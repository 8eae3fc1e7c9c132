"""`lightsam evaluate report`: records of quality, edges and instances, each recognised by itself."""

import json
from pathlib import Path

import pytest
import tiny
from annotated import write_bsds, write_coco, write_images
from command import run_command

QUALITY = Path(__file__).parent.parent / "benchmarks" / "quality" / "records" / "animals-test.json"
LATENCY = Path(__file__).parent.parent / "benchmarks" / "latency" / "records" / "amd-epyc-2-cores.json"
TITLES = {
    "quality": "Mean IoU with ground truth, ",
    "edges": "Zero-shot edges, 1 image; published rows: ",
    "instances": "Average precision of masks by boxes, 5 boxes in 3 images",
}


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> dict[str, Path]:
    """One of each kind."""
    folder = tmp_path_factory.mktemp("records")
    images = write_images(folder / "images")
    options = {
        "edges": ("--bsds", write_bsds(folder / "truth"), "--limit", 1),
        "instances": ("--annotations", write_coco(folder / "truth.json"), "--boxes", "ground-truth"),
    }
    for kind, more in options.items():
        output = ("--images", images, "--output", folder / f"{kind}.json")
        done = run_command("evaluate", kind, tiny.NAME, "--weights", "seeded", *more, *output)
        assert done.status == 0, done.stderr
    return {"quality": QUALITY, **{kind: folder / f"{kind}.json" for kind in options}}


def test_records_of_all_kinds_are_shown_together(lightsam, records, tmp_path):
    markdown, page = tmp_path / "all.md", tmp_path / "all.html"
    done = lightsam("evaluate", "report", *records.values(), "--output", markdown, "--output", page)
    assert done.status == 0, done.stderr
    shown = (done.stdout, markdown.read_text(encoding="utf-8"), page.read_text(encoding="utf-8"))
    for text in shown:
        places = [text.index(title) for title in TITLES.values()]
        assert places == sorted(places)
        assert text.count("untrained weights: these") == 2  # what is said of edges and of instances
    assert "<h1>Masks against ground truth, zero-shot edges, masks by boxes</h1>" in shown[2]
    assert shown[2].count("<svg") == 1  # the curve of edges
    for remark in ("mIoU is the mean over objects", "The dot is the threshold", "AP is the mean precision"):
        assert shown[2].count(remark) == 1


@pytest.mark.parametrize("kind", TITLES)
def test_one_kind_is_shown_alone(lightsam, records, tmp_path, kind):
    done = lightsam("evaluate", "report", records[kind], records[kind], "--output", tmp_path / "two.html")
    assert done.status == 0, done.stderr
    text = (tmp_path / "two.html").read_text(encoding="utf-8")
    assert [done.stdout.count(title) for title in TITLES.values()] == [2 * (one == kind) for one in TITLES]
    assert [text.count(title) for title in TITLES.values()] == [2 * (one == kind) for one in TITLES]


@pytest.mark.parametrize("kind", TITLES)
def test_a_damaged_record_is_refused_in_the_words_of_its_kind(lightsam, records, tmp_path, kind):
    content = json.loads(records[kind].read_text(encoding="utf-8"))
    path = tmp_path / "damaged.json"
    without = {key: value for key, value in content.items() if key != "chip"}
    for damaged, message in (
        (without, f"is damaged or not a record of {kind}: "),
        ({**content, "schema": 99}, f"is not a record of {kind} of schema "),
    ):
        path.write_text(json.dumps(damaged), encoding="utf-8")
        done = lightsam("evaluate", "report", records["edges"], path, "--output", tmp_path / "all.md")
        assert done.status == 1
        assert f"{path} {message}" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "all.md").exists()


@pytest.mark.parametrize("content", ["{}", "[]", "3", '"recipe"', "{", None])
def test_what_is_of_no_kind_names_all_three(lightsam, tmp_path, content):
    path = LATENCY
    if content is not None:
        path = tmp_path / "nothing.json"
        path.write_text(content, encoding="utf-8")
    done = lightsam("evaluate", "report", path, "--output", tmp_path / "nothing.md")
    assert done.status == 1
    assert str(path) in done.stderr
    assert "a record of quality, a record of edges or a record of instances" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "nothing.md").exists()
