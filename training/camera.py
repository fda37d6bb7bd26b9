"""The view of a composed clip: a part of its world, still or panning."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """Left upper corner [T, 2] and height [T] of the view, in pixels of the world, over time."""

    corners: NDArray[np.float64]
    heights: NDArray[np.float64]

    def seen(
        self, world: NDArray[np.uint8], size: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int_]]:
        """What it sees of the world over time, in its scale, and the corner (x, y) of that."""
        view = self.heights[0] * np.array([size[1] / size[0], 1])
        left, top = corner = np.floor(self.corners.min(axis=0)).astype(int)
        right, bottom = np.ceil(self.corners.max(axis=0) + view).astype(int) + 1
        return scaled(world[top:bottom, left:right], size[0] / self.heights[0]), corner


def scaled(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """A picture [H, W, C], averaged to `factor` times its size."""
    smaller = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return smaller.astype(np.uint8, copy=False)
