"""Zero-shot edges: made of masks, matched with boundaries, scored, and the command from end to end."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from scipy import ndimage
from scipy.io import savemat
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from skimage.morphology import thin

from lightsam import load_model
from lightsam.encoding import Encoding
from lightsam.errors import ContractError, DatasetError, UsageError
from lightsam.geometry import Frame
from lightsam_benchmarks.edges import record as records
from lightsam_benchmarks.edges import run, truth
from lightsam_benchmarks.edges.detection import detect, edges_of_mask, finished, thinned_across
from lightsam_benchmarks.edges.matching import THRESHOLDS, Counts, count, pair
from lightsam_benchmarks.edges.recipe import Recipe
from lightsam_benchmarks.edges.scores import average_precision, recall_at, scores
from lightsam_benchmarks.edges.thinning import thinned
from lightsam_benchmarks.journals import path_of

WIDTH, HEIGHT = 100, 75  # of the diagonal of 125 pixels .04 are 5


def line(x: int, width: int = 1) -> np.ndarray:
    """(height, width) bool: an upright line of 40 pixels."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, x : x + width] = True
    return mask


def counted(found: np.ndarray, *truths: np.ndarray, tolerance: float = 0.04) -> tuple[int, int, int, int]:
    """Found, matched found, truth and matched truth, with one threshold."""
    counts = count(found.astype(float), truths, (0.5,), tolerance)
    return counts.found[0], counts.matched_found[0], counts.truth, counts.matched_truth[0]


# Matching


@pytest.mark.parametrize(("shift", "matched"), [(0, 40), (1, 40), (5, 40), (6, 0)])
def test_an_edge_that_is_shifted_matches_within_the_tolerance(shift, matched):
    assert counted(line(30 + shift), line(30)) == (40, matched, 40, matched)


def test_two_edges_near_one_boundary_count_once():
    both = line(28) | line(32)
    assert counted(both, line(30)) == (80, 40, 40, 40)


def test_an_edge_near_two_boundaries_finds_one():
    assert counted(line(30), line(28) | line(32)) == (40, 40, 80, 40)


def test_precision_is_of_any_annotator_and_recall_of_all():
    assert counted(line(30), line(30), line(70)) == (40, 40, 80, 40)
    assert counted(line(30) | line(70), line(30), line(70)) == (80, 80, 80, 80)
    assert counted(line(30), line(30), line(31)) == (40, 40, 80, 80)


def test_empty_maps():
    nothing = np.zeros((HEIGHT, WIDTH), bool)
    assert counted(nothing, line(30)) == (0, 0, 40, 0)
    assert counted(line(30), nothing) == (40, 0, 0, 0)
    assert counted(nothing, nothing) == (0, 0, 0, 0)
    assert counted(line(30), nothing, line(30)) == (40, 40, 40, 40)


def test_a_wide_edge_is_thinned_before_it_is_counted():
    found, matched, *_ = counted(line(29, 3), line(30))
    assert found == matched
    assert 36 <= found <= 40


def dense(places: np.ndarray, others: np.ndarray, radius: float) -> tuple[int, float]:
    """Pairs and their whole distance, by scipy's dense solver with a cost that forbids pairs too far apart."""
    distances = cdist(places, others)
    rows, columns = linear_sum_assignment(np.where(distances > radius, 100 * radius, distances))
    kept = distances[rows, columns] <= radius
    return int(kept.sum()), float(distances[rows, columns][kept].sum())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [0.03, 0.1, 0.25])
def test_pixels_are_paired_as_by_a_dense_assignment(seed, share):
    """A second implementation finds as many pairs, as near to one another; which of equal ones is not fixed."""
    random = np.random.default_rng(seed)
    found, true = thinned(random.random((24, 32)) < 0.15), random.random((24, 32)) < share
    places, others = np.argwhere(found), np.argwhere(true)
    partners = pair(cKDTree(places), cKDTree(others), 2.5)
    mine = np.flatnonzero(partners >= 0)
    distances = np.hypot(*(places[mine] - others[partners[mine]]).T)
    assert (distances <= 2.5).all()
    assert len(set(partners[mine])) == len(mine) > 10
    pairs, distance = dense(places, others, 2.5)
    assert (len(mine), distances.sum()) == (pairs, pytest.approx(distance))
    assert counted(found, true, tolerance=2.5 / 40) == (len(places), pairs, len(others), pairs)


def test_thresholds_without_a_change_repeat_their_counts():
    edges = np.where(line(30), 0.7, 0) + np.where(line(60), 0.35, 0)
    counts = count(edges, [line(30)])
    assert counts.found == tuple(80 if threshold <= 0.35 else 40 if threshold <= 0.7 else 0 for threshold in THRESHOLDS)
    assert counts.matched_found == counts.matched_truth == (40,) * 70 + (0,) * 29


# Thinning


@pytest.mark.parametrize("seed", range(6))
def test_thinning_is_that_of_scikit_image(seed):
    random = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(random.random((60, 80)), seed / 2) > 0.5
    found = thinned(mask)
    assert (found == thin(mask)).all()
    assert not (found & ~mask).any()
    assert (thinned(found) == found).all()
    pieces = np.ones((3, 3))
    assert ndimage.label(found, pieces)[1] == ndimage.label(mask, pieces)[1]


def test_a_mask_at_the_images_edge_is_thinned_too():
    mask = np.zeros((20, 30), bool)
    mask[:3] = True
    found = thinned(mask)
    assert 25 <= found.sum() <= 30
    assert not thinned(np.zeros((4, 5), bool)).any()


# Edge maps


def disc_logits(radius: float = 20, softness: float = 1) -> tuple[np.ndarray, np.ndarray]:
    """(height, width) logits of a disc, and the distance from its outline."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = radius - np.hypot(x - 50, y - 37)
    return (inside / softness).astype(np.float32), inside


def test_the_gradient_of_a_disc_is_on_its_outline():
    logits, inside = disc_logits()
    both = edges_of_mask(logits, "both")
    assert (abs(inside[both > 0]) < 1.5).all()
    outer, inner = edges_of_mask(logits, "outer"), edges_of_mask(logits, "inner")
    assert (inside[outer > 0] <= 0).all()
    assert (inside[inner > 0] > 0).all()
    assert (np.maximum(outer, inner) == both).all()
    sharp = edges_of_mask(disc_logits(softness=0.2)[0], "both")
    assert sharp.max() > 1.5 * both.max()  # the surer, the stronger


def test_the_images_end_is_no_edge():
    assert not edges_of_mask(np.full((20, 30), 8, np.float32), "both").any()
    half = np.full((20, 30), 8, np.float32)
    half[:, 15:] = -8
    found = edges_of_mask(half, "both")
    assert found[:, 14:16].all()
    assert not found[:, [*range(14), *range(16, 30)]].any()


def test_edge_nms_leaves_a_thin_closed_ring():
    logits, inside = disc_logits()
    edges = edges_of_mask(logits, "both")
    recipe = Recipe()
    blurred = finished(edges, replace(recipe, nms="none"))
    ring = finished(edges, recipe)
    assert blurred.max() <= 1
    assert (abs(inside[ring > 0.2]) < 1.5).all()
    assert (ring > 0.2).sum() < 0.6 * (blurred > 0.2).sum()
    assert not ((ring > 0) & (ring != blurred)).any()
    holes = ndimage.label(~(ring > 0.1))[1]
    assert holes == 2  # inside and outside: nothing is torn


def test_edge_nms_follows_a_slanted_ridge():
    y, x = np.mgrid[:60, :60]
    across = (x - 2 * y + 30) / np.sqrt(5)
    found = thinned_across(np.exp(-(across**2) / 8).astype(np.float32))
    middle = found[8:52, 8:52]
    assert (abs(across[8:52, 8:52][middle > 0.1]) < 1).all()
    assert (middle.max(axis=0) > 0.9).all()


def test_choices_that_the_paper_leaves_open():
    edges = edges_of_mask(disc_logits()[0], "both")
    edges[:, 2] = edges.max()
    plain = finished(edges, Recipe(nms="none", smoothing=0, border=0))
    assert (plain.min(), plain.max()) == (0, 1)
    assert np.allclose(plain * edges.max(), edges, atol=1e-6)
    assert not finished(edges, Recipe(nms="none", smoothing=0, border=3))[:, :3].any()
    assert finished(np.zeros((9, 9), np.float32), Recipe()).sum() == 0
    assert finished(edges, Recipe(border=60)).sum() == 0  # nothing is left of the image


class Discs:
    """A predictor that answers each point with three masks: a disc around it, the same again less sure, and nothing."""

    def __init__(self, rules) -> None:
        self.rules, self.points = rules, []

    def encode(self, image) -> Encoding:
        return Encoding({}, Frame(128, 96, 128))

    def decode(self, encoding, prompts):
        y, x = np.mgrid[:32, :32] * 4 + 1.5
        for prompt in prompts:
            self.points += prompt.points
            ((px, py),) = prompt.points
            disc = (12 - np.hypot(x - px, y - py)).astype(np.float32)
            broken = np.full_like(disc, np.nan) if len(self.points) == 1 else np.full_like(disc, -9)
            yield prompt, np.stack([disc, disc, disc - 0.1, broken]), np.array([0.2, 0.9, 0.8, 0.99])


def test_an_edge_map_is_made_of_all_masks_that_differ(tiny_stages):
    predictor = Discs(tiny_stages.rules)
    found = detect(predictor, np.zeros((96, 128, 3), np.uint8), Recipe(points_per_side=4, smoothing=0))
    assert len(predictor.points) == 16
    assert (found.masks, found.not_finite) == (16, 1)  # the second of each point is the first one again
    assert found.edges.shape == (96, 128)
    assert found.edges.dtype == np.float32
    assert found.edges.max() == 1
    x, y = np.mgrid[:96, :128][::-1]
    nearest = np.min([abs(np.hypot(x + 0.5 - px, y + 0.5 - py) - 12) for px, py in predictor.points], axis=0)
    assert (nearest[found.edges > 0.3] < 2.5).all()  # a pixel of the low-res mask is 4 wide
    assert (found.edges > 0.3).sum() > 500


# Scores


def table(*rows: tuple[int, int, int, int]) -> Counts:
    """Found, matched found, truth and matched truth at each threshold."""
    found, matched, truths, recalled = zip(*rows, strict=True)
    return Counts(found, matched, truths[0], recalled)


def test_scores_by_hand():
    """Two images, three thresholds."""
    one = table((10, 5, 10, 8), (5, 5, 10, 5), (0, 0, 10, 0))
    other = table((10, 2, 10, 6), (10, 4, 10, 5), (4, 4, 10, 4))
    found = scores([one, other], (0.25, 0.5, 0.75))
    assert found.recall == pytest.approx((14 / 20, 10 / 20, 4 / 20))
    assert found.precision == pytest.approx((7 / 20, 9 / 15, 4 / 4), abs=1e-5)
    # At .5 it is 2 * .5 * .6 / 1.1 = .54545; a little below, on the line from there to (.7, .35), slightly more.
    on_the_line = {part / 99: 2 * (0.3 - 0.005 * part / 99 - 0.05 * (part / 99) ** 2) / (1.1 - 0.05 * part / 99)
                   for part in range(100)}  # fmt: skip
    assert found.ods == pytest.approx(max(on_the_line.values()), abs=1e-5)
    assert found.ods > 0.5455
    assert found.ods_threshold == pytest.approx(0.5 - 0.25 * max(on_the_line, key=on_the_line.get), abs=1e-5)
    # The first is best at .5 (F 2/3), the other at .75 (F .571): 9 of 20 recalled, 9 of 9 found.
    assert found.ois == pytest.approx(2 * 0.45 / 1.45, abs=1e-5)
    # From recall .2 to .7, at every hundredth: 1 falls to .6, then .6 to .35.
    steps = [1 - 0.4 * (r - 20) / 30 for r in range(20, 50)] + [0.6 - 0.25 * (r - 50) / 20 for r in range(50, 71)]
    assert found.ap == pytest.approx(sum(steps) / 100, abs=1e-4)
    assert found.r50 == pytest.approx(0.5 + 0.2 * 0.1 / 0.25, abs=1e-5)


def test_images_in_another_order_or_in_parts_score_the_same():
    random = np.random.default_rng(0)
    images = [
        table(*((50 + n, int(random.integers(0, 50)), 90, int(random.integers(0, 90))) for n in range(99)))
        for _ in range(6)
    ]
    assert scores(images) == scores(images[::-1]) == scores(images[3:] + images[:3])


def test_curves_that_have_no_area():
    assert average_precision(np.array([0.5]), np.array([0.5])) == 0
    assert average_precision(np.array([0.5, 0.5]), np.array([0.5, 0.9])) == 0
    assert recall_at(0.5, np.array([0.3, 0.1]), np.array([0.4, 0.2])) == 0
    empty = scores([table(*[(0, 0, 0, 0)] * 99)])
    assert (empty.ods, empty.ois, empty.ap, empty.r50) == (0, 0, 0, 0)


# Boundaries and the command


def write_boundaries(path: Path, maps: list[np.ndarray]) -> None:
    """As BSDS500 has them."""
    cells = np.empty((1, len(maps)), object)
    for number, one in enumerate(maps):
        cell = np.empty((1, 1), [("Segmentation", object), ("Boundaries", object)])
        cell[0, 0] = (np.ones(one.shape, np.uint16), one.astype(np.uint8))
        cells[0, number] = cell
    savemat(path, {"groundTruth": cells})


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two images of shapes, and what two people drew of them."""
    folder = tmp_path_factory.mktemp("bsds")
    for name in ("images", "truth"):
        (folder / name).mkdir()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for name, mask in (("disc", np.hypot(x - 40, y - 35) < 22), ("box", (abs(x - 60) < 25) & (abs(y - 30) < 20))):
        colours = np.where(mask[..., None], [220, 60, 40], [40, 90, 160]).astype(np.uint8)
        Image.fromarray(colours).save(folder / "images" / f"{name}.png")
        outline = mask & ~ndimage.binary_erosion(mask)
        write_boundaries(folder / "truth" / f"{name}.mat", [outline, np.roll(outline, 1, axis=1)])
    return folder


@pytest.fixture
def edges(lightsam, data, tmp_path):
    """Run the command over these images; the record is ``edges.json`` unless said otherwise."""

    def start(*arguments: object, bsds: Path | None = None, output: str = "edges.json"):
        return lightsam(
            "evaluate", "edges", *arguments, "--bsds", bsds or data / "truth", "--images", data / "images",
            "--output", tmp_path / output,
        )  # fmt: skip

    return start


def test_boundaries_are_read(data):
    found = truth.read(data / "truth", data / "images")
    assert [(sample.name, sample.size) for sample in found.samples] == [
        ("box.png", (WIDTH, HEIGHT)),
        ("disc.png", (WIDTH, HEIGHT)),
    ]
    for sample in found.samples:
        first, second = (sample.read()(index) for index in range(2))
        assert first.dtype == bool
        assert [one.area for one in sample.objects] == [first.sum(), second.sum()]
        assert (np.roll(first, 1, axis=1) == second).all()
    found.check_images()


def test_pytorch_beside_an_export(edges, exports_of, tmp_path):
    """The same model in ONNX finds the same edges; what is shown is what is in the record."""
    entry = exports_of("onnx", "float32")
    done = edges(tiny.NAME, entry.folder, "--weights", "seeded", "--threads", 1, "--plot", tmp_path / "edges.html")
    assert done.status == 0, done.stderr
    record = records.read(tmp_path / "edges.json")
    assert [one.name for one in record.subjects] == ["tiny_sam torch-float32", "tiny_sam onnx-float32"]
    assert record.thresholds == THRESHOLDS
    assert record.recipe == Recipe()
    ours, theirs = record.results
    for result in (ours, theirs):
        assert result.scores == scores([image.counts for image in result.images])
        assert [image.name for image in result.images] == ["box.png", "disc.png"]
        assert all(image.masks > 0 and image.not_finite == 0 for image in result.images)
        assert result.scores.ods > 0.05
        assert any(image.counts.found[0] > 100 for image in result.images)
    assert theirs.scores.ods == pytest.approx(ours.scores.ods, abs=0.02)
    assert theirs.scores.ap == pytest.approx(ours.scores.ap, abs=0.02)
    for shown in ("SAM, ViT-H, as published", "0.768", f"{ours.scores.ods:.4f}", "edge NMS ridge", "untrained weights"):
        assert shown in done.stdout
    page = (tmp_path / "edges.html").read_text(encoding="utf-8")
    assert f"tiny_sam onnx-float32: ODS {theirs.scores.ods:.3f}" in page
    assert str(tmp_path) not in (tmp_path / "edges.json").read_text(encoding="utf-8")


def test_choices_and_a_plot(edges, tmp_path):
    plot = tmp_path / "edges.svg"
    done = edges(
        tiny.NAME, "--weights", "seeded", "--limit", 1, "--boundary", "outer", "--border", 4, "--smoothing", 0,
        "--nms", "none", "--plot", plot,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    record = records.read(tmp_path / "edges.json")
    assert record.recipe == Recipe(boundary="outer", border=4, smoothing=0, nms="none")
    assert (record.data.images, record.data.limit, record.data.seed) == (1, 1, 0)
    root = ElementTree.fromstring(plot.read_text(encoding="utf-8"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert any("recall" in (one.text or "") for one in root.iter())


def test_other_weights_find_other_edges(edges, tmp_path):
    state = load_model(tiny.NAME, weights="seeded").sam.state_dict()
    torch.save(state, tmp_path / "good.pt")
    torch.save({name: -one if "hypernetworks" in name else one for name, one in state.items()}, tmp_path / "bad.pt")
    done = edges(tiny.NAME, *("--weights", tmp_path / "good.pt", "--weights", tmp_path / "bad.pt"), "--limit", 1)
    assert done.status == 0, done.stderr
    good, bad = records.read(tmp_path / "edges.json").results
    assert good.images[0].counts != bad.images[0].counts


ONE_IMAGE = """
import threading
from lightsam_benchmarks.edges import run
quick, done = run.counted, []
def once(*arguments):
    if done:
        threading.Event().wait()  # to be killed
    done.append(quick(*arguments))
    return done[0]
run.counted = once
"""


def test_a_killed_run_goes_on_where_it_was(edges, start_lightsam, data, tmp_path, monkeypatch):
    output = tmp_path / "edges.json"
    journal = path_of(output)
    process = start_lightsam(
        "evaluate", "edges", tiny.NAME, "--weights", "seeded", "--bsds", data / "truth", "--images", data / "images",
        "--output", output, "--threads", 1, before=ONE_IMAGE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not journal.exists() or len(journal.read_text(encoding="utf-8").splitlines()) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not output.exists()
    kept = json.loads(journal.read_text(encoding="utf-8").splitlines()[1])["image"]
    with journal.open("a", encoding="utf-8") as lines:
        lines.write('{"subject": "tiny_sam torch-float32", "ima')  # a line that was being written
    before = journal.read_text(encoding="utf-8")

    done = edges(tiny.NAME, "--weights", "seeded", "--border", 2)
    assert done.status == 1
    assert "asks something else" in done.stderr
    assert journal.read_text(encoding="utf-8") == before

    asked = []
    whole = run.counted
    monkeypatch.setattr(run, "counted", lambda *given: asked.append(given[1].name) or whole(*given))
    assert edges(tiny.NAME, "--weights", "seeded").status == 0
    assert asked == ["disc.png"]
    record = json.loads(output.read_text(encoding="utf-8"))
    assert record["results"][0]["images"][0] == kept
    assert not journal.exists()
    assert not list(tmp_path.glob("*.lock"))


def test_a_record_is_not_replaced_unasked_and_a_damaged_one_is_refused(edges, tmp_path):
    path = tmp_path / "edges.json"
    assert edges(tiny.NAME, "--weights", "seeded", "--limit", 1).status == 0
    text = path.read_text(encoding="utf-8")
    done = edges(tiny.NAME, "--weights", "seeded", "--limit", 1)
    assert (done.status, path.read_text(encoding="utf-8")) == (2, text)
    content = json.loads(text)
    content["results"][0]["images"][0]["counts"]["found"].pop()
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ContractError, match="lacks counts"):
        records.read(path)
    path.write_text(json.dumps({**content, "schema": 99}), encoding="utf-8")
    with pytest.raises(ContractError, match="of schema 1"):
        records.read(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_sam",), "neither a model nor a folder 'no_sam'"),
        ((tiny.NAME, "--boundary", "left"), "no boundary 'left'"),
        ((tiny.NAME, "--nms", "canny"), "no edge NMS 'canny'"),
        ((tiny.NAME, "--border", -1), "--border is 0 pixels or more"),
        ((tiny.NAME, "--smoothing", -1), "--smoothing is a standard deviation"),
        ((tiny.NAME, "--smoothing", "nan"), "--smoothing is a standard deviation"),
        ((tiny.NAME, "--limit", 0), "--limit is 1 image at least"),
        ((tiny.NAME, "--plot", "edges.pdf"), "must end in .svg or .html"),
    ],
)
def test_what_cannot_be_asked(edges, tmp_path, arguments, message):
    done = edges(*arguments)
    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_boundaries_that_cannot_be_used(edges, data, tmp_path):
    folder = tmp_path / "truth"
    assert "there is no folder of boundaries" in edges(tiny.NAME, bsds=folder).stderr
    folder.mkdir()
    assert "holds no .mat file" in edges(tiny.NAME, bsds=folder).stderr
    path = folder / "disc.mat"
    path.write_bytes((data / "truth" / "disc.mat").read_bytes()[:300])
    assert "holds no boundaries of BSDS500" in edges(tiny.NAME, bsds=folder).stderr
    for maps, message in (
        ([], "by one annotator at least"),
        ([line(3), line(3)[:-1]], "of one size"),
        ([line(3)[:-1]], "give the images that were annotated"),
    ):
        write_boundaries(path, maps)
        done = edges(tiny.NAME, "--weights", "seeded", bsds=folder)
        assert done.status == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    path.rename(folder / "nobody.mat")
    with pytest.raises(DatasetError, match="have no image nobody"):
        truth.read(folder, data / "images")
    assert not (tmp_path / "edges.json").exists()


@pytest.mark.parametrize("changes", [{"points_per_side": 0}, {"box_nms_thresh": 1.5}])
def test_a_recipe_that_cannot_be(changes):
    with pytest.raises(UsageError):
        Recipe(**changes)
