"""The files that one answer is written to: chosen and checked before any work, written after it.

A mistake in a name must not cost the minutes of an inference, and never the image itself: what cannot be written,
what would replace an input, and two outputs of one name are refused at the beginning.
"""

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lightsam.errors import UsageError
from lightsam.files import ensure_writable, replacing
from lightsam.overlay import draw_all, draw_overlay
from lightsam.predictor import Prediction
from lightsam.prompts import Prompt

LOGITS_SUFFIX = ".npy"


@dataclass(frozen=True)
class PredictionFiles:
    """Where one answer goes; None is not written."""

    mask: Path
    """The best mask, black and white, of the image's size."""
    overlay: Path
    """The image with the best mask and the prompt."""
    together: Path | None = None
    """All masks side by side, with their predicted IoUs."""
    logits: Path | None = None
    """The best mask's (4E, 4E) logits, which refine a next prompt."""

    def __iter__(self) -> Iterator[Path]:
        """What will be written."""
        return iter([path for path in (self.mask, self.overlay, self.together, self.logits) if path is not None])

    def check(self, inputs: Mapping[str, Path | None], overwrite: bool) -> None:
        """Refuse names that cannot be written, or should not be.

        Args:
            inputs: what is read, by what a user calls it. None of them is ever replaced.
            overwrite: whether other files that are there may be replaced.

        Raises:
            UsageError: for a suffix that cannot be written, an output that is an input or another output, a folder,
                and, unless ``overwrite``, for a file that is there.
            WriteError: if nothing can be written to a folder.
        """
        written = list(self)
        for path in written:
            if path == self.logits:
                if path.suffix.lower() != LOGITS_SUFFIX:
                    raise UsageError(f"{path} does not end in {LOGITS_SUFFIX}, which logits are written as")
            else:
                _image_format(path)
        for index, path in enumerate(written):
            for name, read in inputs.items():
                if read is not None and same_file(path, read):
                    raise UsageError(f"{path} is the {name} itself, which is never replaced: give another name")
            for other in written[:index]:
                if same_file(path, other):
                    raise UsageError(f"two outputs would be written to one file, {other} and {path}: name them apart")
            if path.is_dir():
                raise UsageError(f"{path} is a folder: give the name of a file")
            if os.path.lexists(path) and not overwrite:
                raise UsageError(f"{path} is there already: give --overwrite to replace it, or another name")
        for path in written:
            ensure_writable(path.parent)

    def check_sizes(self, size: tuple[int, int]) -> None:
        """Refuse formats that cannot hold an image as large as this one, (width, height), by trying it.

        Some take no grey or no colour, WebP ends at 16383 pixels a side, and icons are shrunk without a word.

        Raises:
            UsageError: for the first that cannot.
        """
        for path, mode in ((self.mask, "L"), (self.overlay, "RGB")):
            reference_image, image_format = io.BytesIO(), _image_format(path)
            try:
                Image.new(mode, size).save(reference_image, image_format)
                if image_format in Image.OPEN:
                    with Image.open(reference_image) as back:
                        held = back.size
                    if held != size:
                        raise ValueError(f"it would become {held[0]} x {held[1]}")
            # Each of Pillow's writers has exceptions of its own for what it cannot hold.
            except Exception as error:
                raise UsageError(
                    f"{path} cannot hold an image of {size[0]} x {size[1]} as {image_format} ({error}): take .png"
                ) from error

    def write(self, image: Image.Image, prediction: Prediction, prompt: Prompt) -> None:
        """Write them all, each wholly or not at all.

        Raises:
            WriteError: if the system refuses.
        """
        best = prediction.best
        _save(Image.fromarray(prediction.masks[best].astype(np.uint8) * 255), self.mask)
        _save(draw_overlay(image, prediction.masks[best], prompt), self.overlay)
        if self.together is not None:
            _save(draw_all(image, prediction, prompt), self.together)
        if self.logits is not None:
            with replacing(self.logits) as temporary:
                np.save(temporary, prediction.low_res_masks[best])


def same_file(one: Path, other: Path) -> bool:
    """Whether two names mean one file, through links, relative parts and folders that do not tell case apart.

    Of two files that are not there yet, names that differ in case alone count as one: on macOS and Windows they are.
    """
    try:
        return os.path.samefile(one, other)
    except OSError:  # at least one is not there, so neither is a link to the other
        names = [os.path.realpath(path) for path in (one, other)]
        there = [os.path.exists(path) for path in names]
        return names[0] == names[1] if any(there) else names[0].casefold() == names[1].casefold()


def _image_format(path: Path) -> str:
    """Pillow's name of the format that a suffix stands for, among those that it can write.

    Raises:
        UsageError: if there is none.
    """
    image_format = Image.registered_extensions().get(path.suffix.lower())
    if image_format not in Image.SAVE:
        cannot = "can be read but not written" if image_format else "is no image's"
        raise UsageError(f"{path} ends in {path.suffix or 'nothing'}, which {cannot}: give .png, .jpg or another")
    return image_format


def _save(image: Image.Image, path: Path) -> None:
    with replacing(path) as temporary:
        image.save(temporary, _image_format(path))
