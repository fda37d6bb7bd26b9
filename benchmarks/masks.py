"""Reads the masks of an entry, in any of COCO's three notations, and refuses broken ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from streamer.errors import WireError
from streamer.mask import Rle
from streamer.wire.run_lengths import run_lengths

NUMBER_ENDS = bytes(range(ord("0"), ord("O") + 1))
"""The characters of compressed counts that end a number."""

NUMBER_GOES_ON = bytes(range(ord("P"), ord("o") + 1))
"""The characters of compressed counts after which a number goes on."""

NUMBER_DIGITS = NUMBER_ENDS + NUMBER_GOES_ON

POLYGON_REACH = 2
"""How many frame sides a polygon's corner may lie off; pycocotools allocates by their distance."""


def read_masks(
    segmentations: Sequence[Any], size: tuple[int, int]
) -> tuple[tuple[Rle | None, ...], NDArray[np.int64]]:
    """The masks of an entry as compressed RLE that covers the frame, and their set pixels.

    Args:
        segmentations: For each frame compressed or uncompressed RLE, a list of polygons, or None.
        size: (height, width) of the video in pixels.

    Returns:
        A mask for each frame, None where there is none; and their areas in pixels, int64 [frames].

    Raises:
        ValueError: A mask is malformed or of another size; the message has its frame.
    """
    masks: list[Rle | None] = []
    for frame, segmentation in enumerate(segmentations):
        try:
            masks.append(None if segmentation in (None, []) else _read_mask(segmentation, size))
        except ValueError as error:
            raise ValueError(f"segmentations[{frame}]: {error}") from error
    areas = np.zeros(len(masks), dtype=np.int64)
    given = {frame: mask for frame, mask in enumerate(masks) if mask is not None}
    if not given:
        return tuple(masks), areas
    try:
        runs = _Runs.decode([mask["counts"] for mask in given.values()])
    except WireError as error:
        raise ValueError(f"segmentations: {error}") from error
    frames = np.array(list(given))
    covers, pixels = runs.covers(), size[0] * size[1]
    wrong = np.flatnonzero(covers != pixels)
    if wrong.size:
        frame, cover = frames[wrong[0]], covers[wrong[0]]
        covered = f"cover {cover} pixels" if cover >= 0 else "hold a negative run"
        raise ValueError(f"segmentations[{frame}]: counts {covered}, the frame has {pixels}")
    areas[frames] = runs.areas()
    for frame in frames[runs.broken_up()].tolist():
        # pycocotools stops early where two masks have a run of 0 pixels at the same place.
        masks[frame] = cast("Rle", coco_mask.encode(coco_mask.decode(cast("Any", given[frame]))))
    return tuple(masks), areas


def _read_mask(segmentation: Any, size: tuple[int, int]) -> Rle:
    if isinstance(segmentation, list):
        return _from_polygons(segmentation, size)
    if not isinstance(segmentation, dict):
        raise ValueError(f"{segmentation!r:.60} is neither RLE nor a list of polygons")
    if segmentation.get("size") != list(size):
        raise ValueError(f"size {segmentation.get('size')!r:.60}, the video has {list(size)}")
    counts = segmentation.get("counts")
    if isinstance(counts, list):
        return _from_lengths(counts, size)
    if not isinstance(counts, str) or not counts.isascii():
        raise ValueError(f"counts {counts!r:.60}, expected run lengths")
    text = counts.encode("ascii")
    if not text or text[-1] not in NUMBER_ENDS or text.translate(None, NUMBER_DIGITS):
        raise ValueError(f"counts {counts!r:.60} are cut off, or no run lengths")
    return Rle(size=list(size), counts=text)


def _from_lengths(lengths: list[Any], size: tuple[int, int]) -> Rle:
    pixels = size[0] * size[1]
    for length in lengths:
        if type(length) is not int or not 0 <= length <= pixels:
            raise ValueError(f"counts hold {length!r:.60}, expected whole numbers to {pixels}")
    if not lengths:
        raise ValueError("counts are empty")
    uncompressed = cast("Any", {"size": list(size), "counts": lengths})
    return cast("Rle", coco_mask.frPyObjects(uncompressed, *size))


def _from_polygons(polygons: list[Any], size: tuple[int, int]) -> Rle:
    """The union of polygons, each [x, y, x, y, …] in pixels with three corners or more."""
    reach = POLYGON_REACH * max(size)
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"polygon {polygon!r:.60}, expected x, y of three corners or more")
        for value in polygon:
            if type(value) not in (int, float) or not abs(value) <= reach:  # NaN is refused too
                raise ValueError(f"polygon with {value!r:.60}, allowed are -{reach} to {reach}")
    return cast("Rle", coco_mask.merge(coco_mask.frPyObjects(polygons, *size)))


@dataclass(frozen=True, slots=True)
class _Runs:
    """The run lengths of several masks one after another.

    Attributes:
        lengths: Pixels of each run, int64 [runs].
        positions: Of each run in its mask, int64 [runs]; odd ones are set pixels.
        starts: Where each mask begins, int64 [masks].
    """

    lengths: NDArray[np.int64]
    positions: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def decode(cls, counts: Sequence[bytes]) -> _Runs:
        """Decode compressed counts, each of whole numbers.

        All masks of a tube go in one call: alone they are too short for NumPy to be quick.
        """
        # `run_lengths` adds to each number the one two before it, from the fourth on. Over several
        # masks those sums run on, so what they were before a mask is taken off again; with three
        # zeros in front, every mask has numbers before it.
        sums = run_lengths(b"000" + b"".join(counts))
        sizes = np.array([len(text.translate(None, NUMBER_GOES_ON)) for text in counts])
        starts = np.cumsum(sizes) - sizes
        positions = np.arange(sizes.sum()) - np.repeat(starts, sizes)
        before = np.repeat(sums[starts + 2], sizes)
        even = positions % 2 == 0
        before[even] = np.repeat(sums[starts + 3], sizes)[even]
        before[starts] = sums[starts + 1]
        return cls(sums[3:] - before, positions, starts)

    def covers(self) -> NDArray[np.int64]:
        """Pixels that each mask's runs cover, -1 where one is negative; int64 [masks]."""
        shortest = np.minimum.reduceat(self.lengths, self.starts)
        return np.where(shortest < 0, -1, np.add.reduceat(self.lengths, self.starts))

    def areas(self) -> NDArray[np.int64]:
        """Set pixels of each mask, int64 [masks]."""
        return np.add.reduceat(np.where(self.positions % 2, self.lengths, 0), self.starts)

    def broken_up(self) -> NDArray[np.bool_]:
        """Whether a mask has a run of 0 pixels after its first one, bool [masks]."""
        empty = (self.lengths == 0) & (self.positions > 0)
        return np.logical_or.reduceat(empty, self.starts)
