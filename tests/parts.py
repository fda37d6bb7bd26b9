"""A library of clip parts that is drawn: shapes of plain colours over dark grounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.library import Library
from training.tracklets import Tracklet

COLOURS = {1: (230, 230, 230), 2: (230, 0, 0), 3: (0, 230, 0), 4: (0, 0, 230)}
"""Of each category: people are white."""

PERSON = np.zeros((60, 24), np.bool_)
"""The outline of a person: a head, a body with arms, and two legs, apart at the feet."""
PERSON[:12, 7:17] = True
PERSON[12:36] = True
PERSON[36:, 3:21] = True
PERSON[46:, 10:14] = False


def triangle(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """RGBA: the half of a rectangle below its diagonal; turned or mirrored it is another."""
    rows, columns = np.mgrid[:80, :100]
    inside = (rows / 80 > columns / 100)[..., None]
    return np.where(inside, np.uint8((*colour, 255)), np.uint8(0))


def rectangle(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """RGBA, opaque all over."""
    return np.full((60, 80, 4), (*colour, 255), np.uint8)


def walk(first: int, step: tuple[int, int]) -> Tracklet:
    """Twelve frames of a white rectangle that goes a step each frame."""
    times = np.arange(12)[:, None]
    corners = np.array([300, 200]) + times * np.array(step)
    boxes = np.hstack((corners, np.tile([30, 80], (12, 1))))
    cutout = np.full((80, 30, 4), 255, np.uint8)
    cutout[..., :3] = COLOURS[1]
    return Tracklet(first, boxes, (cutout,) * 12)


def drawn_library(*, whole: bool = False, ground: NDArray[np.uint8] | None = None) -> Library:
    """Triangles, or whole rectangles, over a ground that is dark unless another is given."""
    shape = rectangle if whole else triangle
    if ground is None:
        ground = np.random.default_rng(0).integers(0, 40, (600, 800, 3), dtype=np.uint8)
    return Library(
        scene=ground[:576, :768],
        people=(walk(0, (5, 0)), walk(30, (-4, 2))),
        sprites={category: (shape(COLOURS[category]),) for category in (2, 3, 4)},
        unseen=frozenset(),
        backgrounds=(ground, ground[:300]),
    )
