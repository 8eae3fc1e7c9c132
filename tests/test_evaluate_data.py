"""Ground truth in every form, and what cannot be read."""

import json
from dataclasses import replace

import annotated
import numpy as np
import pytest
from annotated import HEIGHT, OBJECTS, SHAPES, WIDTH, coco, runs, write_bsds, write_coco, write_images, write_masks
from faster_coco_eval.core import mask as coco_masks
from PIL import Image

from lightsam.errors import DatasetError, FormatUnavailableError, ImageError, UsageError
from lightsam_benchmarks.quality import ground_truth
from lightsam_benchmarks.quality.evaluation import Evaluation
from lightsam_benchmarks.quality.ground_truth import load


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images"))


def masks_of(data) -> dict[str, list[np.ndarray]]:
    found = {}
    for sample in data.samples:
        decode = sample.read()
        found[sample.name] = [decode(index) for index in range(len(sample.objects))]
    return found


def expect_shapes(data, names=OBJECTS):
    found = masks_of(data)
    assert set(found) == {f"{name}.png" for name in names}
    for name, shapes in names.items():
        for mask, shape, truth in zip(
            found[f"{name}.png"],
            shapes,
            next(sample for sample in data.samples if sample.name == f"{name}.png").objects,
            strict=True,
        ):
            assert mask.dtype == bool
            assert np.array_equal(mask, SHAPES[shape])  # whole numbers, drawn without rounding
            assert truth.area == SHAPES[shape].sum()


def test_coco(images, tmp_path):
    data = load(Evaluation("coco", write_coco(tmp_path / "truth.json"), images))
    expect_shapes(data)
    assert [sample.name for sample in data.samples] == ["astronaut.png", "cat.png", "coffee.png"]
    assert data.objects == 5
    assert data.samples[1].objects[0].label == "shape"
    assert data.samples[0].objects[0].box == (0, 0, 51, 41)


def test_compressed_runs_and_crowds(images, tmp_path):
    content = coco()
    for annotation in content["annotations"]:
        if isinstance(annotation["segmentation"], dict):
            annotation["segmentation"] = coco_masks.frPyObjects(annotation["segmentation"], HEIGHT, WIDTH)
            annotation["segmentation"]["counts"] = annotation["segmentation"]["counts"].decode()
    content["annotations"][0]["iscrowd"] = 1
    evaluation = Evaluation("coco", write_coco(tmp_path / "truth.json", content), images)
    data = load(evaluation)
    assert data.objects == 4
    assert data.dropped == {"crowds": 1, "images without objects": 1}
    expect_shapes(load(replace(evaluation, protocol="efficientvit")))


def test_mask_images(images, tmp_path):
    data = load(Evaluation("masks", write_masks(tmp_path / "masks"), images))
    expect_shapes(data)
    assert [truth.id for truth in data.samples[1].objects] == ["7", "200"]
    assert [truth.id for truth in data.samples[2].objects] == ["0", "1"]


def test_region_maps(images, tmp_path):
    """The rest of the image is a region, too, and comes first; slivers are left out."""
    evaluation = Evaluation("bsds", write_bsds(tmp_path / "truth"), images)
    data = load(evaluation)
    assert data.objects == 5 + 3
    assert data.dropped["regions below 1% of the image"] == 3
    found = masks_of(data)["cat.png"]
    assert np.array_equal(found[1], SHAPES["disc"])
    assert np.array_equal(found[2], SHAPES["box"])
    assert [truth.id for truth in data.samples[1].objects] == ["1-1", "1-2", "1-3"]
    second = load(replace(evaluation, annotator="2"))
    assert second.objects == 3 + 3
    assert load(replace(evaluation, annotator="all")).objects == data.objects + second.objects
    with pytest.raises(DatasetError, match="has 2 annotators; there is none with the number 3"):
        load(replace(evaluation, annotator="3"))


def test_a_sample_is_drawn_by_its_seed(images, tmp_path):
    evaluation = Evaluation("coco", write_coco(tmp_path / "truth.json"), images, limit=2)
    drawn = {seed: [sample.name for sample in load(replace(evaluation, seed=seed)).samples] for seed in range(8)}
    assert all(len(names) == 2 and names == sorted(names) for names in drawn.values())
    assert drawn[0] == [sample.name for sample in load(evaluation).samples]
    assert len({tuple(names) for names in drawn.values()}) > 1
    assert len(load(replace(evaluation, limit=99)).samples) == 3


def test_the_digest_is_of_images_and_masks(images, tmp_path):
    evaluation = Evaluation("coco", write_coco(tmp_path / "truth.json"), images)
    before = load(evaluation).sha256()
    write_coco(tmp_path / "truth.json", {**coco(), "info": {"note": "nothing that matters"}})
    assert load(evaluation).sha256() == before
    content = coco()
    content["annotations"][0]["segmentation"]["counts"] = runs(annotated.disc(60, 50, 24))
    write_coco(tmp_path / "truth.json", content)
    assert load(evaluation).sha256() != before
    write_coco(tmp_path / "truth.json")
    other = write_images(tmp_path / "other")
    Image.new("RGB", (WIDTH, HEIGHT)).save(other / "cat.png")
    assert load(replace(evaluation, images=other)).sha256() != before


def one(**changes):
    """The first annotation with something else in it."""
    content = coco()
    content["annotations"][0].update(changes)
    return content


RENAMED = [{**image, "file_name": f"{image['id']}.png"} for image in coco()["images"]]
EMPTY = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ([], "it has no list of images"),
        ({"images": []}, "it has no list of annotations"),
        ({"images": [], "annotations": []}, "no object left"),
        (coco(annotations=[]), "no object left to evaluate: 3 images without objects"),
        (coco(images=coco()["images"][:1]), "annotation 11, is of the image 1, which the file does not list"),
        (one(segmentation=EMPTY), "annotation 10, has an empty mask"),
        (one(segmentation=[]), "annotation 10, has an empty mask"),
        (one(segmentation=None), "annotation 10, has no segmentation"),
        (one(segmentation=[[1, 2, 3, 4]]), "not three or more pairs"),
        (one(segmentation=[[1, 2, 3, 4, "5", 6]]), "not three or more pairs"),
        (one(segmentation={"size": [1, 2], "counts": [2]}), "has no segmentation"),
        (one(segmentation={"size": [HEIGHT, WIDTH], "counts": [5, 5]}), "runs that do not add up"),
        (one(segmentation={"size": [HEIGHT, WIDTH], "counts": "nonsense"}), "cannot be decoded"),
        (one(id=11), "annotation 11, is there twice"),
        (one(image_id=[0]), "image_id is neither a number nor a text"),
        (coco(images=[{**image, "file_name": "cat.png"} for image in coco()["images"]]), "with the file name cat.png"),
        (coco(images=[{**image, "id": 0} for image in coco()["images"]]), "two images with the same id"),
        (coco(images=[{"id": 0, "file_name": "cat.png"}]), "no width and height"),
        (coco(images=[{"id": 0, "width": 5, "height": 5}]), "no id or no file_name"),
        (
            coco(images=[{**image, "file_name": f"{image['id']}.png"} for image in coco()["images"]]),
            "there is no image",
        ),
        (coco(images=[{**image, "width": 99} for image in coco()["images"]], annotations=[]), "no object left"),
    ],
)
def test_broken_annotations(images, tmp_path, content, message):
    path = tmp_path / "truth.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises((DatasetError, ImageError), match=message) as raised:
        load(Evaluation("coco", path, images))
    assert raised.value.exit_status == 2
    assert str(tmp_path) in str(raised.value) or str(images) in str(raised.value)


def test_annotations_that_are_not_there(images, tmp_path):
    with pytest.raises(DatasetError, match="there is no file of annotations"):
        load(Evaluation("coco", tmp_path / "gone.json", images))
    for kind, what in (("masks", "masks"), ("bsds", "region maps")):
        with pytest.raises(DatasetError, match=f"there is no folder of {what}"):
            load(Evaluation(kind, tmp_path / "gone", images))
        (tmp_path / kind).mkdir()
        with pytest.raises(DatasetError, match="holds no"):
            load(Evaluation(kind, tmp_path / kind, images))
        folder = write_masks(tmp_path / "m") if kind == "masks" else write_bsds(tmp_path / "b")
        with pytest.raises(DatasetError, match="there is no folder of images"):
            load(Evaluation(kind, folder, tmp_path / "gone"))


def test_empty_objects_can_be_left_out(images, tmp_path):
    path = write_coco(tmp_path / "truth.json", one(segmentation=EMPTY))
    data = load(Evaluation("coco", path, images, drop_empty=True))
    assert data.dropped["empty objects"] == 1
    assert data.objects == 4
    folder = write_masks(tmp_path / "masks")
    for name in ("coffee_1.png", "astronaut.png"):
        Image.new("L", (WIDTH, HEIGHT)).save(folder / name)
        with pytest.raises(DatasetError, match=f"{name} has an empty mask"):
            load(Evaluation("masks", folder, images))
        if name == "coffee_1.png":
            write_coco(tmp_path / "ignored.json")
            Image.fromarray(SHAPES["ring"]).save(folder / name)
    data = load(Evaluation("masks", folder, images, drop_empty=True))
    assert data.dropped == {"images without objects": 1, "empty objects": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: Image.new("L", (9, 9), 1).save(f / "dog.png"), "dog.png has no image"),
        (lambda f: Image.new("L", (9, 9), 1).save(f / "cat.png"), "is 160 x 120 pixels and its ground truth 9 x 9"),
        (lambda f: Image.new("L", (9, 9), 1).save(f / "coffee_1.png"), "differ in size"),
        (lambda f: Image.new("RGB", (9, 9), "red").save(f / "cat.png"), "has the mode RGB"),
        (lambda f: Image.new("L", (9, 9), 1).save(f / "cat_0.png"), "are both masks of"),
        (lambda f: (f / "cat.png").write_text("no image", encoding="utf-8"), "cannot be read"),
    ],
)
def test_broken_masks(images, tmp_path, change, message):
    folder = write_masks(tmp_path / "masks")
    change(folder)
    with pytest.raises(DatasetError, match=message):
        load(Evaluation("masks", folder, images))


def test_two_images_of_one_name(images, tmp_path):
    other = write_images(tmp_path / "images")
    Image.new("RGB", (WIDTH, HEIGHT)).save(other / "cat.jpg")
    for kind, folder in (("masks", write_masks(tmp_path / "m")), ("bsds", write_bsds(tmp_path / "b"))):
        with pytest.raises(DatasetError, match=r"cat\.jpg and .*cat\.png would share their ground truth"):
            load(Evaluation(kind, folder, other))


def test_the_extra_that_is_not_installed_is_named(images, tmp_path, monkeypatch):
    monkeypatch.setattr(ground_truth, "find_spec", lambda package: None if package == "scipy" else True)
    with pytest.raises(FormatUnavailableError, match=r"needs the package 'scipy'.*pip install .*\[evaluate\]"):
        load(Evaluation("coco", write_coco(tmp_path / "truth.json"), images))


def test_broken_region_maps(images, tmp_path):
    folder = write_bsds(tmp_path / "truth")
    (folder / "cat.mat").write_bytes(b"MATLAB 5.0 and then nothing")
    with pytest.raises(DatasetError, match=r"cat\.mat is no region map of BSDS500"):
        load(Evaluation("bsds", folder, images))
    (folder / "cat.mat").rename(folder / "dog.mat")
    with pytest.raises(DatasetError, match=r"dog\.mat has no image dog"):
        load(Evaluation("bsds", folder, images))


def test_an_image_that_is_none(images, tmp_path):
    other = write_images(tmp_path / "images")
    (other / "coffee.png").write_bytes((other / "coffee.png").read_bytes()[:20])
    with pytest.raises(ImageError, match=r"coffee\.png cannot be read as an image"):
        load(Evaluation("coco", write_coco(tmp_path / "truth.json"), other))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "voc"}, "no ground truth 'voc'"),
        ({"protocol": "mine"}, "no protocol 'mine'; choose from: lightsam, efficientvit, edgesam"),
        ({"prompts": ("box", "text")}, "no prompt 'text'"),
        ({"prompts": ("box", "box")}, "named twice"),
        ({"prompts": ()}, "no prompt is asked for"),
        ({"prompts": ("clicks",)}, "needs a number of them"),
        ({"clicks": 99}, "--clicks is 1 to 20"),
        ({"limit": 0}, "--limit is 1 image at least"),
        ({"seed": -1}, "--seed is a whole number"),
        ({"annotator": "first"}, "--annotator is a number"),
        ({"annotator": "0"}, "--annotator is a number"),
    ],
)
def test_what_cannot_be_asked(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        Evaluation(**{"kind": "coco", "truth": tmp_path, "images": tmp_path, **changes})
