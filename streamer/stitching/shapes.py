"""The masks of a window as shapes: where they are, how large, and how they lie on each other.

The constant: chosen on the 21 labelled frames of the shipped clip (``tests/real_clip``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.window import Prediction

DUPLICATE_IOU = 0.5
"""Mask IoU in a frame from which a slot shows what a better one shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Masks of T frames and n slots.

    Where `areas` is 0 the box, centre and side are the whole picture's and mean nothing.

    Attributes:
        times: int64 [T], of the frames, counted in steps between them: more than 1 where some were
            dropped.
        pixels: float32 [T, n, h, w], 1 inside.
        areas: float32 [T, n].
        starts: int64 [T, n, 2], the first column and row of the tight box.
        ends: int64 [T, n, 2], those behind its last.
        centres: float64 [T, n, 2], x and y of its middle.
        sides: int64 [T, n], its longer side.
        colours: float32 [T, n, F], as `Prediction` has them.
    """

    times: NDArray[np.int64]
    pixels: NDArray[np.float32]
    areas: NDArray[np.float32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    centres: NDArray[np.float64]
    sides: NDArray[np.int64]
    colours: NDArray[np.float32]

    @classmethod
    def of(cls, prediction: Prediction, indices: Sequence[int]) -> Shapes:
        """Of a window's slots, in frames with such indices."""
        masks = prediction.masks > 0
        masks[~prediction.presence] = False
        steps = np.diff(indices)
        times = np.append(0, steps.cumsum() // (steps.min() if len(steps) else 1))
        pixels = masks.astype(np.float32)
        rows = pixels.sum(axis=-1)
        covered = np.any(masks, axis=2), rows > 0  # the columns, and the rows
        starts = np.stack([each.argmax(-1) for each in covered], axis=-1)
        ends = np.stack([each.shape[-1] - each[..., ::-1].argmax(-1) for each in covered], axis=-1)
        boxes = starts, ends, (starts + ends) / 2, (ends - starts).max(-1)
        return cls(times, pixels, rows.sum(axis=-1), *boxes, prediction.colours)

    def overlap(
        self,
        times: NDArray[np.int64],
        owners: NDArray[np.int64],
        steps: NDArray[np.float64],
        frame: int,
    ) -> NDArray[np.float32]:
        """IoU of `owners`' masks at `times`, moved on by `steps`, with those of a frame's slots.

        Args:
            times: [objects].
            owners: Slots [objects].
            steps: [objects, 2], x and y in pixels.
            frame: Whose slots.

        Returns:
            [objects, n].
        """
        slots, *size = self.pixels.shape[1:]
        shared = np.zeros((len(owners), slots), np.float32)
        whole = np.rint(steps).astype(int)
        # Moved on, and cut at the picture's border.
        starts = np.maximum(self.starts[times, owners] + whole, 0)
        ends = np.minimum(self.ends[times, owners] + whole, size[::-1])
        numbers = (each.tolist() for each in (times, owners, starts, ends, whole))
        for row, (time, owner, (left, top), (right, bottom), (x, y)) in enumerate(
            zip(*numbers, strict=True)
        ):
            if left < right and top < bottom:
                mask = self.pixels[time, owner, top - y : bottom - y, left - x : right - x]
                around = self.pixels[frame, :, top:bottom, left:right]
                shared[row] = around.reshape(slots, -1) @ mask.reshape(-1)
        areas = self.areas[times, owners][:, None] + self.areas[frame]
        overlap: NDArray[np.float32] = shared / np.maximum(areas - shared, 1)
        return overlap

    def repeated(self) -> NDArray[np.bool_]:
        """Where a slot shows what a better one shows, [T, n]."""
        frames, slots, height, width = self.pixels.shape
        rows = self.pixels.reshape(frames, slots, height * width)
        shared = rows @ rows.transpose(0, 2, 1)
        areas = self.areas
        union = np.maximum(areas[:, :, None] + areas[:, None] - shared, 1)
        alike = shared >= DUPLICATE_IOU * union
        repeated = np.zeros(areas.shape, np.bool_)
        for slot in range(1, areas.shape[1]):
            repeated[:, slot] = (alike[:, slot, :slot] & ~repeated[:, :slot]).any(axis=1)
        return repeated
