"""The mask of one object in one frame; `streamer.mask` has one that is held otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


class Rle(TypedDict):
    """A mask in pycocotools' compressed run-length encoding."""

    size: list[int]
    counts: bytes


def rle_of_borders(size: tuple[int, int], borders: NDArray[np.int64]) -> Rle:
    """The RLE of the runs between borders, which are counted down the columns of a frame."""
    height, width = size
    counts = np.diff(borders, prepend=0, append=height * width)
    whole = counts[:-1] if counts[-1] == 0 else counts
    runs = cast("Any", {"size": size, "counts": whole.tolist()})
    return cast("Rle", coco_mask.frPyObjects(runs, height, width))


def rle_as_json(rle: Rle) -> dict[str, Any]:
    """The same as JSON has it: the counts as text."""
    return {"size": rle["size"], "counts": rle["counts"].decode("ascii")}


class Mask(ABC):
    """A boolean mask of a whole frame, as its tight crop; never empty.

    Args:
        size: (height, width) of the frame.
        top: First row of the crop in the frame.
        left: First column of the crop in the frame.
        crop_size: (height, width) of the crop.
    """

    __slots__ = ("_crop_size", "_rle", "left", "size", "top")

    def __init__(
        self, size: tuple[int, int], top: int, left: int, crop_size: tuple[int, int]
    ) -> None:
        self.size = size
        self.top = top
        self.left = left
        self._crop_size = crop_size
        self._rle: Rle | None = None

    @property
    @abstractmethod
    def crop(self) -> NDArray[np.bool_]:
        """The crop, bool [h, w], with at least one pixel set in each border row and column."""

    @property
    @abstractmethod
    def area(self) -> int:
        """Pixels set."""

    @abstractmethod
    def _encode(self) -> Rle:
        """The mask as RLE."""

    @property
    def bbox_xywh(self) -> tuple[int, int, int, int]:
        """Tight box in pixels: left, top, width, height."""
        height, width = self._crop_size
        return self.left, self.top, width, height

    def array(self) -> NDArray[np.bool_]:
        """The mask as bool [H, W]."""
        mask = np.zeros(self.size, dtype=np.bool_)
        height, width = self._crop_size
        mask[self.top : self.top + height, self.left : self.left + width] = self.crop
        return mask

    def rle(self) -> Rle:
        """The mask as pycocotools' RLE of the whole frame; computed once."""
        if self._rle is None:
            self._rle = self._encode()
        return self._rle

    def shifted(self, rows: int, columns: int) -> CroppedMask | None:
        """The mask moved by whole pixels and cut at the frame's border, or None if it left."""
        top, left = self.top + rows, self.left + columns
        height, width = self._crop_size
        crop = self.crop[
            max(0, -top) : max(0, min(height, self.size[0] - top)),
            max(0, -left) : max(0, min(width, self.size[1] - left)),
        ]
        return CroppedMask.tighten(self.size, max(0, top), max(0, left), crop)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}(size={self.size}, bbox_xywh={self.bbox_xywh}, area={self.area})"


class CroppedMask(Mask):
    """A mask that is held as its crop.

    Args:
        size: (height, width) of the frame.
        top: First row of the crop in the frame.
        left: First column of the crop in the frame.
        crop: bool [h, w], with at least one pixel set in each border row and column.
    """

    __slots__ = ("crop",)
    crop: NDArray[np.bool_]

    def __init__(self, size: tuple[int, int], top: int, left: int, crop: NDArray[np.bool_]) -> None:
        super().__init__(size, top, left, (crop.shape[0], crop.shape[1]))
        self.crop = crop

    @staticmethod
    def tighten(
        size: tuple[int, int], top: int, left: int, crop: NDArray[np.bool_]
    ) -> CroppedMask | None:
        """The mask whose pixels are `crop` at (top, left) of a frame, or None if it has none."""
        rows = np.flatnonzero(crop.any(axis=1))
        if not len(rows):
            return None
        columns = np.flatnonzero(crop.any(axis=0))
        tight = crop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        # A copy, so that the whole array need not live as long as its crop does.
        return CroppedMask(size, top + int(rows[0]), left + int(columns[0]), tight.copy())

    @staticmethod
    def from_array(mask: NDArray[np.bool_]) -> CroppedMask | None:
        """The crop of a bool [H, W] mask, or None if it is empty."""
        return CroppedMask.tighten((mask.shape[0], mask.shape[1]), 0, 0, mask)

    @property
    def area(self) -> int:
        """Pixels set."""
        return int(np.count_nonzero(self.crop))

    def _encode(self) -> Rle:
        # Runs go down columns. Those of other columns are empty, and need not be looked at.
        height = self.size[0]
        rows, columns = self.crop.shape
        lines = np.zeros((columns, height), dtype=np.bool_)
        lines[:, self.top : self.top + rows] = self.crop.T
        changes = np.flatnonzero(np.diff(lines.ravel(), prepend=False, append=False))
        return rle_of_borders(self.size, changes + self.left * height)


def label_map(size: tuple[int, int], segments: Iterable[Mask]) -> NDArray[np.uint16]:
    """uint16 [H, W]: 0, or 1 + the position in `segments`; later ones lie on top."""
    labels = np.zeros(size, dtype=np.uint16)
    for position, segment in enumerate(segments):
        height, width = segment.crop.shape
        view = labels[segment.top : segment.top + height, segment.left : segment.left + width]
        view[segment.crop] = position + 1
    return labels


class RunLengthMask(Mask):
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
