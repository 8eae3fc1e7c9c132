"""Small images inside a page, with prompts that fit them."""

import base64
import io

from PIL import Image

from lightsam.prompts import Prompt

LONGEST = 360
"""Pixels of an image's longest side in a page."""


def thumbnail_size(image: Image.Image) -> tuple[int, int]:
    """Width and height with the same proportions."""
    scale = LONGEST / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return width, height


def scaled_prompt(prompt: Prompt, scale: float) -> Prompt:
    """The same points and box in an image of another size, without a mask."""
    return Prompt(
        points=[(x * scale, y * scale) for x, y in prompt.points],
        labels=prompt.labels,
        box=None if prompt.box is None else tuple(side * scale for side in prompt.box),  # type: ignore[arg-type]
    )


def data_uri(image: Image.Image) -> str:
    """The image itself, as WebP, for ``src``."""
    content = io.BytesIO()
    image.save(content, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
