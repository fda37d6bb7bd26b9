"""What is no object in a composed clip: posts that hide others, and shapes of anything."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.actors import Actor, Shot, mover
from training.library import Library

Picture = NDArray[np.uint8]

NO_OBJECT = 0
"""Category id of what only hides others."""

SIDE = 64
"""Height in pixels of the pictures of shapes."""

HEIGHTS = (0.02, 0.4)
"""Smallest and largest height of a shape, in heights of the view."""


def screen(worlds: tuple[Picture, ...], shot: Shot, rng: np.random.Generator) -> Actor:
    """A still patch of some background that hides what is behind it: a post, a wall.

    Args:
        worlds: The backgrounds, uint8 [H, W, 3].
        shot: What is filmed.
        rng: Chooses the rest.
    """
    source = worlds[rng.integers(len(worlds))]
    height, width = source.shape[:2]
    patch_width = int(rng.uniform(0.03, 0.15) * height)
    x = int(rng.integers(width - patch_width))
    patch = np.ascontiguousarray(source[:, x : x + patch_width])
    opaque = np.full((*patch.shape[:2], 1), 255, np.uint8)
    still = mover((NO_OBJECT, np.dstack((patch, opaque))), 1.0, shot, rng)
    tall = shot.height * rng.uniform(0.3, 1.2)
    return replace(
        still,
        feet=np.repeat(still.feet[:1] + np.array([0, tall / 2]), shot.frames, axis=0),
        heights=np.full(shot.frames, tall),
        angles=np.zeros(shot.frames),
        mirrored=np.repeat(still.mirrored[:1], shot.frames),
    )


def shape(
    library: Library, worlds: tuple[Picture, ...], shot: Shot, rng: np.random.Generator
) -> Actor:
    """A blob, or the outline of an object, filled with a colour or a piece of a background.

    With it an object is told by what it looks like, not by being pasted in.

    Args:
        library: Has the outlines.
        worlds: The backgrounds, uint8 [H, W, 3].
        shot: What is filmed.
        rng: Chooses the rest.
    """
    opacity = _blob(rng) if rng.random() < 0.6 else _outline(library, rng)
    filling = _filling(opacity.shape[:2], worlds[rng.integers(len(worlds))], rng)
    weighted = np.rint(filling * (opacity[..., None] / 255)).astype(np.uint8)
    low, high = np.log(HEIGHTS)
    height = shot.height * float(np.exp(rng.uniform(low, high)))
    return mover((NO_OBJECT, np.dstack((weighted, opacity))), height, shot, rng)


def _blob(rng: np.random.Generator) -> Picture:
    """Opacity [h, w] of something without a name."""
    width = int(SIDE * rng.uniform(0.4, 2))
    coarse = rng.normal(0, 1, (rng.integers(2, 6), rng.integers(2, 6))).astype(np.float32)
    hills = cv2.resize(coarse, (width, SIDE), interpolation=cv2.INTER_CUBIC)
    y, x = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, width), indexing="ij")
    inside = (1 - x**2 - y**2) * 3 + hills > rng.uniform(0.5, 2)
    return (inside * 255).astype(np.uint8)


def _outline(library: Library, rng: np.random.Generator) -> Picture:
    """Opacity [h, w] of a person or a sprite."""
    if library.sprites and rng.random() < 0.5:
        pictures: tuple[Picture, ...] = library.sprites[int(rng.choice(list(library.sprites)))]
    else:
        pictures = library.people[rng.integers(len(library.people))].cutouts
    opacity = np.ascontiguousarray(pictures[rng.integers(len(pictures))][..., 3])
    width = max(1, round(SIDE * opacity.shape[1] / opacity.shape[0]))
    return cv2.resize(opacity, (width, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _filling(size: tuple[int, int], world: Picture, rng: np.random.Generator) -> Picture:
    """A picture uint8 [h, w, 3] of one colour or of a part of a background."""
    if rng.random() < 0.4:
        grey, colour = rng.uniform(0, 255), rng.normal(0, 40, 3)
        plain = np.full((*size, 3), grey + colour) + rng.normal(0, 6, (*size, 1))
        return plain.clip(0, 255).astype(np.uint8)
    room = min(world.shape[0] / size[0], world.shape[1] / size[1])
    height, width = (int(side * room * rng.uniform(0.1, 0.6)) + 1 for side in size)
    top = int(rng.integers(world.shape[0] - height + 1))
    left = int(rng.integers(world.shape[1] - width + 1))
    part = world[top : top + height, left : left + width]
    scaled = cv2.resize(part, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return scaled.astype(np.uint8, copy=False)
