"""A mask of a large image, computed where it is alone: of a hundred masks of a photograph most are small.

Bringing logits to an image's size is linear, and rows are separate from columns: it is a product with a matrix on
either side. Of its inputs an output takes few and neighbouring ones (three, in bilinear interpolation), so that adding
these up takes a third of the time of the whole product. It is done in this thread: so little work would wait longer for
the cores that the decoder's runtime has just used. Only the rows and columns that a mask reaches are computed, and what
is kept of it are its runs.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional as F

from lightsam.geometry import Fit, Frame, MaskResize, mask_side
from lightsam.shapes import mask_of_counts
from lightsam.transforms import MASK_THRESHOLD

_ROWS = 256
"""That are summed at once: few enough to stay in a processor's cache."""


@dataclass(frozen=True)
class Window:
    """A part of a mask's logits, outside which all are below the threshold."""

    left: int
    """Of the image, in pixels."""
    top: int
    logits: np.ndarray
    """(rows, columns) float32, at the image's size."""


@dataclass(frozen=True)
class Runs:
    """The foreground of a mask, as runs down its columns."""

    width: int
    """Of the image, in pixels."""
    height: int
    starts: np.ndarray
    """(R,) int64: x * height + y of the first pixel of each, rising."""
    lengths: np.ndarray
    """(R,) int64, in pixels; no run touches the next."""

    @classmethod
    def of(cls, mask: np.ndarray, left: int = 0, top: int = 0, size: tuple[int, int] | None = None) -> "Runs":
        """Of a mask, or of a part of one.

        Args:
            mask: (rows, columns) bool.
            left: where it lies in the image, in pixels.
            top: likewise.
            size: width, height of the image; the mask's own if it is left out.
        """
        rows, columns = mask.shape
        width, height = size or (columns, rows)
        edges = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0).T  # by column, then down it
        x, starts = np.nonzero(edges == 1)
        _, ends = np.nonzero(edges == -1)
        first = (left + x) * height + top + starts
        last = (left + x) * height + top + ends
        # A run that ends at the bottom goes on at the top of the next column.
        apart = first[1:] != last[:-1]
        begins, finishes = np.append(True, apart), np.append(apart, True)
        if not len(first):
            begins = finishes = np.zeros(0, bool)
        return cls(width, height, first[begins], last[finishes] - first[begins])

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.lengths.sum())

    @property
    def outermost(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 of the outermost pixels, which are inside; zeros of an empty mask."""
        if not len(self.starts):
            return 0, 0, 0, 0
        ends = self.starts + self.lengths - 1
        (left, top), (right, bottom) = (np.divmod(at, self.height) for at in (self.starts, ends))
        if (left != right).any():  # a run over several columns reaches both edges
            return int(left[0]), 0, int(right[-1]), self.height - 1
        return int(left[0]), int(top.min()), int(right[-1]), int(bottom.max())

    @property
    def counts(self) -> list[int]:
        """COCO's run lengths, as `lightsam.shapes.rle_counts` gives them."""
        ends = self.starts + self.lengths
        between = np.append(self.starts, self.width * self.height) - np.append(0, ends)
        counts = np.empty(2 * len(self.starts) + 1, np.int64)
        counts[0::2], counts[1::2] = between, self.lengths
        return [int(count) for count in (counts if counts[-1] else counts[:-1])]

    @property
    def mask(self) -> np.ndarray:
        """(height, width) bool."""
        return mask_of_counts(self.counts, self.width, self.height)


class Upscaling:
    """The way of low-res logits to one frame of an image."""

    def __init__(self, frame: Frame) -> None:
        """Find both matrices.

        Args:
            frame: of the image that the masks are about.
        """
        self._rows, self._columns = _resampling(frame)
        # Bilinear interpolation gives nothing above all that it is made of; bicubic does.
        self._bounded = frame.mask_resize is MaskResize.BILINEAR

    def window(self, logits: np.ndarray, least: float) -> Window:
        """The part of a mask's logits, at the image's size, in which some are above ``least``.

        Args:
            logits: (4E, 4E) of the mask.
            least: below 0 or 0.
        """
        y, x = self._rows.all, self._columns.all
        if self._bounded:
            inside = logits > least
            y = self._rows.reached(np.asarray(inside.any(axis=1)))
            x = self._columns.reached(np.asarray(inside.any(axis=0)))
        down = self._rows.apply(y, np.asarray(logits, np.float32))
        # Rows are contiguous, and so are summed faster than columns: the other side goes the same way, turned.
        part = self._columns.apply(x, np.ascontiguousarray(down.T)).T
        return Window(x.start, y.start, part)


def runs_of(window: Window, left: int, top: int, size: tuple[int, int]) -> Runs:
    """The foreground of a window.

    Args:
        window: of a mask about a crop.
        left: of the crop in the image, in pixels.
        top: likewise.
        size: width, height of the image.
    """
    return Runs.of(window.logits > MASK_THRESHOLD, left + window.left, top + window.top, size)


class _Resampling:
    """Along one side: each output is the weighted sum of a few neighbouring inputs."""

    def __init__(self, matrix: np.ndarray) -> None:
        """Keep what is not zero.

        Args:
            matrix: (outputs, inputs) float32.
        """
        used = matrix != 0
        taps = int(used.sum(axis=1).max())
        first = np.minimum(used.argmax(axis=1), matrix.shape[1] - taps)
        self._sources = first[:, None] + np.arange(taps)
        self._weights = np.take_along_axis(matrix, self._sources, axis=1)[..., None]
        self._reaches = used.any(axis=0)  # an input in the padding reaches no output
        self._first, self._last = used.argmax(axis=0), len(matrix) - 1 - used[::-1].argmax(axis=0)
        self.all = slice(0, len(matrix))

    def reached(self, inputs: np.ndarray) -> slice:
        """The outputs, from the first to the last, that any of these inputs contributes to.

        Args:
            inputs: (inputs,) bool.
        """
        chosen = inputs & self._reaches
        return slice(int(self._first[chosen].min()), int(self._last[chosen].max()) + 1) if chosen.any() else slice(0, 0)

    def apply(self, outputs: slice, columns: np.ndarray) -> np.ndarray:
        """These outputs of every column.

        Args:
            columns: (inputs, N) float32.

        Returns:
            (outputs, N) float32.
        """
        sources, weights = self._sources[outputs], self._weights[outputs]
        found = np.empty((len(sources), columns.shape[1]), np.float32)
        for begin in range(0, len(sources), _ROWS):
            rows = slice(begin, begin + _ROWS)
            part = np.multiply(columns[sources[rows, 0]], weights[rows, 0], out=found[rows])
            for tap in range(1, sources.shape[1]):
                part += columns[sources[rows, tap]] * weights[rows, tap]
        return found


@lru_cache(maxsize=8)  # the crops of one image have a few sizes
def _resampling(frame: Frame) -> tuple[_Resampling, _Resampling]:
    """What `lightsam.geometry.resize_masks` does to rows and to columns."""
    width, height = frame.resized
    return _Resampling(_matrix(frame, height, frame.height)), _Resampling(_matrix(frame, width, frame.width))


def _matrix(frame: Frame, inside: int, original: int) -> np.ndarray:
    """(original, 4E) float32."""
    side = mask_side(frame.image_size)

    def interpolated(matrix: torch.Tensor, rows: int) -> torch.Tensor:
        return F.interpolate(matrix, (rows, side), mode=frame.mask_resize.value, align_corners=False)

    matrix = torch.eye(side)[None, None]
    if frame.fit is not Fit.STRETCH:
        matrix = interpolated(matrix, frame.image_size)[:, :, :inside]
    return interpolated(matrix, original)[0, 0].numpy()
