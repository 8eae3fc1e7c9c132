"""An image with a mask and its prompt drawn on it, and all masks of a prediction side by side."""

import colorsys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from lightsam.metrics import outline_band
from lightsam.predictor import Prediction
from lightsam.prompts import Prompt
from lightsam.rules import PointLabel
from lightsam.windows import Runs

MASK_COLOUR = (30, 144, 255)
FOREGROUND_COLOUR = (46, 204, 64)
BACKGROUND_COLOUR = (255, 65, 54)
OPACITY = 0.5

# Of `draw_all`, in pixels. Every tile has the same longest side, whatever the image's, so that the captions of a
# thumbnail can be read and the sheet of a 12-megapixel image stays small.
TILE = 480
GAP = 12
CAPTION_HEIGHT = 34
FRAME_WIDTH = 6
_FONT_SIZE = 22


def draw_overlay(image: Image.Image, mask: np.ndarray, prompt: Prompt) -> Image.Image:
    """Tint the mask, outline it, and mark the points (green foreground, red background) and the box.

    Args:
        image: RGB.
        mask: (height, width) bool, of the image's size.
        prompt: in pixels of the image.

    Returns:
        RGB, of the image's size.
    """
    pixels = np.asarray(image, np.float32).copy()
    pixels[mask] = (1 - OPACITY) * pixels[mask] + OPACITY * np.array(MASK_COLOUR, np.float32)
    overlay = Image.fromarray(pixels.round().astype(np.uint8))
    # Lines and dots grow with the image, so that they are seen on a 12-megapixel one too.
    width = max(1, round(max(image.size) / 300))

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


def draw_found(image: Image.Image, found: Sequence[Runs]) -> Image.Image:
    """Tint every mask in a colour of its own, small ones above large ones, and outline it.

    Args:
        image: RGB.
        found: masks of the image.

    Returns:
        RGB, of the image's size.
    """
    pixels = np.asarray(image).copy()
    width = max(1, round(max(image.size) / 600))
    for number in sorted(range(len(found)), key=lambda index: -found[index].area):
        mask = found[number].mask
        # Hues a golden angle apart: neighbours in the list never look alike.
        hue = (number * 0.618034) % 1
        colour = np.array([round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, 1.0)], np.float32)
        pixels[mask] = ((1 - OPACITY) * pixels[mask] + OPACITY * colour).astype(np.uint8)
        pixels[outline_band(mask, width)] = colour.astype(np.uint8)
    return Image.fromarray(pixels)


def draw_all(image: Image.Image, prediction: Prediction, prompt: Prompt) -> Image.Image:
    """Draw every mask of a prediction as an overlay of its own, from left to right, on white.

    Below each stand its index and its predicted IoU; the best one, which is the mask that a caller writes, has a blue
    frame and the word "chosen".

    Args:
        image: RGB, of any size: each tile is scaled to a longest side of `TILE`.
        prediction: about this image.
        prompt: in pixels of the image.

    Returns:
        RGB: tiles `GAP` apart and from the edges, `CAPTION_HEIGHT` below each.
    """
    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.LANCZOS)
    scaled = replace(
        prompt,
        points=[(x * scale, y * scale) for x, y in prompt.points],
        box=None if prompt.box is None else tuple(side * scale for side in prompt.box),  # type: ignore[arg-type]
    )
    font = ImageFont.load_default(_FONT_SIZE)
    captions = [
        f"mask {index}, predicted IoU {iou:.3f}{', chosen' if index == prediction.best else ''}"
        for index, iou in enumerate(prediction.iou_predictions)
    ]
    # A narrow image's column is as wide as the words below it.
    column = max(size[0], *(int(font.getlength(caption)) + 1 for caption in captions))
    sheet = Image.new(
        "RGB", (GAP + len(captions) * (column + GAP), GAP + size[1] + CAPTION_HEIGHT + GAP), (255, 255, 255)
    )
    draw = ImageDraw.Draw(sheet)
    for index, (mask, caption) in enumerate(zip(prediction.masks, captions, strict=True)):
        left = GAP + index * (column + GAP)
        # By area, so that a mask of a few pixels of 12 million does not fall between two.
        covered = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)) > 127
        if index == prediction.best:
            right, bottom = left + size[0] - 1, GAP + size[1] - 1
            frame = (left - FRAME_WIDTH, GAP - FRAME_WIDTH, right + FRAME_WIDTH, bottom + FRAME_WIDTH)
            draw.rectangle(frame, fill=MASK_COLOUR)
        sheet.paste(draw_overlay(small, covered, scaled), (left, GAP))
        draw.text((left, GAP + size[1] + FRAME_WIDTH + 2), caption, fill=(0, 0, 0), font=font)
    return sheet
