"""The run lengths of a mask in COCO's compressed text, which is not trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamer.errors import WireError

RLE_DIGITS = 7
"""Most characters of one number in a COCO run length: 5 bits each, and lengths fit 32 bits."""

MAX_RLE_CHARACTERS = 2**22
"""Most characters of one mask, some 60 bytes each to read. A mask has one or two for each border in
each column: even in the widest frame (65,535 columns), 30 in every column have room."""


def run_lengths(counts: bytes) -> NDArray[np.int64]:
    """Run lengths of pycocotools' compressed counts, as int64 [n].

    Each number is written in groups of five bits, lowest first, one character a group (48 added);
    bit 5 says that more follow, bit 4 of the last group is the sign. From the fourth number on, the
    difference to the number two before is written.

    Source: `rleFrString` in cocodataset/cocoapi `common/maskApi.c`.

    Raises:
        WireError: A character or a number is out of range, or the text ends inside a number.
    """
    groups = np.frombuffer(counts, dtype=np.uint8) - np.uint8(48)  # what is below wraps around
    if not len(groups) or groups.max() > 63:
        raise WireError("run lengths are empty or hold characters outside of '0' to 'o'")
    last = np.flatnonzero(groups & 32 == 0)
    if not len(last) or last[-1] != len(groups) - 1:
        raise WireError("run lengths end inside a number")
    first = np.concatenate(([0], last[:-1] + 1))
    digits = last - first + 1
    if digits.max() > RLE_DIGITS:
        raise WireError(f"run lengths hold a number of more than {RLE_DIGITS} characters")
    # Four bytes each, as there is one for every character.
    places = np.arange(len(groups), dtype=np.int32) - np.repeat(first.astype(np.int32), digits)
    bits = (groups & 31).astype(np.int64)
    bits <<= 5 * places
    numbers = np.add.reduceat(bits, first)
    numbers -= np.where(groups[last] & 16, np.int64(1) << (5 * digits), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def check_length(length: int, size: tuple[int, int], position: int) -> None:
    """Refuse more characters than are read, or than a mask of `size` (height, width) can have.

    Without runs of no pixels there is one at most for each pixel, besides the first; a number takes
    a second character from a difference of 16 on, and all differences together are twice the pixels
    at most.

    Raises:
        WireError: There are more.
    """
    if length > min(MAX_RLE_CHARACTERS, 2 * (size[0] * size[1] + 1)):
        raise WireError(
            f"instance {position}: {length} characters of run lengths for {size[1]}x{size[0]}"
        )


def check_runs(runs: NDArray[np.int64], size: tuple[int, int], position: int) -> None:
    """Refuse run lengths that do not cover a frame of `size` (height, width) exactly.

    Raises:
        WireError: A run is negative, or their sum is not the number of pixels.
    """
    pixels = size[0] * size[1]
    if runs.min() < 0 or runs.max() > pixels or int(runs.sum()) != pixels:
        raise WireError(
            f"instance {position}: run lengths sum to {int(runs.sum())} (shortest "
            f"{int(runs.min())}), not to the {pixels} pixels of {size[1]}x{size[0]}"
        )
