"""Images to the encoder's input, and masks back to the image's size; lightsam.geometry says where things lie."""

import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps

from lightsam.errors import ImageError
from lightsam.geometry import Fit, Frame, Preprocess, resize_masks

ImageSource = str | Path | BinaryIO | Image.Image | np.ndarray
"""What an image may come as: a path, a file, a Pillow image, or an array, (H, W, 3) RGB or (H, W) grey, uint8."""

MASK_THRESHOLD = 0.0
"""Logits above it are foreground."""


def open_image(source: ImageSource) -> Image.Image:
    """Read an image of any mode as upright RGB; transparency is ignored.

    Pixels of more than 8 bits are scaled to 0..255, from the range of their mode: 0..65535 for 16 bits; 0..255 or
    0..65535 for whole numbers of 32 bits, and 0..1 or 0..255 for floats, whichever is the first that holds all values.

    Args:
        source: a path, an opened binary file, a Pillow image of any mode, or an array (H, W, 3) RGB or (H, W) grey,
            uint8.

    Returns:
        An image of mode RGB, its EXIF orientation applied.

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


def to_model_input(image: Image.Image, preprocess: Preprocess) -> tuple[np.ndarray, Frame]:
    """Resize an image as the model takes it, and pad it right and bottom to the square where that is left.

    Resizing is Pillow's antialiased bilinear, with which the published models were trained and are served.

    Args:
        image: RGB.
        preprocess: of the model.

    Returns:
        (1, 3, S, S) float32 RGB, whole numbers 0..255, and where the image lies in it.
    """
    frame = preprocess.frame(*image.size)
    resized = np.asarray(image.resize(frame.resized, Image.Resampling.BILINEAR), np.float32)
    padded = np.empty((preprocess.image_size, preprocess.image_size, 3), np.float32)
    if preprocess.padding_colour is not None:
        padded[:] = preprocess.padding_colour
    padded[: resized.shape[0], : resized.shape[1]] = resized
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None]), frame  # (1, 3, S, S)


def upscale_masks(low_res_masks: np.ndarray, frame: Frame) -> np.ndarray:
    """Bring mask logits to the image's own size, as `resize_masks` does.

    Args:
        low_res_masks: (K, 4E, 4E) logits in the model's frame.
        frame: of the image that they are about.

    Returns:
        (K, height, width) float32 logits in the image frame.
    """
    width, height = frame.resized
    resized = None if frame.fit is Fit.STRETCH else (height, width)
    logits = torch.from_numpy(np.ascontiguousarray(low_res_masks, np.float32))[None]  # (1, K, 4E, 4E)
    return resize_masks(logits, frame, resized, (frame.height, frame.width))[0].numpy()
