"""Masks that come as runs of pixels, as a device gives them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamer.mask import Mask, Rle, rle_of_borders


class RunMask(Mask):
    """A mask whose crop is drawn when somebody asks for it: run lengths alone do without.

    Args:
        size: (height, width) of the frame.
        borders: int64 [2 r], ascending: where the r runs begin and where they are over, r ≥ 1, in
            pixels of the frame, which are counted down its columns.
    """

    __slots__ = ("_borders", "_drawn")

    def __init__(self, size: tuple[int, int], borders: NDArray[np.int64]) -> None:
        (first, first_row), (last, last_row) = (
            np.divmod(places, size[0]) for places in (borders[::2], borders[1::2] - 1)
        )
        left, right = int(first[0]), int(last[-1])
        if (first == last).all():
            top, bottom = int(first_row.min()), int(last_row.max())
        else:  # one goes on in the next column: from the last row to the first
            top, bottom = 0, size[0] - 1
        super().__init__(size, top, left, (bottom - top + 1, right - left + 1))
        self._borders = borders
        self._drawn: NDArray[np.bool_] | None = None

    @property
    def crop(self) -> NDArray[np.bool_]:
        """As `Mask`'s; drawn once, unless two threads ask at the same time."""
        if self._drawn is None:
            height, (rows, columns) = self.size[0], self._crop_size
            changes = np.zeros(columns * height + 1, np.uint8)
            changes[self._borders - self.left * height] = 1
            # Odd between the borders of a run; what overflows stays odd or even.
            inside = np.cumsum(changes[:-1], dtype=np.uint8) & 1
            lines = inside.view(np.bool_).reshape(columns, height)
            self._drawn = np.ascontiguousarray(lines[:, self.top : self.top + rows].T)
        return self._drawn

    @property
    def area(self) -> int:
        """Pixels set."""
        return int((self._borders[1::2] - self._borders[::2]).sum())

    def _encode(self) -> Rle:
        return rle_of_borders(self.size, self._borders)
