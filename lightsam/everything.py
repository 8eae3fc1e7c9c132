"""Everything in an image: masks of all objects, from a grid of points.

segment-anything's automatic mask generator, with its names, and its defaults but for `points_per_batch`
(https://github.com/facebookresearch/segment-anything, ``segment_anything/automatic_mask_generator.py``), over any two
stages: each point of a grid is a prompt, of its masks those stay that the model is sure of and that hardly depend on
the threshold, and of masks of the same object the surest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from lightsam.boxes import crop_boxes, cut_off, suppressed
from lightsam.encoding import Encoding
from lightsam.errors import UsageError
from lightsam.installation import install_command
from lightsam.prompts import Prompt
from lightsam.rules import Rules
from lightsam.transforms import ImageSource, open_image
from lightsam.windows import Runs, Upscaling, Window, runs_of

_EDGE = 20.0
"""Pixels within which a mask counts as cut off by its crop."""


@dataclass(frozen=True, kw_only=True)
class Everything:
    """What is looked for, and which masks stay; the names are segment-anything's."""

    points_per_side: int = 32
    """Of the grid over the image."""
    points_per_batch: int = 4
    """In one call of the decoder, where it takes several; bounds memory and changes no mask. segment-anything's 64 is
    for a GPU: on a processor, whose caches so many masks leave, it takes twice as long a point."""
    pred_iou_thresh: float = 0.88
    """Least IoU that the model predicts for its mask."""
    stability_score_thresh: float = 0.95
    """Least IoU of the masks at both thresholds, see `lightsam.metrics.stability_score`."""
    stability_score_offset: float = 1.0
    """Of these thresholds from 0, in logits."""
    box_nms_thresh: float = 0.7
    """IoU of the boxes of two masks above which the less sure one is dropped."""
    crop_n_layers: int = 0
    """How often the image is cut up and looked at again: into 2 x 2 crops, then also 4 x 4."""
    crop_nms_thresh: float = 0.7
    """As ``box_nms_thresh``, of masks from different crops, where the smaller crop's stays."""
    crop_overlap_ratio: float = 512 / 1500
    """Of neighbouring crops, as a part of the image's shorter side."""
    crop_n_points_downscale_factor: int = 1
    """By which the points of a side become fewer in each layer."""
    min_mask_region_area: int = 0
    """Pixels of the smallest hole and the smallest island that a mask may have; 0 leaves them."""

    def __post_init__(self) -> None:
        for name in ("points_per_side", "points_per_batch", "crop_n_points_downscale_factor"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is 1 or more, not {getattr(self, name)}")
        for name in ("crop_n_layers", "min_mask_region_area", "stability_score_offset"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is 0 or more, not {getattr(self, name)}")
        for name in ("box_nms_thresh", "crop_nms_thresh", "crop_overlap_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is from 0 to 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class FoundMask:
    """One mask of an image."""

    runs: Runs
    """Its pixels; ``runs.mask`` is (height, width) bool."""
    predicted_iou: float
    """With the true mask, as the model predicts it."""
    stability_score: float
    point: tuple[float, float]
    """That it answers, x, y in pixels of the image."""
    crop: tuple[int, int, int, int]
    """That it was found in: x0, y0, x1, y1 in pixels of the image."""

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """x, y, width, height, as COCO has it."""
        x0, y0, x1, y1 = self.runs.outermost
        empty = not self.runs.area
        return x0, y0, x1 - x0 + (not empty), y1 - y0 + (not empty)


Progress = Callable[[int, int], None]
"""Told how many of all points have been asked."""


class Asked(Protocol):
    """What answers about an image: a `lightsam.predictor.Predictor`."""

    @property
    def rules(self) -> Rules:
        """Of the model."""

    def encode(self, image: ImageSource) -> Encoding:
        """See `Predictor.encode`."""

    def decode(self, encoding: Encoding, prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, np.ndarray, np.ndarray]]:
        """See `Predictor.decode`."""


def segment_everything(
    predictor: Asked,
    encoding: Encoding,
    how: Everything,
    image: ImageSource | None,
    on_points: Progress,
) -> list[FoundMask]:
    """See `lightsam.predictor.Predictor.segment_everything`."""
    if how.min_mask_region_area:
        _scipy()
    if how.crop_n_layers and image is None:
        raise UsageError("crop_n_layers cuts the image up: give the image, too")
    picture = open_image(image) if how.crop_n_layers and image is not None else None
    size = (encoding.frame.width, encoding.frame.height)
    if picture is not None and picture.size != size:
        raise UsageError(
            f"the image is {picture.size} pixels and the encoding of one of {size}: give both of one image"
        )
    crops = crop_boxes(size, how.crop_n_layers, how.crop_overlap_ratio)
    grids = [_grid(max(1, how.points_per_side // how.crop_n_points_downscale_factor**layer)) for layer, _ in crops]
    total, asked = sum(len(grid) for grid in grids), 0
    found: list[FoundMask] = []
    for (layer, crop), grid in zip(crops, grids, strict=True):
        about = encoding if layer == 0 or picture is None else predictor.encode(picture.crop(crop))
        extent = (about.frame.width, about.frame.height)
        masks: list[FoundMask] = []
        for begin in range(0, len(grid), how.points_per_batch):
            batch = grid[begin : begin + how.points_per_batch] * extent
            masks += _of_batch(predictor, about, batch, crop, size, how)
            asked += len(batch)
            on_points(asked, total)
        found += _apart(masks, [one.predicted_iou for one in masks], how.box_nms_thresh)
    if len(crops) > 1:
        areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one.crop for one in found)]
        found = _apart(found, [1 / area for area in areas], how.crop_nms_thresh)
    return _without_small_regions(found, how) if how.min_mask_region_area else found


def _grid(count: int) -> np.ndarray:
    """(count^2, 2) x, y from 0 to 1, row by row, each in the middle of its cell."""
    steps = (np.arange(count) + 0.5) / count
    x, y = np.meshgrid(steps, steps)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def _of_batch(
    predictor: Asked,
    encoding: Encoding,
    points: np.ndarray,
    crop: tuple[int, int, int, int],
    size: tuple[int, int],
    how: Everything,
) -> Iterator[FoundMask]:
    """The masks that some points of a crop give, as far as they stay."""
    prompts = [Prompt(points=[(float(x), float(y))]) for x, y in points]
    upscaling = Upscaling(encoding.frame)
    left, top = crop[:2]
    for prompt, low_res_masks, ious in predictor.decode(encoding, prompts):
        several = predictor.rules.masks.competing(low_res_masks, ambiguous=True)
        for logits, iou in zip(low_res_masks[several], ious[several], strict=True):
            if not iou > how.pred_iou_thresh:
                continue
            window = upscaling.window(logits, -how.stability_score_offset)
            stable = _stability(window, how.stability_score_offset)
            if not stable >= how.stability_score_thresh:
                continue
            runs = runs_of(window, left, top, size)
            if cut_off(runs.outermost, crop, size, _EDGE):
                continue
            x, y = prompt.points[0]
            yield FoundMask(runs, float(iou), stable, (x + left, y + top), crop)


def _stability(window: Window, offset: float) -> float:
    """As `lightsam.metrics.stability_score`; 0 of a mask that is empty at both thresholds, which nobody wants."""
    outer = np.count_nonzero(window.logits > -offset)
    return np.count_nonzero(window.logits > offset) / outer if outer else 0.0


def _apart(masks: Sequence[FoundMask], scores: Sequence[float], threshold: float) -> list[FoundMask]:
    boxes = np.array([one.runs.outermost for one in masks], np.float64).reshape(-1, 4)
    return [masks[index] for index in suppressed(boxes, np.array(scores, np.float64), threshold)]


def _without_small_regions(masks: Sequence[FoundMask], how: Everything) -> list[FoundMask]:
    """Fill small holes, drop small islands; of masks that became the same, one that needed no change stays."""
    cleaned, scores = [], []
    for one in masks:
        mask, changed = _cleaned(one.runs.mask, how.min_mask_region_area)
        cleaned.append(replace(one, runs=Runs.of(mask)) if changed else one)
        scores.append(float(not changed))
    return _apart(cleaned, scores, max(how.box_nms_thresh, how.crop_nms_thresh))


def _cleaned(mask: np.ndarray, least: int) -> tuple[np.ndarray, bool]:
    """A mask without regions below ``least`` pixels, and whether it had some; its largest island always stays."""
    holes, sizes = _regions(~mask)
    small = np.isin(holes, np.flatnonzero(sizes < least) + 1)
    mask = mask | small
    islands, sizes = _regions(mask)
    specks = sizes < least
    if specks.all() and len(sizes):
        specks[sizes.argmax()] = False
    gone = np.isin(islands, np.flatnonzero(specks) + 1)
    return mask & ~gone, bool(small.any() or (sizes < least).any())


def _regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(height, width) numbers from 1 of regions that touch at sides or corners, 0 outside; and their areas."""
    labels, count = _scipy().label(mask, np.ones((3, 3)))
    return labels, np.bincount(labels.ravel(), minlength=count + 1)[1:]


def _scipy() -> Any:
    try:
        from scipy import ndimage
    except ImportError as error:
        raise UsageError(
            f"min_mask_region_area needs the package 'scipy', which is not installed: {install_command('evaluate')}"
        ) from error
    return ndimage
