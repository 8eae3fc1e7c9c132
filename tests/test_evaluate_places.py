"""Images and annotations that are read by fsspec: from memory here, as from object storage elsewhere."""

import json
import sys
from pathlib import Path

import fsspec
import pytest
import tiny
from annotated import NAMES, write_coco, write_images

from lightsam.errors import FormatUnavailableError, UsageError
from lightsam_benchmarks.quality import ground_truth, storage
from lightsam_benchmarks.quality.evaluation import Evaluation
from lightsam_benchmarks.quality.places import Url, open_image_at, place


@pytest.fixture
def here(tmp_path) -> Path:
    """A folder with images and ``truth.json``."""
    write_coco(write_images(tmp_path / "data") / "truth.json")
    return tmp_path / "data"


@pytest.fixture
def bucket(here):
    """The same, in memory."""
    files = fsspec.filesystem("memory")
    for path in here.iterdir():
        files.pipe(f"/bucket/{path.name}", path.read_bytes())
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def test_a_place_is_a_path_or_a_url():
    assert place("images/val") == Path("images/val")
    assert place("s3://bucket/val") == Url("s3://bucket/val")
    assert str(place("s3://bucket/val/") / "2/a.jpg") == "s3://bucket/val/2/a.jpg"
    assert place("simplecache::s3://bucket/a.json").name == "a.json"
    assert place("s3://bucket/val").absolute() == Url("s3://bucket/val")


def test_the_record_is_that_of_local_files(lightsam, here, bucket, tmp_path, own_processes):
    records = {}
    cached = f"simplecache::file://{here}"
    for name, folder, more in (
        ("local", here, ()),
        ("memory", bucket, ()),
        ("cached", cached, ()),
        ("shards", cached, ("--shards", 3)),
    ):
        output = tmp_path / f"{name}.json"
        done = lightsam(
            "evaluate", tiny.NAME, "--weights", "seeded", "--coco", f"{folder}/truth.json", "--images", folder,
            "--output", output, "--page", tmp_path / f"{name}.html", *more,
        )  # fmt: skip
        assert done.status == 0, done.stderr
        records[name] = storage.read(output)
        assert str(tmp_path) not in output.read_text(encoding="utf-8")
    local = records["local"]
    assert local.data.images == len(NAMES)
    for one in records.values():
        assert (one.data, one.objects, one.results) == (local.data, local.objects, local.results)


def load(folder: object, **more) -> None:
    ground_truth.load(Evaluation("coco", place(f"{folder}/truth.json"), place(str(folder)), **more))


def test_what_is_not_there_is_named(bucket):
    with pytest.raises(UsageError, match=r"there is no file of annotations memory://nowhere/truth\.json"):
        load("memory://nowhere")
    files = fsspec.filesystem("memory")
    files.pipe("/bucket/coffee.png", files.cat("/bucket/coffee.png")[:20])
    with pytest.raises(UsageError, match=r"memory://bucket/coffee\.png cannot be read as an image"):
        load(bucket)
    with pytest.raises(UsageError, match=r"memory://bucket/coffee\.png cannot be read as an image"):
        open_image_at(Url("memory://bucket/coffee.png"))
    files.rm("/bucket/coffee.png")
    with pytest.raises(UsageError, match=r"there is no image memory://bucket/coffee\.png"):
        load(bucket)
    with pytest.raises(UsageError, match=r"memory://bucket/coffee\.png cannot be read as an image"):
        open_image_at(Url("memory://bucket/coffee.png"))
    files.pipe("/bucket/truth.json", json.dumps({"images": []}).encode())
    with pytest.raises(UsageError, match=r"memory://bucket/truth\.json is no COCO file"):
        load(bucket)


def test_packages_that_are_not_there_are_named(bucket, monkeypatch):
    with pytest.raises(UsageError, match=r"nothing://bucket/truth\.json cannot be read"):
        load("nothing://bucket")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(FormatUnavailableError, match=r"s3://bucket/truth\.json cannot be read: Install s3fs"):
        load("s3://bucket")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(FormatUnavailableError, match="by the package fsspec, which is not installed"):
        load(bucket)


@pytest.mark.parametrize("kind", ["masks", "bsds"])
def test_folders_are_local(bucket, tmp_path, kind):
    with pytest.raises(UsageError, match="are read from a folder of this machine, not from memory://bucket"):
        ground_truth.load(Evaluation(kind, place(bucket), tmp_path))


def test_errors_of_a_protocol_are_one_line(bucket, monkeypatch, lightsam, tmp_path):
    def refused(*_, **__):
        raise RuntimeError("no credentials\nfor this bucket")

    monkeypatch.setattr(fsspec.filesystem("memory"), "_open", refused)
    done = lightsam(
        "evaluate", tiny.NAME, "--weights", "seeded", "--coco", f"{bucket}/truth.json", "--images", bucket,
        "--output", tmp_path / "o.json",
    )  # fmt: skip
    assert done.status == 2
    assert "RuntimeError: no credentials for this bucket" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
