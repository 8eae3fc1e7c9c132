"""A model that needs no weights: it answers a point by what has a similar colour, in three widths.

It counts in whole greys, so that two programs which round differently agree. What segment-anything's own generator
finds with it is in tests/data/golden/everything.json, whose head says how it was made.
"""

import numpy as np
from PIL import Image, ImageDraw

from lightsam.geometry import Preprocess
from lightsam.rules import MaskRules, PromptRules, Rules

SIZE = 256
"""Side of its input."""
TOLERANCES = (10, 30, 70)
"""Greys that the masks 1, 2 and 3 reach from the colour at the point."""
SLOPE = 0.25
"""Logits a grey."""


def scene(width, height):
    """Discs and bars on a slope of grey, with specks and holes."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    ground = (40 + 30 * columns / width + 20 * rows / height).astype(np.uint8)
    picture = Image.fromarray(np.stack([ground, ground, 255 - ground], axis=-1))
    draw = ImageDraw.Draw(picture)
    for number in range(14):
        x, y = (number * 97 + 31) % width, (number * 61 + 43) % height
        radius = 9 + (number * 7) % 41
        colour = tuple((number * step + 60) % 256 for step in (83, 151, 29))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        if number % 3 == 0:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=(0, 0, 0))
        draw.rectangle(((x * 5) % width, (y * 3) % height, (x * 5) % width + 5, (y * 3) % height + 4), fill=colour)
    return picture


def features(pixels):
    """(3, SIZE, SIZE) of 0..255 to the greys of (3, SIZE / 4, SIZE / 4)."""
    return np.round(pixels.reshape(3, SIZE // 4, 4, SIZE // 4, 4).mean(axis=(2, 4)))


def answers(greys, x, y):
    """(3, SIZE / 4, SIZE / 4) logits and (3,) predicted IoUs for a point in pixels of the input."""
    colour = greys[:, min(int(y) // 4, SIZE // 4 - 1), min(int(x) // 4, SIZE // 4 - 1)]
    distance = np.abs(greys - colour[:, None, None]).max(axis=0)
    logits = np.stack([(reach - distance + 0.5) * SLOPE for reach in TOLERANCES]).astype(np.float32)
    ious = np.array([0.75 + ((colour.sum() * 7 + 31 * mask) % 64) / 256 for mask in range(3)], np.float32)
    return logits, ious


def rules():
    """Of a model like SAM."""
    return Rules(Preprocess(SIZE), PromptRules(), MaskRules())


def encoder(inputs):
    """As the contract has it."""
    return {"image_embeddings": features(inputs["image"][0].astype(np.float64))[None]}


def decoder(inputs):
    """As the contract has it; mask 0 is mask 1."""
    found = [answers(inputs["image_embeddings"][0], *points[0]) for points in inputs["point_coords"]]
    logits = np.stack([one[0][[0, 0, 1, 2]] for one in found])
    return {"low_res_masks": logits, "iou_predictions": np.stack([one[1][[0, 0, 1, 2]] for one in found])}
