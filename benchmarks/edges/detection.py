"""The edge map of an image, from the masks that a grid of points gives.

Memory holds the low-res logits of all masks (201 MB of 768 masks of a model at 1024), since box NMS compares each with
all others, and one mask at the image's size.
"""

from dataclasses import dataclass

import numpy as np

from lightsam.boxes import suppressed
from lightsam.encoding import Encoding
from lightsam.everything import Asked
from lightsam.prompts import Prompt
from lightsam.transforms import MASK_THRESHOLD, ImageSource
from lightsam.windows import Upscaling, Window

from .recipe import INNER, NONE, OUTER, Recipe


@dataclass(frozen=True)
class Detection:
    """The edges of one image."""

    edges: np.ndarray
    """(height, width) float32 from 0 to 1, at the image's own size."""
    masks: int
    """That the edges are made of: those which box NMS left."""
    not_finite: int
    """Masks with NaN or infinite logits, which are left out."""


def detect(predictor: Asked, image: ImageSource, recipe: Recipe) -> Detection:
    """The edge map of an image.

    Args:
        predictor: of a model or of exported files.
        image: a path, a Pillow image or an array, as `Predictor.encode` takes it.
        recipe: every choice on the way.

    Raises:
        ImageError: if the image cannot be read.
    """
    encoding = predictor.encode(image)
    logits, ious, not_finite = _masks(predictor, encoding, recipe)
    upscaling = Upscaling(encoding.frame)
    size = (encoding.frame.width, encoding.frame.height)
    boxes = np.array([_box(upscaling.window(one, MASK_THRESHOLD)) for one in logits], np.float64).reshape(-1, 4)
    kept = suppressed(boxes, ious, recipe.box_nms_thresh)
    strongest = np.zeros(size[::-1], np.float32)
    for index in kept:
        # All of the image: what lies beside a mask counts for its gradient.
        whole = upscaling.window(logits[index], -np.inf).logits
        x0, y0, x1, y1 = boxes[index].astype(int)
        part = np.s_[max(0, y0 - 2) : y1 + 3, max(0, x0 - 2) : x1 + 3]
        np.maximum(strongest[part], edges_of_mask(whole[part], recipe.boundary), out=strongest[part])
    return Detection(finished(strongest, recipe), len(kept), not_finite)


def _box(window: Window) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the outermost pixels of a mask, in pixels of the image; zeros if it has none."""
    mask = window.logits > MASK_THRESHOLD
    y, x = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(x):
        return 0, 0, 0, 0
    return int(window.left + x[0]), int(window.top + y[0]), int(window.left + x[-1]), int(window.top + y[-1])


def _masks(predictor: Asked, encoding: Encoding, recipe: Recipe) -> tuple[list[np.ndarray], np.ndarray, int]:
    """(4E, 4E) logits of every mask that has a pixel, its predicted IoU, and how many masks were not finite."""
    steps = (np.arange(recipe.points_per_side) + 0.5) / recipe.points_per_side
    points = [(x * encoding.frame.width, y * encoding.frame.height) for y in steps for x in steps]
    masks: list[np.ndarray] = []
    ious: list[float] = []
    not_finite = 0
    for point in points:
        # One in a call: on a processor several at once take as long or longer, as their masks leave its caches.
        for _, low_res_masks, predicted in predictor.decode(encoding, [Prompt(points=[point])]):
            several = predictor.rules.masks.competing(low_res_masks, ambiguous=True)
            for logits, iou in zip(low_res_masks[several], predicted[several], strict=True):
                if not (np.isfinite(logits).all() and np.isfinite(iou)):
                    not_finite += 1
                elif (logits > MASK_THRESHOLD).any():
                    masks.append(np.array(logits, np.float32))  # a copy: a view would keep the call's other masks
                    ious.append(float(iou))
    return masks, np.array(ious), not_finite


def edges_of_mask(logits: np.ndarray, boundary: str) -> np.ndarray:
    """Gradient of a mask's probabilities on its boundary, and zero elsewhere.

    Args:
        logits: (rows, columns) float32 of a mask, or of the part of the image around it.
        boundary: see `Recipe.boundary`.

    Returns:
        (rows, columns) float32, the magnitude of the Sobel filter.
    """
    from scipy import ndimage

    probabilities = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))  # float32 overflows beyond
    # Outside the image lies what its outermost pixels are: an image's end is no edge.
    across, down = (ndimage.sobel(probabilities, axis, mode="nearest") for axis in (1, 0))
    mask = logits > MASK_THRESHOLD
    square = np.ones((3, 3), bool)
    around = ndimage.binary_dilation(mask, square)
    core = ndimage.binary_erosion(mask, square, border_value=1)
    outside, inside = around & ~mask, mask & ~core
    chosen = outside if boundary == OUTER else inside if boundary == INNER else outside | inside
    return np.where(chosen, np.hypot(across, down), 0).astype(np.float32)


def finished(strongest: np.ndarray, recipe: Recipe) -> np.ndarray:
    """From the maximum over masks to the edge map: zero along the border, normalised, smoothed, thinned.

    Args:
        strongest: (height, width) float32.
        recipe: every choice.

    Returns:
        (height, width) float32 from 0 to 1.
    """
    from scipy import ndimage

    edges = strongest.copy()
    if recipe.border:
        inner = np.zeros(edges.shape, bool)
        inner[recipe.border : -recipe.border, recipe.border : -recipe.border] = True
        edges[~inner] = 0
    low, high = edges.min(), edges.max()
    edges = (edges - low) / (high - low) if high > low else np.zeros_like(edges)
    if recipe.smoothing:
        edges = ndimage.gaussian_filter(edges, recipe.smoothing, mode="nearest")
    return edges if recipe.nms == NONE else thinned_across(edges)


def thinned_across(edges: np.ndarray) -> np.ndarray:
    """Edge NMS: keep pixels that are at least as strong as what lies one pixel to either side of the edge.

    The direction across an edge is that in which its strength bends most: the eigenvector of the Hessian with the
    eigenvalue that is largest in magnitude, over a Gaussian of 2 pixels, since the direction must hold for an edge and
    not for a pixel. The strength beside a pixel is interpolated bilinearly. SAM's authors did not publish theirs.

    Args:
        edges: (height, width) float32.

    Returns:
        (height, width) float32: the strength where it stays, and 0 elsewhere.
    """
    from scipy import ndimage

    down2, across2, mixed = (
        ndimage.gaussian_filter(edges, 2, order=order, mode="nearest") for order in ((2, 0), (0, 2), (1, 1))
    )
    # Of a symmetric matrix: the axis of the larger eigenvalue, which on a ridge is the one along it.
    angle = 0.5 * np.arctan2(2 * mixed, across2 - down2)
    angle += np.where(across2 + down2 < 0, np.pi / 2, 0)
    y, x = np.mgrid[: edges.shape[0], : edges.shape[1]]
    beside = [
        ndimage.map_coordinates(edges, (y + side * np.sin(angle), x + side * np.cos(angle)), order=1, mode="nearest")
        for side in (1, -1)
    ]
    # A flat top of two pixels loses neither; the scorer's thinning takes one of them.
    tie = 1 - 1e-5
    return np.where((edges >= tie * beside[0]) & (edges >= tie * beside[1]), edges, 0).astype(np.float32)
