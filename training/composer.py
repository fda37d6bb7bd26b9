"""Labelled clips from nothing: people and sprites that move over backgrounds, with exact masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError
from training.actors import Actor, Shot, mover, walker, walker_in_place
from training.camera import Camera, scaled
from training.clip import Clip
from training.clutter import screen, shape
from training.disguise import disguised
from training.effects import Effects, recoloured
from training.library import Library

VISIBLE = 12
"""Pixels that an object shows in at least one frame, or it is no object of the clip."""

SCENE_HEIGHT = 576.0
"""Height that other backgrounds are scaled to, that of the scene, in pixels of the world."""


@dataclass(frozen=True)
class Composition:
    """What clips show.

    Attributes:
        objects: Fewest and most objects.
        people: Share of the clips with people only.
        sprites: Share of the clips with sprites only; what remains mixes them.
        scene: Share of the clips with people that play in the video's own scene.
        heights: Smallest and largest height of an object, in heights of the frame.
        still: Share of the clips whose camera does not move.
        pace: How fast everything moves: 1 for people as they walk in a video of 10 frames per
            second, or at most so.
        clutter: Most things that are no object: blobs and outlines without the looks of one.
        recolour: Share of the clips whose background has other colours than its picture.
        disguise: Share of the sprites that have other looks than their picture.
        variety: How much more often categories with more pictures are shown: 0 shows all as often,
            1 shows all pictures as often.
    """

    objects: tuple[int, int] = (1, 5)
    people: float = 0.4
    sprites: float = 0.4
    scene: float = 0.5
    heights: tuple[float, float] = (0.12, 0.65)
    still: float = 0.5
    pace: float = 1.0
    clutter: int = 0
    recolour: float = 0.0
    disguise: float = 0.0
    variety: float = 0.0

    def __post_init__(self) -> None:
        shares = ("people", "sprites", "scene", "still", "recolour", "disguise", "variety")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1")
        if self.people + self.sprites > 1 + 1e-9:
            raise ConfigError(f"people and sprites are {self.people} and {self.sprites}, over 1")
        if not 0 <= self.objects[0] <= self.objects[1]:
            raise ConfigError(f"objects are {self.objects}, expected fewest and most, from 0")
        if not 0 < self.heights[0] <= self.heights[1] < math.inf:
            raise ConfigError(f"heights are {self.heights}, expected lowest and highest, above 0")
        for name in ("pace", "clutter"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected 0 or more")


@dataclass(slots=True, eq=False)
class Composer:
    """Makes clips; the same random numbers give the same clip.

    Args:
        library: The parts.
        composition: What clips show.
    """

    library: Library
    composition: Composition
    _worlds: tuple[NDArray[np.uint8], ...] = field(init=False)
    _chances: NDArray[np.float64] | None = field(init=False)

    def __post_init__(self) -> None:
        counts = np.array([len(pictures) for pictures in self.library.sprites.values()])
        weights = counts**self.composition.variety
        # None where all are as likely: with weights, even equal ones, NumPy draws other numbers.
        self._chances = weights / weights.sum() if self.composition.variety else None
        self._worlds = tuple(
            scaled(picture, SCENE_HEIGHT / picture.shape[0]) for picture in self.library.backgrounds
        )

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        """One clip.

        Args:
            rng: Decides everything about it.
            times: The frames to show, ascending, of all that happen, from 0 on.
            size: (height, width) in pixels.
        """
        span = times[-1] + 1
        people, sprites = self.composition.people, self.composition.sprites
        kind = rng.choice(3, p=(people, sprites, max(0, 1 - people - sprites)))
        scene = kind != 1 and rng.random() < self.composition.scene
        world = self.library.scene if scene else self._worlds[rng.integers(len(self._worlds))]
        camera = self._camera(world.shape[:2], span, size, rng)
        shot = Shot(
            x=float(camera.corners[0, 0]),
            y=float(camera.corners[0, 1]),
            width=float(camera.heights[0]) * size[1] / size[0],
            height=float(camera.heights[0]),
            frames=span,
            pace=self.composition.pace,
        )
        low, high = self.composition.objects
        count = int(rng.integers(low, high + 1))
        actors = []
        for _ in range(count):
            person = kind == 0 or (kind == 2 and rng.random() < 0.5)
            actors.append(self._actor(person, scene, shot, rng))
        actors.sort(key=lambda actor: float(actor.feet[0, 1] + rng.normal(0, 0.1) * shot.height))
        if rng.random() < 0.3:
            actors.insert(int(rng.integers(len(actors) + 1)), screen(self._worlds, shot, rng))
        if self.composition.clutter:
            for _ in range(rng.integers(self.composition.clutter + 1)):
                thing = shape(self.library, self._worlds, shot, rng)
                actors.insert(int(rng.integers(len(actors) + 1)), thing)
        if self.composition.recolour and rng.random() < self.composition.recolour:
            world = recoloured(world, rng)
        return _render(world, camera, actors, (times, size), rng)

    def _actor(self, person: bool, scene: bool, shot: Shot, rng: np.random.Generator) -> Actor:
        low, high = self.composition.heights
        height = shot.height * float(np.exp(rng.uniform(np.log(low), np.log(high))))
        if not person:
            sprites = self.library.sprites
            category_id = int(rng.choice(list(sprites), p=self._chances))
            pictures = sprites[category_id]
            picture = pictures[rng.integers(len(pictures))]
            if self.composition.disguise and rng.random() < self.composition.disguise:
                picture = disguised(picture, rng)
            return mover((category_id, picture), height, shot, rng)
        tracklet = self.library.people[rng.integers(len(self.library.people))]
        if scene and rng.random() < 0.8:
            return walker_in_place(tracklet, shot, rng)
        return walker(tracklet, height, shot, rng)

    def _camera(
        self, world: tuple[int, ...], frames: int, size: tuple[int, int], rng: np.random.Generator
    ) -> Camera:
        """A view that stays inside the world, still or panning."""
        tallest = min(world[0], world[1] * size[0] / size[1])
        heights = np.full(frames, tallest * rng.uniform(0.5, 1.0))
        room = np.array([world[1] - heights[0] * size[1] / size[0], world[0] - heights[0]])
        start = rng.uniform(0, 1, 2)
        end = start
        if rng.random() >= self.composition.still:
            # Never faster than a tenth of the view in a second of ten frames.
            furthest = 0.01 * self.composition.pace * frames * heights[0] / np.maximum(room, 1)
            end = np.clip(start + rng.uniform(-1, 1, 2) * furthest, 0, 1)
        times = np.linspace(0, 1, frames)[:, None]
        return Camera(room * (start + (end - start) * times), heights)


def _render(
    world: NDArray[np.uint8],
    camera: Camera,
    actors: list[Actor],
    picture: tuple[Sequence[int], tuple[int, int]],
    rng: np.random.Generator,
) -> Clip:
    """Draw the actors, from back to front, into what the camera sees at some times."""
    times, size = picture
    effects = Effects.draw(rng)
    mirror = rng.random() < 0.5
    zoom = size[0] / camera.heights[0]
    seen, origin = camera.seen(world, size)
    frames = np.empty((len(times), *size, 3), np.uint8)
    masks = np.zeros((len(actors), len(frames), *size), np.bool_)
    for position, t in enumerate(times):
        corner = camera.corners[t]
        move = np.hstack((np.eye(2), -zoom * (corner - origin)[:, None]))
        shown = cv2.warpAffine(seen, move, size[::-1], borderMode=cv2.BORDER_REPLICATE)
        frame = shown.astype(np.uint8, copy=False)
        for layer, actor in enumerate(actors):
            _paste(frame, masks[: layer + 1, position], actor, t, (corner, zoom))
        if mirror:
            frame = np.ascontiguousarray(frame[:, ::-1])
        frames[position] = effects.apply(frame, rng)
    if mirror:
        masks = masks[..., ::-1]
    category_ids = np.array([actor.category_id for actor in actors], np.int64)
    kept = (masks.sum(axis=(2, 3)).max(axis=1, initial=0) >= VISIBLE) & (category_ids > 0)
    return Clip(frames, np.ascontiguousarray(masks[kept]), category_ids[kept])


def _paste(
    frame: NDArray[np.uint8],
    masks: NDArray[np.bool_],
    actor: Actor,
    t: int,
    view: tuple[NDArray[np.float64], float],
) -> None:
    """Draw an actor into a frame [H, W, 3]; its mask, the last of [n, H, W], hides the others."""
    corner, zoom = view
    picture = actor.pictures[actor.shown[t]]
    scale = actor.heights[t] * zoom / picture.shape[0]
    if scale < 0.7:  # an affine map does not average what it leaves out
        shape = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
        scale = actor.heights[t] * zoom / picture.shape[0]
    height, width = picture.shape[:2]
    middle = (actor.feet[t] - corner) * zoom - [0, height * scale / 2]
    reach = 0.5 * np.hypot(height, width) * scale + 2
    left, top = np.maximum(0, np.floor(middle - reach)).astype(int)
    right, bottom = np.minimum(frame.shape[1::-1], np.ceil(middle + reach)).astype(int)
    if left >= right or top >= bottom:
        return
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), actor.angles[t], scale)
    if actor.mirrored[t]:
        turn = turn @ np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]])
    turn[:, 2] += middle - [width / 2, height / 2] - [left, top]
    lit = picture * np.array([*actor.gains, 1 / 255], np.float32)
    drawn = cv2.warpAffine(lit, turn, (int(right - left), int(bottom - top)))
    under = frame[top:bottom, left:right]
    blended = under * (1 - drawn[..., 3:]) + drawn[..., :3]
    under[:] = np.clip(blended, 0, 255).astype(np.uint8)
    solid = drawn[..., 3] >= 0.5
    masks[:-1, top:bottom, left:right] &= ~solid
    masks[-1, top:bottom, left:right] = solid
