"""Suites of photographs and prompts: lightsam's own, and a user's."""

import json

import numpy as np
import pytest
from PIL import Image

from lightsam.errors import ImageError, PromptError, UsageError
from lightsam_exporters.suite import NAMES, load_suite
from lightsam_exporters.trial import Trial


def test_the_default_suite_has_every_shape_of_picture():
    suite = load_suite("default")
    assert suite.title == "default 1"
    sizes = {picture.name: picture.image.size for picture in suite.pictures}
    assert set(sizes) == {"landscape", "portrait", "panorama", "small", "tiny"}
    assert sizes["landscape"][0] > 1024 > sizes["small"][0]
    assert sizes["portrait"][1] > sizes["portrait"][0]
    assert sizes["panorama"][0] > 4 * sizes["panorama"][1]
    assert max(sizes["tiny"]) < 64


def test_the_default_suite_has_every_kind_of_prompt():
    cases = {
        f"{picture.name}: {case.name}": case for picture in load_suite("default").pictures for case in picture.cases
    }
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
def test_every_prompt_fits_its_picture_and_every_answer_says_something(name, tiny_stages):
    for picture in load_suite(name).pictures:
        trial = Trial(tiny_stages, picture)
        for case in trial.cases[:8]:
            for answer in trial.expected(case):
                assert np.isfinite(answer["low_res_masks"]).all()
                assert answer["low_res_masks"].shape[0] == len(case.prompts)
        for case in trial.cases:
            for prompt in case.prompts:
                prompt.check(trial.frame)
                assert len(prompt.tokens(trial.frame)[1]) <= 8


@pytest.fixture
def own(tmp_path, coffee):
    coffee.save(tmp_path / "mine.png")

    def write(**changes):
        picture = {"name": "mine", "file": "mine.png", "crop": [100, 50, 400, 250], "resize": [150, 100]}
        content = {
            "name": "own",
            "version": "7",
            "pictures": [{**picture, "cases": [{"name": "point", "points": [[75, 50]]}], **changes}],
        }
        path = tmp_path / "own.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_a_suite_of_ones_own(own, exported, lightsam):
    path = own()
    suite = load_suite(path)
    assert suite.title == "own 7"
    assert suite.pictures[0].image.size == (150, 100)
    done = lightsam("parity", exported, "--precision", "float32", "--suite", path, "--every")
    assert done.status == 0, done.stdout + done.stderr
    assert "suite own 7" in done.stdout
    assert "mine: point" in done.stdout


def test_a_folder_of_pictures_is_a_suite(tmp_path, coffee, exported, lightsam):
    coffee.resize((90, 60)).save(tmp_path / "a.png")
    coffee.rotate(90, expand=True).save(tmp_path / "b.jpg")
    (tmp_path / "notes.txt").write_text("no picture")
    suite = load_suite(tmp_path)
    assert [(picture.name, len(picture.cases)) for picture in suite.pictures] == [("a.png", 3), ("b.jpg", 3)]
    done = lightsam("parity", exported, "--precision", "float32", "--suite", tmp_path)
    assert done.status == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"cases": [{"name": "p", "point": [[1, 2]]}]},
            UsageError,
            "there is no key 'point'; the keys are: batch",
        ),
        ({"cases": [{"points": [[1, 2]]}]}, UsageError, "lacks 'name'"),
        ({"cases": [{"name": "p", "points": [1, 2]}]}, UsageError, r"own\.json is no suite of pictures and prompts"),
        ({"cases": []}, UsageError, "asks nothing"),
        ({"cases": [{"name": "p"}]}, PromptError, "an empty prompt has no answer"),
        ({"cases": [{"name": "p", "points": [[1, 2]], "labels": [5]}]}, PromptError, "label is 1"),
        ({"file": "gone.png"}, ImageError, r"there is no picture .*gone\.png"),
    ],
)
def test_a_suite_that_is_wrong_is_told(own, changes, error, message):
    with pytest.raises(error, match=message):
        load_suite(own(**changes))


def test_what_is_no_suite_is_told(tmp_path):
    with pytest.raises(UsageError, match="there is no suite everything; give quick or default, a JSON file"):
        load_suite("everything")
    with pytest.raises(UsageError, match="there is no picture in"):
        load_suite(tmp_path)
    (tmp_path / "suite.json").write_text("{")
    with pytest.raises(UsageError, match="is no suite"):
        load_suite(tmp_path / "suite.json")


def test_a_point_outside_the_picture_is_told(own, exported, lightsam):
    path = own(cases=[{"name": "p", "points": [[151, 20]]}])
    done = lightsam("parity", exported, "--precision", "float32", "--suite", path)
    assert done.status == 2
    assert "the point 151,20 is outside the picture, which is 150 x 100" in done.stderr


def test_a_grid_asks_the_middle_of_every_cell(own):
    suite = load_suite(own(cases=[{"name": "grid", "grid": 2}]))
    points = [tuple(prompt.points[0]) for case in suite.pictures[0].cases for prompt in case.prompts]
    assert points == [(37.5, 25), (112.5, 25), (37.5, 75), (112.5, 75)]
    assert isinstance(suite.pictures[0].image, Image.Image)
