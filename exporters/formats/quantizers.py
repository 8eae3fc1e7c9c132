"""Weights in fewer bits: integers with a scale a channel, or indices into tables of values.

Written out here because coremltools 9.0 does one of them wrong: its k-means compares sums of centroids to see whether
they moved, which is NaN or already true on weights of both signs (https://github.com/apple/coremltools/pull/2700).
"""

import heapq
import math
from typing import NamedTuple

import numpy as np

_ROUNDS = 60
"""Of k-means; the error no longer falls visibly after half as many."""
_BINS = 4096
"""Of equal width, that values are put into before they are joined."""
_TABLE_SHARE = 8
"""A table may take this part of the bytes that it stands for: 1 / 8."""


class Linear(NamedTuple):
    """``weight = data * scale``, the scale along one axis."""

    data: np.ndarray
    """int8, of the weight's shape, -127..127."""
    scale: np.ndarray
    """(channels,), in the weight's own dtype."""
    axis: int

    @property
    def restored(self) -> np.ndarray:
        """The weight as it is computed with."""
        shape = [1] * self.data.ndim
        shape[self.axis] = -1
        return (self.data.astype(np.float32) * self.scale.reshape(shape)).astype(self.scale.dtype)

    @property
    def nbytes(self) -> int:
        """In a file."""
        return self.data.nbytes + self.scale.nbytes


class Palette(NamedTuple):
    """``weight = tables[group][indices]``, a group being so many whole channels along axis 0."""

    indices: np.ndarray
    """uint8, of the weight's shape, below 2 ** bits."""
    tables: np.ndarray
    """(groups, 2 ** bits), in the weight's own dtype; ascending."""

    @property
    def restored(self) -> np.ndarray:
        """The weight as it is computed with."""
        rows = self.indices.reshape(len(self.tables), -1)
        return np.take_along_axis(self.tables, rows.astype(np.int64), axis=1).reshape(self.indices.shape)

    @property
    def nbytes(self) -> int:
        """In a file, where indices have so many bits each."""
        return math.ceil(self.indices.size * math.log2(self.tables.shape[1]) / 8) + self.tables.nbytes


def linear(weight: np.ndarray, axis: int) -> Linear:
    """Symmetric int8, a scale for each channel along ``axis``."""
    rest = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight.astype(np.float32)).max(rest, keepdims=True)
    # Rounded to the weight's dtype first: the integers are then the nearest under the scale that is stored.
    scale = (largest / 127).astype(weight.dtype)
    scale[scale == 0] = 1
    data = np.rint(weight.astype(np.float32) / scale.astype(np.float32)).clip(-127, 127).astype(np.int8)
    return Linear(data, scale.ravel(), axis)


def palette(weight: np.ndarray, bits: int, groups: int = 1) -> Palette:
    """The nearest of ``2 ** bits`` values, which k-means chooses for each group of channels along axis 0.

    Args:
        groups: a divisor of the number of channels; 1 for one table for all.
    """
    rows = weight.reshape(groups, -1).astype(np.float32)
    tables = np.stack([_k_means(row, 2**bits) for row in rows]).astype(weight.dtype)
    tables.sort(axis=1)
    indices = np.stack([_nearest(row, table.astype(np.float32)) for row, table in zip(rows, tables, strict=True)])
    return Palette(indices.reshape(weight.shape).astype(np.uint8), tables)


def groups_of(shape: tuple[int, ...], bits: int) -> int:
    """The most groups of whole channels whose tables of float16 are still small beside their indices.

    It always divides: nothing is left uncompressed because its size does not fit.
    """
    channels = shape[0]
    each = int(np.prod(shape[1:]))
    table = 2 * 2**bits
    least = _TABLE_SHARE * table * 8 / bits
    fitting = [groups for groups in range(1, channels + 1) if channels % groups == 0]
    return max((groups for groups in fitting if channels // groups * each >= least), default=1)


def _k_means(values: np.ndarray, count: int) -> np.ndarray:
    """The centres of one-dimensional k-means, (count,) float32: on sorted values each cluster is a slice."""
    ordered = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = _first_centres(ordered, count)
    for _ in range(_ROUNDS):
        edges = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        begins, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(ordered)]])
        sizes = ends - begins
        means = (sums[ends] - sums[begins]) / np.maximum(sizes, 1)
        moved = np.where(sizes > 0, means, centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres.astype(np.float32)


def _first_centres(ordered: np.ndarray, count: int) -> np.ndarray:
    """Neighbours are joined until so many clusters are left: each time the two that add least to the error (Ward).

    Weights have few large values, which random or even centres miss, and k-means does not find back to.
    """
    bins = np.unique(np.floor((ordered - ordered[0]) / (np.ptp(ordered) or 1.0) * _BINS), return_index=True)[1]
    sizes = np.diff(np.append(bins, len(ordered))).astype(np.float64).tolist()
    means = (np.add.reduceat(ordered, bins) / sizes).tolist()
    after = [*range(1, len(means)), -1]
    before = [*range(-1, len(means) - 1)]

    def cost(i: int, j: int) -> float:
        return float(sizes[i] * sizes[j] / (sizes[i] + sizes[j]) * (means[i] - means[j]) ** 2)

    heap = [(cost(i, i + 1), i, i + 1, sizes[i], sizes[i + 1]) for i in range(len(means) - 1)]
    heapq.heapify(heap)
    left = len(means)
    while left > count:
        _, i, j, size_i, size_j = heapq.heappop(heap)
        if after[i] != j or sizes[i] != size_i or sizes[j] != size_j:
            continue  # one of the two has been joined with another since
        means[i] = (sizes[i] * means[i] + sizes[j] * means[j]) / (sizes[i] + sizes[j])
        sizes[i] += sizes[j]
        after[i], sizes[j] = after[j], 0.0
        if after[i] >= 0:
            before[after[i]] = i
            heapq.heappush(heap, (cost(i, after[i]), i, after[i], sizes[i], sizes[after[i]]))
        if before[i] >= 0:
            heapq.heappush(heap, (cost(before[i], i), before[i], i, sizes[before[i]], sizes[i]))
        left -= 1
    kept = np.array([mean for mean, size in zip(means, sizes, strict=True) if size])
    return np.pad(kept, (0, count - len(kept)), mode="edge")  # of a weight with fewer values than centres


def _nearest(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Indices of the nearest entries of an ascending table."""
    return np.searchsorted((table[1:] + table[:-1]) / 2, values)
