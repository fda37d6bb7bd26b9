"""Who moves through a composed clip, where, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.tracklets import Tracklet

Float = NDArray[np.float64]

BEYOND = 0.25
"""How far outside the view, in view heights, a path turns round."""


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A picture, or several in turn, that moves.

    Attributes:
        category_id: From 1 on; 0 for what only hides others.
        pictures: RGBA, uint8 [h, w, 4], colours weighted by opacity.
        shown: int64 [T], which picture each frame shows.
        feet: float64 [T, 2], x of the middle and y of the lower edge, in pixels of the world.
        heights: float64 [T], in pixels of the world.
        angles: float64 [T], degrees counter-clockwise.
        mirrored: bool [T], whether the picture is flipped left to right.
        gains: float64 [3], factors of red, green and blue.
    """

    category_id: int
    pictures: Sequence[NDArray[np.uint8]]
    shown: NDArray[np.int64]
    feet: Float
    heights: Float
    angles: Float
    mirrored: NDArray[np.bool_]
    gains: Float


@dataclass(frozen=True, slots=True)
class Shot:
    """What is filmed: a part of the world, for some time.

    Attributes:
        x: Left edge of the first frame's view, in pixels of the world.
        y: Its upper edge.
        width: Its width.
        height: Its height.
        frames: Frames T.
        pace: How fast everything moves: 1 for people as they walk in a video of 10 frames per
            second, or at most so.
    """

    x: float
    y: float
    width: float
    height: float
    frames: int
    pace: float = 1.0


def walker_in_place(tracklet: Tracklet, shot: Shot, rng: np.random.Generator) -> Actor:
    """A person on the way that they really went, there and back; the world is the video's scene.

    Args:
        tracklet: The person.
        shot: What is filmed.
        rng: Chooses where on the way the clip begins, how fast they walk, and the colours.
    """
    moment, _ = _walk(tracklet, shot, rng)
    near = moment.astype(np.int64)
    boxes = tracklet.boxes.astype(np.float64)
    feet = np.stack((boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3]), axis=1)
    known = np.arange(len(tracklet))
    return Actor(
        category_id=1,
        pictures=tracklet.cutouts,
        shown=near,
        # Between two frames of the video: a slow clip would stand still and jump otherwise.
        feet=np.stack([np.interp(moment, known, feet[:, axis]) for axis in (0, 1)], axis=1),
        heights=boxes[near, 3],
        angles=np.zeros(shot.frames),
        mirrored=np.zeros(shot.frames, np.bool_),
        gains=_gains(rng),
    )


def walker(tracklet: Tracklet, height: float, shot: Shot, rng: np.random.Generator) -> Actor:
    """A person anywhere in the view, walking on as they did in the video.

    Args:
        tracklet: The person.
        height: Their height in pixels of the world.
        shot: What is filmed.
        rng: Chooses the rest.
    """
    moment, rate = _walk(tracklet, shot, rng)
    boxes = tracklet.boxes.astype(np.float64)
    # Heights per frame that the person walks.
    step = (boxes[-1] - boxes[0])[:2] / (len(boxes) - 1) / boxes[:, 3].mean()
    feet, turned = _path(step * height * rate, shot, rng)
    growth = np.exp(rng.normal(0, 0.004) * np.arange(shot.frames).clip(max=60))
    return Actor(
        category_id=1,
        pictures=tracklet.cutouts,
        shown=moment.astype(np.int64),
        feet=feet + np.array([0, height / 2]),
        heights=height * growth,
        angles=np.full(shot.frames, rng.normal(0, 3)),
        mirrored=turned,
        gains=_gains(rng),
    )


def mover(
    sprite: tuple[int, NDArray[np.uint8]], height: float, shot: Shot, rng: np.random.Generator
) -> Actor:
    """A picture that moves, sways and grows or shrinks.

    Args:
        sprite: Category id, and picture: RGBA, uint8 [h, w, 4].
        height: Of the picture in pixels of the world.
        shot: What is filmed.
        rng: Chooses the rest.
    """
    times = shot.pace * np.arange(shot.frames)
    speed = shot.pace * shot.height * np.exp(rng.uniform(np.log(0.001), np.log(0.03)))
    direction = rng.uniform(0, 2 * np.pi)
    feet, turned = _path(speed * np.array([np.cos(direction), np.sin(direction)]), shot, rng)
    sway = np.sin(rng.uniform(0.05, 0.4) * times + rng.uniform(0, 2 * np.pi))
    breath = np.sin(rng.uniform(0.02, 0.2) * times + rng.uniform(0, 2 * np.pi))
    return Actor(
        category_id=sprite[0],
        pictures=(sprite[1],),
        shown=np.zeros(shot.frames, np.int64),
        feet=feet + np.array([0, height / 2]),
        heights=height * np.exp(rng.uniform(0, 0.2) * breath),
        angles=rng.normal(0, 10) + rng.uniform(0, 10) * sway,
        mirrored=turned ^ (rng.random() < 0.5),
        gains=_gains(rng),
    )


def _path(step: Float, shot: Shot, rng: np.random.Generator) -> tuple[Float, NDArray[np.bool_]]:
    """Places [T, 2] that pass through the view and turn round outside; whether x runs backwards."""
    margin = BEYOND * shot.height
    lowest = np.array([shot.x, shot.y]) - margin
    extent = np.array([shot.width, shot.height])
    inside = margin + extent * rng.uniform(0.05, 0.95, 2)
    straight = inside + step * (np.arange(shot.frames)[:, None] - rng.uniform(0, shot.frames))
    phase = straight / (extent + 2 * margin) % 2
    folded = np.where(phase > 1, 2 - phase, phase)
    return lowest + folded * (extent + 2 * margin), phase[:, 0] > 1


def _walk(tracklet: Tracklet, shot: Shot, rng: np.random.Generator) -> tuple[Float, float]:
    """Frames [T] of a tracklet that a clip shows, and how many of them in a frame of the clip."""
    rate = shot.pace * rng.uniform(0.3, 1.2)
    start = rng.uniform(0, 2 * len(tracklet))
    return _there_and_back(start + rate * np.arange(shot.frames), tracklet), rate


def _there_and_back(moment: NDArray[np.floating], tracklet: Tracklet) -> Float:
    """Frames [T] of a tracklet that is played forwards and backwards in turn."""
    last = len(tracklet) - 1
    phase = moment % (2 * last)
    return np.asarray(np.where(phase > last, 2 * last - phase, phase), np.float64)


def _gains(rng: np.random.Generator) -> Float:
    return np.asarray(np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.1, 3)), np.float64)
