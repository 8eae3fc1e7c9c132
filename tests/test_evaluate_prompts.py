"""Boxes, centre points and simulated clicks from ground truth."""

import numpy as np
import pytest
from annotated import disc, rectangle
from scipy.ndimage import distance_transform_edt

from lightsam_benchmarks.quality.dataset import Truth
from lightsam_benchmarks.quality.evaluation import PROTOCOLS
from lightsam_benchmarks.quality.prompts import Click, box_of, centre, deepest, next_click, tight_box

LIGHTSAM, EDGESAM = PROTOCOLS["lightsam"], PROTOCOLS["edgesam"]
RNG = np.random.default_rng(0)


def test_a_box_is_in_pixel_edges():
    mask = np.zeros((10, 10), bool)
    mask[5, 3] = True
    assert tight_box(mask) == (3, 5, 4, 6)
    assert tight_box(np.ones((4, 6), bool)) == (0, 0, 6, 4)


def test_the_annotations_own_box_is_for_protocols_that_take_it():
    mask, stated = rectangle(10, 20, 30, 40), (9.5, 20.0, 30.5, 40.0)
    assert box_of(Truth("1", "", 1, stated), mask, LIGHTSAM) == (10, 20, 30, 40)
    assert box_of(Truth("1", "", 1, stated), mask, EDGESAM) == stated
    assert box_of(Truth("1", "", 1), mask, EDGESAM) == (10, 20, 30, 40)


def test_the_edge_of_the_image_is_outside():
    """Without padding, the deepest pixel of a mask that fills the image would lie in a corner."""
    depth, x, y = deepest(np.ones((9, 21), bool))
    assert depth == 5
    assert y == 4
    assert 4 <= x <= 16
    assert centre(rectangle(0, 0, 41, 41)) == Click(20, 20, 1)


@pytest.mark.parametrize("seed", range(5))
def test_only_the_extent_is_looked_at_and_nothing_is_lost_by_it(seed):
    """Against the distance transform of the whole, padded image."""
    rng = np.random.default_rng(seed)
    region = disc(*rng.uniform(0, 160, 2), 30) & (rng.random((120, 160)) > 0.02)
    expected = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    depth, x, y = deepest(region)
    assert depth == pytest.approx(expected.max())
    assert expected[y, x] == expected.max()


def test_a_click_goes_to_the_larger_error():
    truth = disc(50, 60, 30)
    missed = truth & ~disc(40, 60, 12)
    assert next_click(truth, missed, [], LIGHTSAM, RNG) == Click(40, 60, 1)
    extra = truth | disc(120, 60, 15)
    assert next_click(truth, extra, [], LIGHTSAM, RNG) == Click(120, 60, 0)
    both = missed | disc(120, 60, 15)
    assert next_click(truth, both, [], LIGHTSAM, RNG) == Click(120, 60, 0)
    assert next_click(truth, truth, [], LIGHTSAM, RNG) is None


def test_a_pixel_is_clicked_once():
    truth = rectangle(10, 10, 15, 15)
    nothing = np.zeros_like(truth)
    first = next_click(truth, nothing, [], LIGHTSAM, RNG)
    second = next_click(truth, nothing, [first], LIGHTSAM, RNG)
    assert first == Click(12, 12, 1)
    assert second != first
    assert truth[second.y, second.x]
    pixel = rectangle(3, 4, 4, 5)
    assert next_click(pixel, nothing, [Click(3, 4, 1)], LIGHTSAM, RNG) is None


def test_edgesams_clicks_are_error_pixels():
    truth, found = rectangle(0, 0, 40, 40), rectangle(20, 0, 60, 40)
    seen = set()
    for seed in range(30):
        click = next_click(truth, found, [], EDGESAM, np.random.default_rng(seed))
        assert truth[click.y, click.x] != found[click.y, click.x]
        assert click.label == truth[click.y, click.x]
        seen.add(click.label)
    assert seen == {0, 1}
