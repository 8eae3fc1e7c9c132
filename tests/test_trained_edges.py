"""Edges by trained weights: the command on ten images whose boundaries are known, as they were drawn."""

import numpy as np
import pytest
from bsds_files import write_boundaries
from PIL import Image
from scipy import ndimage
from trained import MODEL

from lightsam_benchmarks.edges import record

COUNT, WIDTH, HEIGHT = 10, 240, 180
LEVEL = 0.9
"""ODS; these weights reach .94."""


def drawn(number):
    """Three shapes of their own colours over another, with noise, and the number of each pixel's shape."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    regions = np.zeros((HEIGHT, WIDTH), int)
    for shape in range(1, 4):
        cx, cy = WIDTH * (shape - 0.5) / 3 + rng.uniform(-10, 10), rng.uniform(0.35, 0.65) * HEIGHT
        width, height = rng.uniform(18, 34), rng.uniform(25, 50)
        dx, dy = abs(x - cx) / width, abs(y - cy) / height
        inside = np.hypot(dx, dy) < 1 if rng.random() < 0.5 else np.maximum(dx, dy) < 1
        regions[inside] = shape
    colours = rng.permutation([[200, 60, 50], [50, 90, 190], [60, 160, 80], [225, 205, 120]])
    image = colours[regions] + rng.normal(0, 6, (HEIGHT, WIDTH, 1))
    return np.clip(image, 0, 255).astype(np.uint8), regions


@pytest.fixture
def data(tmp_path):
    """As BSDS500 lies on a disk."""
    for name in ("images", "truth"):
        (tmp_path / name).mkdir()
    for number in range(COUNT):
        image, regions = drawn(number)
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
        before = {"footprint": [[0, 1], [1, 1]], "mode": "nearest"}  # a pixel, and those above and to the left of it
        boundary = ndimage.maximum_filter(regions, **before) != ndimage.minimum_filter(regions, **before)
        write_boundaries(tmp_path / "truth" / f"{number}.mat", [boundary])
    return tmp_path


@pytest.mark.trained
def test_edges_are_where_the_images_have_them(lightsam, trained, data):
    entry = trained.export("onnx", "float16")
    output = data / "edges.json"
    done = lightsam(
        "evaluate", "edges", entry.folder, "--bsds", data / "truth", "--images", data / "images", "--output", output
    )
    assert done.status == 0, done.stderr
    (found,) = record.read(output).results
    assert len(found.images) == COUNT
    assert found.subject == f"{MODEL} onnx-float16"
    assert found.scores.ods > LEVEL
    for one in found.images:
        assert max(one.counts.matched_truth) > 0.8 * one.counts.truth  # no shape is overlooked
