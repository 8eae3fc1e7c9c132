"""Images to the encoder's input and masks back to the image's size.

Coordinate frames: *image* is pixels of the image as a viewer shows it (EXIF orientation applied), *model* is pixels
of the padded square that the encoder sees. Both have x to the right, y down, origin at the top left corner.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from lightsam.errors import ImageError
from lightsam.modeling.graphs import resize_masks
from lightsam.modeling.sam import PADDING_COLOUR

ImageSource = str | Path | Image.Image | np.ndarray
"""What an image may come as: a path, a Pillow image, or an array, (H, W, 3) RGB or (H, W) grey, uint8."""

MASK_THRESHOLD = 0.0
"""Logits above it are foreground."""


@dataclass(frozen=True)
class Frame:
    """Where an image lies in the model's input."""

    width: int
    height: int
    image_size: int
    """Side of the model's square input."""

    @property
    def resized(self) -> tuple[int, int]:
        """(width, height) of the image after its longest side became ``image_size``."""
        scale = self.image_size / max(self.width, self.height)
        # A very long image may round to nothing across: it keeps one pixel.
        return max(1, int(self.width * scale + 0.5)), max(1, int(self.height * scale + 0.5))

    def _scale(self) -> np.ndarray:
        width, height = self.resized
        return np.array([width / self.width, height / self.height])

    def to_model(self, coords: np.ndarray) -> np.ndarray:
        """(..., 2) x, y in the image to x, y in the model's input, float32."""
        return (np.asarray(coords, np.float64) * self._scale()).astype(np.float32)

    def to_image(self, coords: np.ndarray) -> np.ndarray:
        """The inverse of `to_model`."""
        return (np.asarray(coords, np.float64) / self._scale()).astype(np.float32)


def open_image(source: ImageSource) -> Image.Image:
    """Read an image of any mode as upright RGB; transparency is ignored.

    Pixels of more than 8 bits are scaled by the range that their mode or their values state: 16 bits to 0..65535; whole
    numbers of 32 bits to 0..255 or 0..65535, whichever holds them; floats to 0..1 or 0..255.

    Raises:
        ImageError: if it is missing, damaged, no image, or has values outside these ranges.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if isinstance(source, Image.Image):
                image = source
            elif isinstance(source, np.ndarray):
                image = _from_array(source)
            else:
                with Image.open(source) as image:
                    image.load()
    except FileNotFoundError as error:
        raise ImageError(f"there is no image {source}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{source} is too large an image to open safely ({error})") from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise on damaged files
        raise ImageError(f"{source} cannot be read as an image ({error})") from error
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # convert() would clip these at 255
        image = _to_8_bits(image)
    return image.convert("RGB")


def _from_array(pixels: np.ndarray) -> Image.Image:
    grey = pixels.ndim == 2
    if pixels.dtype != np.uint8 or not (grey or (pixels.ndim == 3 and pixels.shape[2] == 3)) or not pixels.size:
        raise ImageError(
            f"an array of shape {pixels.shape} and dtype {pixels.dtype} is no image: give (H, W, 3) RGB or (H, W) "
            "grey, uint8, 0..255"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey pixels of 16 or 32 bits, or floats, as 8 bits."""
    values = np.asarray(image, np.float64)
    low, high = values.min(), values.max()
    if image.mode.startswith("I;16"):
        ranges: tuple[float, ...] = (65535,)
    else:
        ranges = (1, 255) if image.mode == "F" else (255, 65535)
    white = next((white for white in ranges if high <= white), None)
    if not (np.isfinite(values).all() and low >= 0 and white is not None):
        allowed = " or ".join(f"0..{white}" for white in ranges)
        raise ImageError(f"an image of mode {image.mode} holds {allowed}, and this one {low:g} to {high:g}: scale it")
    return Image.fromarray((values * (255 / white)).round().astype(np.uint8))


def to_model_input(image: Image.Image, image_size: int) -> tuple[np.ndarray, Frame]:
    """Resize the longest side, pad right and bottom with the pixel mean, as 8-bit images hold it.

    Resizing is Pillow's bilinear with antialiasing, which is what the published models were trained and are served
    with.

    Returns:
        (1, 3, S, S) float32 RGB, whole numbers 0..255, and where the image lies in it.
    """
    frame = Frame(*image.size, image_size)
    resized = np.asarray(image.resize(frame.resized, Image.Resampling.BILINEAR), np.float32)
    padded = np.empty((image_size, image_size, 3), np.float32)
    padded[:] = PADDING_COLOUR
    padded[: resized.shape[0], : resized.shape[1]] = resized
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None]), frame  # (1, 3, S, S)


def upscale_masks(low_res_masks: np.ndarray, frame: Frame) -> np.ndarray:
    """Bring mask logits to the image's own size: to the model's input, crop the padding, to the image.

    Args:
        low_res_masks: (K, 4E, 4E) logits in the model frame.

    Returns:
        (K, height, width) float32 logits in the image frame.
    """
    width, height = frame.resized
    logits = torch.from_numpy(np.ascontiguousarray(low_res_masks, np.float32))[None]  # (1, K, 4E, 4E)
    return resize_masks(logits, frame.image_size, (height, width), (frame.height, frame.width))[0].numpy()
