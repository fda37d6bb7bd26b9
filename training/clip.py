"""A labelled clip: what every source of training data gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Frames and the objects in them.

    Attributes:
        frames: uint8 [T, H, W, 3], RGB.
        masks: bool [N, T, H, W], the visible pixels of each object in each frame. A composed clip
            lists its objects from back to front.
        category_ids: int64 [N], from 1 on.

    Raises:
        ValueError: The three do not fit each other.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    category_ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or self.frames.shape[3] != 3:
            raise ValueError(
                f"frames are {self.frames.dtype} {self.frames.shape}, expected uint8 [T, H, W, 3]"
            )
        if self.masks.dtype != np.bool_ or self.masks.shape[1:] != self.frames.shape[:3]:
            raise ValueError(
                f"masks are {self.masks.dtype} {self.masks.shape}, expected bool "
                f"[N, {', '.join(map(str, self.frames.shape[:3]))}]"
            )
        if self.category_ids.shape != self.masks.shape[:1] or (self.category_ids < 1).any():
            raise ValueError(
                f"category_ids are {self.category_ids.tolist()}, expected {len(self.masks)} from 1"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the frames in pixels."""
        return self.frames.shape[1], self.frames.shape[2]
