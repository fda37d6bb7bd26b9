"""What clips are composed of: people, sprites, backgrounds; apart for training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from streamer.errors import SourceError
from training.assets import Assets
from training.drawings import render
from training.tracklets import Tracklet, cut_tracklets, median_background

Split = Literal["train", "val"]

SCENE = range(550)
"""Frames of the video whose median is the scene without people; the rest is never looked at."""

PEOPLE = {"train": range(440), "val": range(450, 550)}
"""Frames that people are cut from."""

GROUPS = (
    *((24, 372), (159, 678), (299, 294), (310, 246)),
    *((330, 260), (342, 437), (457, 498), (480, 577)),
)
"""Tracklets that show several people who overlap: (first frame, x), seen on contact sheets."""

HELD_OUT_FROM = 3
"""From this many sprites on, a category keeps its first one by name for evaluation."""

HELD_OUT_BACKGROUND = 5
"""Every how many backgrounds one is kept for evaluation."""

PERSON = 1
"""Category id of people in YouTube-VIS."""


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """The parts of composed clips.

    Attributes:
        scene: The video's scene without people, uint8 [H, W, 3].
        people: Tracklets of people in it.
        sprites: RGBA pictures, uint8 [h, w, 4], by category id, colours weighted by opacity.
        unseen: Category ids whose sprites of this library no other split has.
        backgrounds: Other pictures, uint8 [H, W, 3].
    """

    scene: NDArray[np.uint8]
    people: tuple[Tracklet, ...]
    sprites: dict[int, tuple[NDArray[np.uint8], ...]]
    unseen: frozenset[int]
    backgrounds: tuple[NDArray[np.uint8], ...]


def load_library(assets: Assets, split: Split, *, drawings: bool = True) -> Library:
    """Load the parts for training or for evaluation.

    People come from different stretches of the video, backgrounds are different ones, and of
    categories with three sprites or more one is kept for evaluation; the other categories' sprites
    serve both. Drawings are for training alone; `drawings` false does without.

    Raises:
        SourceError: A part is missing or cannot be read.
    """
    scene = median_background(assets.video, SCENE)
    sprites, unseen = {}, set()
    for category_id, paths in assets.sprites().items():
        used = slice(None)
        if len(paths) >= HELD_OUT_FROM:
            unseen.add(category_id)
            used = slice(1, None) if split == "train" else slice(1)
        sprites[category_id] = tuple(_weighted(_picture(path, "RGBA")) for path in paths[used])
    for category_id, paths in assets.drawings().items() if drawings and split == "train" else ():
        drawn = tuple(_weighted(render(path)) for path in paths)
        sprites[category_id] = sprites.get(category_id, ()) + drawn
    backgrounds = [
        _picture(path, "RGB")
        for position, path in enumerate(assets.backgrounds())
        if (position % HELD_OUT_BACKGROUND == HELD_OUT_BACKGROUND - 1) == (split == "val")
    ]
    people = cut_tracklets(assets.video, PEOPLE[split], scene, GROUPS)
    if not people or not backgrounds:
        missing = "people in the video" if not people else "backgrounds"
        raise SourceError(f"{assets.video.parents[1]}: too few {missing} for the {split} split")
    return Library(scene, people, sprites, frozenset(unseen), tuple(backgrounds))


def _picture(path: Path, mode: Literal["RGB", "RGBA"]) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.array(image.convert(mode))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read as a picture: {error}") from error


def _weighted(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Or the colours of transparent pixels would show: the composer adds them as they are.
    picture[..., :3] = np.rint(picture[..., :3] * (picture[..., 3:] / 255))
    return picture
