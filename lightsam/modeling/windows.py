"""Attention in windows of a map, cut and put together with tensors of rank 4 at most."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F


def attend_in_windows(x: Tensor, attend: Callable[[Tensor], Tensor], side: int, window: int, stride: int = 1) -> Tensor:
    """Cut a map into windows, attend within each, put it back together.

    The last windows are padded with zeros that become keys like any other, as in SAM and in TinyViT: masking them, or
    padding elsewhere, would change the answer.

    Args:
        x: (B, side, side, C).
        attend: maps (B * windows, window * window, C) to (B * windows, (window / stride)^2, C').
        side: of the map; a Python int, so that shapes are static for a tracer.
        window: side of a window.
        stride: by how much ``attend`` makes a window's side smaller; it divides ``window`` and ``side``.

    Returns:
        (B, side / stride, side / stride, C').
    """
    channels = x.shape[-1]
    across = -(-side // window)  # windows along a side
    padded = across * window
    if padded > side:  # a pad or a crop of nothing is an alias, which coremltools 9.0 does not convert
        x = F.pad(x, (0, 0, 0, padded - side, 0, padded - side))
    # Rank 4, not the usual 6: the channels travel with the innermost axis of the window.
    x = x.reshape(-1, window, across, window * channels).transpose(1, 2)
    x = attend(x.reshape(-1, window * window, channels))
    side, window, padded, channels = side // stride, window // stride, padded // stride, x.shape[-1]
    x = x.reshape(-1, across, window, window * channels).transpose(1, 2)
    x = x.reshape(-1, padded, padded, channels)
    return x[:, :side, :side] if padded > side else x
