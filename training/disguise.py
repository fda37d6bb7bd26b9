"""Other looks for pictures of objects: what a kind of thing has in common is its build."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

GRID = 4
"""Points on a side of the grid whose shifts bend a picture."""

BEND = 0.05
"""Standard deviation of these shifts, in widths and heights of the picture."""

SIDE = 128
"""Most pixels of the result's height: half of the sprites', which OpenCV gets in no time."""

DARKEST = 0.35
"""Of the factors of a picture's light: what is darker could be anything with that outline."""


def disguised(picture: Picture, rng: np.random.Generator) -> Picture:
    """A picture of an object in other colours and proportions, bent a little.

    With one or two pictures of each category a network learns these by heart: a cat is orange then,
    and whatever is black is an ape.

    Args:
        picture: RGBA, uint8 [h, w, 4], colours weighted by opacity.
        rng: Chooses the looks.

    Returns:
        The same, of another size, at most `SIDE` high.
    """
    if picture.shape[0] > SIDE:
        width = round(picture.shape[1] * SIDE / picture.shape[0])
        smaller = cv2.resize(picture, (width, SIDE), interpolation=cv2.INTER_AREA)
        picture = smaller.astype(np.uint8, copy=False)
    colours = _tinted(picture[..., :3], rng) if rng.random() < 0.8 else picture[..., :3]
    # Never more than their opacity: a weighted colour beyond it would glow.
    shown = np.dstack((np.minimum(colours, picture[..., 3:]), picture[..., 3]))
    return _bent(shown, rng)


def _tinted(colours: Picture, rng: np.random.Generator) -> Picture:
    hsv = cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_RGB2HSV_FULL)
    hue = np.arange(256) + (rng.integers(256) if rng.random() < 0.6 else rng.normal(0, 10))
    levels = np.arange(256)
    saturation = levels * rng.uniform(0, 1.3)
    value = 255 * (levels / 255) ** np.exp(rng.normal(0, 0.3)) * rng.uniform(DARKEST, 1.2)
    # Hues go round, the others end.
    table = np.stack((hue % 256, saturation.clip(0, 255), value.clip(0, 255)), axis=-1)
    shifted = cv2.LUT(hsv, table.astype(np.uint8)[None])
    return cv2.cvtColor(shifted, cv2.COLOR_HSV2RGB_FULL).astype(np.uint8, copy=False)


def _bent(picture: Picture, rng: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    stretched = max(8, round(width * np.exp(rng.normal(0, 0.2))))
    shifts = rng.normal(0, BEND, (2, GRID, GRID)).astype(np.float32)
    # What is at the rim stays inside.
    shifts[:, [0, -1]] = shifts[:, :, [0, -1]] = 0
    across, down = (
        cv2.resize(shift, (stretched, height), interpolation=cv2.INTER_CUBIC) for shift in shifts
    )
    x = np.linspace(0, width - 1, stretched, dtype=np.float32) + across * width
    y = np.linspace(0, height - 1, height, dtype=np.float32)[:, None] + down * height
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR).astype(np.uint8, copy=False)
