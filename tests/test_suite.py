"""Suites of photographs and prompts: lightsam's own, and a user's."""

import json

import numpy as np
import pytest
from PIL import Image

from lightsam.errors import ImageError, PromptError, UsageError
from lightsam_exporters.parity.reference_image import ReferenceImage
from lightsam_exporters.parity.suite import NAMES, load_suite


def test_the_default_suite_has_every_shape_of_image():
    suite = load_suite("default")
    assert suite.title == "default 1"
    sizes = {image.name: image.image.size for image in suite.images}
    assert set(sizes) == {"landscape", "portrait", "panorama", "small", "tiny"}
    assert sizes["landscape"][0] > 1024 > sizes["small"][0]
    assert sizes["portrait"][1] > sizes["portrait"][0]
    assert sizes["panorama"][0] > 4 * sizes["panorama"][1]
    assert max(sizes["tiny"]) < 64


def test_the_default_suite_has_every_kind_of_prompt():
    cases = {f"{image.name}: {case.name}": case for image in load_suite("default").images for case in image.cases}
    prompts = [prompt for case in cases.values() for prompt in case.prompts]
    assert any(prompt.box and prompt.points for prompt in prompts)
    assert any(prompt.box and not prompt.points for prompt in prompts)
    assert any(set(prompt.labels) == {0, 1} for prompt in prompts)
    assert max(len(prompt.points) for prompt in prompts) == 7  # with SAM's padding point, all eight slots
    assert {case.rounds for case in cases.values()} == {1, 3}  # refined twice
    assert (0, 0) in [tuple(point) for prompt in prompts for point in prompt.points]
    assert (1599, 1066) in [tuple(point) for prompt in prompts for point in prompt.points]
    assert len(cases["small: batch"].prompts) == 4
    grid = [case for name, case in cases.items() if name.startswith("small: grid")]
    assert len(grid) == 16
    assert sum(len(case.prompts) for case in grid) == 256


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_fits_its_image_and_every_answer_says_something(name, tiny_stages):
    for image in load_suite(name).images:
        reference_image = ReferenceImage(tiny_stages, image)
        for case in reference_image.cases[:8]:
            for prediction in reference_image.expected(case):
                assert np.isfinite(prediction["low_res_masks"]).all()
                assert prediction["low_res_masks"].shape[0] == len(case.prompts)
        for case in reference_image.cases:
            for prompt in case.prompts:
                prompt.check(reference_image.frame)
                assert len(prompt.tokens(reference_image.frame)[1]) <= 8


@pytest.fixture
def own(tmp_path, coffee):
    coffee.save(tmp_path / "mine.png")

    def write(**changes):
        image = {"name": "mine", "file": "mine.png", "crop": [100, 50, 400, 250], "resize": [150, 100]}
        content = {
            "name": "own",
            "version": "7",
            "images": [{**image, "cases": [{"name": "point", "points": [[75, 50]]}], **changes}],
        }
        path = tmp_path / "own.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def test_a_suite_of_ones_own(own, exported, lightsam):
    path = own()
    suite = load_suite(path)
    assert suite.title == "own 7"
    assert suite.images[0].image.size == (150, 100)
    done = lightsam("parity", exported, "--precision", "float32", "--suite", path, "--every")
    assert done.status == 0, done.stdout + done.stderr
    assert "suite own 7" in done.stdout
    assert "mine: point" in done.stdout


def test_a_folder_of_images_is_a_suite(tmp_path, coffee, exported, lightsam):
    coffee.resize((90, 60)).save(tmp_path / "a.png")
    coffee.rotate(90, expand=True).save(tmp_path / "b.jpg")
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    suite = load_suite(tmp_path)
    assert [(image.name, len(image.cases)) for image in suite.images] == [("a.png", 3), ("b.jpg", 3)]
    done = lightsam("parity", exported, "--precision", "float32", "--suite", tmp_path)
    assert done.status == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"cases": [{"name": "p", "point": [[1, 2]]}]},
            UsageError,
            r"own\.json .* unknown field `point` - at `\$\.images\[0\]\.cases\[0\]`",
        ),
        ({"cases": [{"points": [[1, 2]]}]}, UsageError, "missing required field `name`"),
        (
            {"cases": [{"name": "p", "points": [1, 2]}]},
            UsageError,
            r"own\.json is damaged or not a suite of images and prompts: Expected `array`",
        ),
        ({"cases": []}, UsageError, "asks nothing"),
        ({"cases": [{"name": "p"}]}, PromptError, "an empty prompt has no answer"),
        ({"cases": [{"name": "p", "points": [[1, 2]], "labels": [5]}]}, PromptError, "label is 1"),
        ({"file": "gone.png"}, ImageError, r"there is no image .*gone\.png"),
    ],
)
def test_a_suite_that_is_wrong_is_told(own, changes, error, message):
    with pytest.raises(error, match=message):
        load_suite(own(**changes))


def test_what_is_no_suite_is_told(tmp_path):
    with pytest.raises(UsageError, match="there is no suite everything; give quick or default, a JSON file"):
        load_suite("everything")
    with pytest.raises(UsageError, match="there is no image in"):
        load_suite(tmp_path)
    (tmp_path / "suite.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read as a suite of images and prompts"):
        load_suite(tmp_path / "suite.json")


def test_a_point_outside_the_image_is_told(own, exported, lightsam):
    path = own(cases=[{"name": "p", "points": [[151, 20]]}])
    done = lightsam("parity", exported, "--precision", "float32", "--suite", path)
    assert done.status == 2
    assert "the point 151,20 is outside the image, which is 150 x 100" in done.stderr


def test_a_grid_asks_the_middle_of_every_cell(own):
    suite = load_suite(own(cases=[{"name": "grid", "grid": 2}]))
    points = [tuple(prompt.points[0]) for case in suite.images[0].cases for prompt in case.prompts]
    assert points == [(37.5, 25), (112.5, 25), (37.5, 75), (112.5, 75)]
    assert isinstance(suite.images[0].image, Image.Image)
