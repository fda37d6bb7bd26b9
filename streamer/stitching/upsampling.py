"""Mask logits and boxes of the network to pixels of a region, only where there are any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamer.frame import Region
from streamer.mask import CroppedMask, Mask

Upsampler = Callable[[Sequence[NDArray[np.float32]], Region, tuple[int, int]], list[Mask | None]]
"""Turns logits, each float32 [h, w], of a region of frames of a size into masks of these."""


def upsample_masks(
    logits: Sequence[NDArray[np.float32]], region: Region, size: tuple[int, int]
) -> list[Mask | None]:
    """`upsample_mask` of each."""
    return [upsample_mask(each, region, size) for each in logits]


def upsample_mask(
    logits: NDArray[np.float32], region: Region, size: tuple[int, int]
) -> CroppedMask | None:
    """The mask of a frame that low-resolution logits of one of its regions stand for.

    The same as bilinear interpolation (align_corners False, no antialiasing) to the region's size,
    then logit > 0 (probability > 0.5), but computed only around what is positive at low resolution:
    interpolation never exceeds its taps.

    Args:
        logits: float32 [h, w], over the region.
        region: Where in the frame, in pixels.
        size: (height, width) of the frame.

    Returns:
        The mask, or None if it has no pixel.

    Source: VisTR `inference.py` (post-processing); the taps are those of PyTorch's
    `upsample_bilinear2d`.
    """
    positive = logits > 0
    rows = _reached(np.logical_or.reduce(positive, axis=1), region.height)
    columns = _reached(np.logical_or.reduce(positive, axis=0), region.width)
    if rows is None or columns is None:
        return None
    above, below, down = (taps[rows] for taps in _taps(logits.shape[0], region.height))
    left, right, along = (taps[columns] for taps in _taps(logits.shape[1], region.width))
    lines = logits[above] * (1 - down[:, None]) + logits[below] * down[:, None]
    pixels = lines[:, left] * (1 - along) + lines[:, right] * along
    return CroppedMask.tighten(
        size, region.top + rows.start, region.left + columns.start, pixels > 0
    )


def fill_box(box: NDArray[np.float32], region: Region, size: tuple[int, int]) -> CroppedMask | None:
    """The pixels of a box, as a mask.

    Args:
        box: float32 [4], cxcywh in [0, 1] of the region; what lies outside is cut off.
        region: Where in the frame, in pixels.
        size: (height, width) of the frame.

    Returns:
        The mask, or None if it covers no pixel's centre.
    """
    x, y, width, height = (float(number) for number in box)
    top, bottom = (_pixels(y + side * height / 2, region.height) for side in (-1, 1))
    left, right = (_pixels(x + side * width / 2, region.width) for side in (-1, 1))
    if top >= bottom or left >= right:
        return None
    crop = np.ones((bottom - top, right - left), np.bool_)
    return CroppedMask(size, region.top + top, region.left + left, crop)


def _pixels(share: float, length: int) -> int:
    """The border between pixels that is nearest to a share of an axis."""
    return min(max(round(share * length), 0), length)


def _reached(positive: NDArray[np.bool_], length: int) -> slice | None:
    """Pixels of an axis that have a positive position among their two taps."""
    first, second, _ = _taps(len(positive), length)
    reached = np.flatnonzero(positive[first] | positive[second])
    return slice(int(reached[0]), int(reached[-1]) + 1) if len(reached) else None


@lru_cache(maxsize=8)  # two axes of a few epochs
def _taps(
    source: int, target: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Of every target position the two source positions and the weight of the second."""
    positions = (np.arange(target, dtype=np.float32) + 0.5) * np.float32(source / target) - 0.5
    positions = np.maximum(positions, 0)
    first = np.minimum(positions.astype(np.int64), source - 1)
    second = np.minimum(first + 1, source - 1)
    return first, second, (positions - first).astype(np.float32)
