"""A picture with its mask and its prompt drawn on it, for people."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lightsam.modeling.prompt_encoder import PointLabel
from lightsam.prompts import Prompt

MASK_COLOUR = (30, 144, 255)
FOREGROUND_COLOUR = (46, 204, 64)
BACKGROUND_COLOUR = (255, 65, 54)
OPACITY = 0.5


def draw_overlay(picture: Image.Image, mask: np.ndarray, prompt: Prompt) -> Image.Image:
    """Tint the mask, outline it, and mark the points (green foreground, red background) and the box.

    Args:
        picture: RGB.
        mask: (height, width) bool, of the picture's size.
        prompt: in pixels of the picture.
    """
    pixels = np.asarray(picture, np.float32).copy()
    pixels[mask] = (1 - OPACITY) * pixels[mask] + OPACITY * np.array(MASK_COLOUR, np.float32)
    overlay = Image.fromarray(pixels.round().astype(np.uint8))
    # Lines and dots grow with the picture, so that they are seen on a 12-megapixel one too.
    width = max(1, round(max(picture.size) / 300))

    area = Image.fromarray(mask.astype(np.uint8) * 255)
    outline = np.asarray(area.filter(ImageFilter.MaxFilter(2 * width + 1))) != np.asarray(area)
    overlay.paste(MASK_COLOUR, mask=Image.fromarray(outline.astype(np.uint8) * 255))

    draw = ImageDraw.Draw(overlay)
    if prompt.box is not None:
        draw.rectangle(prompt.box, outline=FOREGROUND_COLOUR, width=width)
    radius = 3 * width
    for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
        colour = FOREGROUND_COLOUR if label == PointLabel.FOREGROUND else BACKGROUND_COLOUR
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline="white", width=width)
    return overlay
