"""Images for people: what PyTorch answered, what a file answered, and where they differ."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from lightsam.metrics import flipped_pixels
from lightsam.overlay import draw_overlay
from lightsam.stages import LOW_RES_MASKS, Arrays
from lightsam.transforms import MASK_THRESHOLD, upscale_masks
from lightsam_exporters.thumbnails import data_uri, scaled_prompt, thumbnail_size

from .reference_image import ReferenceImage
from .suite import Case

_FLIPPED = (255, 0, 80)


@dataclass(frozen=True)
class Illustration:
    """One answer, as three images in data URIs."""

    image: str
    prompt: str
    reference: str
    candidate: str
    mismatch: str
    """Grey image; brighter orange where logits differ more, red where a pixel flipped."""
    largest_error: float
    """Of the logits: where the orange is brightest."""
    flipped: int


def illustrate(reference_image: ReferenceImage, case: Case, expected: Arrays, found: Arrays) -> Illustration | None:
    """Draw the mask that a user is shown for a case's first prompt; None if what was found is no mask."""
    logits = [prediction.get(LOW_RES_MASKS, np.empty(0)) for prediction in (expected, found)]
    if logits[0].shape != logits[1].shape or not np.isfinite(logits[1]).all():
        return None
    shown = reference_image.shown(case)[-1][0]
    full = [
        upscale_masks(masks[0, shown : shown + 1], reference_image.frame)[0] for masks in logits
    ]  # (height, width) each
    masks = [array > MASK_THRESHOLD for array in full]
    size = thumbnail_size(reference_image.image)
    small = reference_image.image.resize(size, Image.Resampling.LANCZOS)
    scaled = [np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)) for mask in masks]
    prompt = scaled_prompt(case.prompts[0], size[0] / reference_image.image.width)
    error = np.abs(full[0] - full[1])
    drawn = [data_uri(draw_overlay(small, mask, prompt)) for mask in scaled]
    return Illustration(
        reference_image.name,
        case.name,
        drawn[0],
        drawn[1],
        data_uri(_mismatch(small, error, masks[0] != masks[1])),
        float(error.max()),
        flipped_pixels(*masks),
    )


def _mismatch(small: Image.Image, error: np.ndarray, flipped: np.ndarray) -> Image.Image:
    grey = np.asarray(small.convert("L").convert("RGB"), np.float32) * 0.4
    heat = Image.fromarray((error / (error.max() or 1) * 255).astype(np.uint8)).resize(small.size)
    strength = np.asarray(heat, np.float32)[..., None] / 255  # (height, width, 1)
    pixels = grey * (1 - strength) + np.array([255, 170, 40], np.float32) * strength
    # A flipped pixel must not vanish in a smaller image: what is there at all is shown.
    spots = np.asarray(Image.fromarray(flipped.astype(np.float32)).resize(small.size, Image.Resampling.BOX)) > 0
    dots = Image.fromarray(spots.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(3))
    pixels[np.asarray(dots) > 0] = _FLIPPED
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
