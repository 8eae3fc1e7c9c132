"""The image that the README opens with is what its command makes: prompt, mask and photograph belong together."""

import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightsam.metrics import mask_iou
from lightsam.overlay import draw_overlay
from lightsam.prompts import Prompt

ROOT = Path(__file__).parent.parent
OPENING = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
SHOWN = re.search(r"!\[[^]]+\]\(([^)]+)\)", OPENING)[1]


def commands() -> list[list[str]]:
    """Those in the block that follows the image, without the word lightsam."""
    block = re.search(r"```sh\n(.*?)```", OPENING[OPENING.index(SHOWN) :], re.DOTALL)[1]
    lines = [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]
    assert {line[0] for line in lines} == {"lightsam"}
    return [line[1:] for line in lines]


def option(name: str) -> str:
    *_, predict = commands()
    return predict[predict.index(name) + 1]


def mask_at(folder: Path) -> np.ndarray:
    with Image.open(folder / option("--output")) as mask:
        assert mask.mode == "L"
        return np.asarray(mask) > 0


def largest_difference(one: Image.Image, other: Image.Image) -> float:
    """Of any square of 16 pixels the mean difference, of 255: a dot elsewhere is seen, what JPEGs lose is not."""
    assert one.size == other.size
    error = np.abs(np.asarray(one, float) - np.asarray(other, float)).mean(-1)
    height, width = (side // 16 * 16 for side in error.shape)
    return float(error[:height, :width].reshape(height // 16, 16, width // 16, 16).mean((1, 3)).max())


def shown_in(folder: Path) -> Image.Image:
    with Image.open(folder / SHOWN) as image:
        return image.convert("RGB")


def as_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return Image.open(file).convert("RGB")


def test_the_image_is_there_and_small():
    assert OPENING.index(SHOWN) < 700  # above everything else
    assert option("--overlay") == SHOWN
    for name in (SHOWN, option("--output")):
        assert 1000 < (ROOT / name).stat().st_size < 200_000


def test_it_shows_the_photograph_the_prompt_and_the_mask():
    _, (_, photograph, *_) = commands()
    with Image.open(ROOT / photograph) as file:
        image = file.convert("RGB")
    mask = mask_at(ROOT)
    x, y = map(int, option("--point").split(","))
    assert mask[y, x]
    assert 0.1 < mask.mean() < 0.9
    shown, prompt = shown_in(ROOT), Prompt(points=[(x, y)])
    assert largest_difference(shown, as_jpeg(draw_overlay(image, mask, prompt))) < 12
    for wrong in (
        image,
        draw_overlay(image, np.roll(mask, 10, 1), prompt),
        draw_overlay(image, mask, Prompt(points=[(x + 50, y)])),
    ):
        assert largest_difference(shown, as_jpeg(wrong)) > 20


@pytest.mark.trained
def test_the_command_makes_it(lightsam, tmp_path, monkeypatch):
    (tmp_path / "exporters").symlink_to(ROOT / "exporters")
    monkeypatch.chdir(tmp_path)
    for arguments in commands():
        done = lightsam(*arguments)
        assert done.status == 0, done.stderr
    assert mask_iou(mask_at(ROOT), mask_at(tmp_path)) >= 0.99
    assert largest_difference(shown_in(ROOT), shown_in(tmp_path)) < 20  # a few pixels of the outline may move
