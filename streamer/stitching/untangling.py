"""Slots that change their object within a window, put right before identities are given.

A slot is one object, so its mask moves by little from frame to frame. Weak weights and crowds break
that: a slot jumps to another object, which the slot of that one may have left, or two show the same
one for a while. Here objects are followed from one frame to the next by their masks, moved on as
they moved before, whichever slots show them: who walks past another comes out on the other side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamer.window import Prediction

GOES_ON = 0.2
"""IoU from which a mask may go on with an object, whose last mask is moved on to that frame."""

ON_COURSE = 0.5
"""Most that is added for being where the object is expected."""

COURSE_SIGMA = 0.5
"""Standard deviation of an object's centre from the expected one, in longer sides of its box."""

OFF_COURSE = 0.3
"""Density, 1 at the expected centre, under which a mask's place says nothing for it."""

HISTORY = 16
"""Last sightings of an object that tell how it moves: where it meets others, masks and with them
centres go astray for several frames."""

SAME_SLOT = 0.01
"""Added where the slot showed the object last, within `REACH`, while little is known of how that
moves: enough for what is too fast to overlap with itself. Later it is nothing, as weak slots
change their object where objects meet."""

REACH = 2.0
"""Longer sides of its box that an object moves in a frame at most."""

HELD = 9
"""Frames that an object is waited for in the place where it was last seen."""

SHORTEST = 3
"""Frames of an object that is worth keeping."""

REPEATS = 0.5
"""Mask IoU in a frame from which a slot shows what a better one shows."""

OUTSIDE = -10.0
"""Mask logit where an object is not."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shapes:
    """Masks of T frames and n slots.

    Attributes:
        pixels: float32 [T, n, h, w], 1 inside.
        areas: float32 [T, n].
        centres: float64 [T, n, 2], x and y of the middle of the tight box.
        sides: int64 [T, n], the longer side of that box.
    """

    pixels: NDArray[np.float32]
    areas: NDArray[np.float32]
    centres: NDArray[np.float64]
    sides: NDArray[np.int64]

    @classmethod
    def of(cls, masks: NDArray[np.bool_]) -> _Shapes:
        """Of masks [T, n, h, w]."""
        pixels = masks.astype(np.float32)
        spans = []
        for axis in (2, 3):  # over rows, for the columns, and the other way round
            covered: NDArray[np.bool_] = np.any(masks, axis=axis)
            spans.append((covered.argmax(-1), covered.shape[-1] - covered[..., ::-1].argmax(-1)))
        starts, ends = (np.stack(edges, axis=-1) for edges in zip(*spans, strict=True))
        return cls(pixels, pixels.sum((-2, -1)), (starts + ends) / 2, (ends - starts).max(-1))


def untangle(prediction: Prediction) -> Prediction:
    """The same window with one row for each object that its slots were on.

    Rows that are joined from several slots have their mean score, votes and embedding, weighted by
    frames. What is left out: frames in which a slot repeats a better one, and objects of under
    `SHORTEST` frames.

    Returns:
        `prediction` itself where no slot jumps or repeats another.
    """
    masks = (prediction.masks > 0) & prediction.presence[..., None, None]
    shapes = _Shapes.of(masks)
    shown, repeated = shapes.areas > 0, _repeated(shapes)
    objects = _follow(shapes, shown & ~repeated)
    slots = [slot for found in objects for slot in set(found.values())]
    if len(objects) == len(slots) == len(set(slots)) and not repeated.any():
        return prediction
    return _joined(prediction, [found for found in objects if len(found) >= SHORTEST])


def _follow(shapes: _Shapes, shown: NDArray[np.bool_]) -> list[dict[int, int]]:
    """The slot of each object in each frame that shows it, of what slots show, [T, n]."""
    objects: list[dict[int, int]] = []
    for frame in range(len(shown)):
        held = [found for found in objects if frame - HELD <= _last(found)[0]]
        slots = np.flatnonzero(shown[frame])
        new = set(slots.tolist())
        if held and new:
            likeness = _likeness(shapes, held, frame, slots)
            pairs = zip(*linear_sum_assignment(likeness, maximize=True), strict=True)
            for row, column in pairs:
                if likeness[row, column] > 0:
                    held[row][frame] = int(slots[column])
                    new.remove(int(slots[column]))
        objects += [{frame: slot} for slot in sorted(new)]
    return objects


def _last(found: dict[int, int]) -> tuple[int, int]:
    """The last frame that shows an object, and its slot there."""
    return next(reversed(found.items()))


def _likeness(
    shapes: _Shapes, held: list[dict[int, int]], frame: int, slots: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How well slots go on, in a frame, with objects, [objects, slots]; 0: not."""
    last = np.array([_last(found) for found in held])
    times, owners = last.T
    gaps = (frame - times)[:, None]
    steps = gaps * np.array([_velocity(shapes, found) for found in held])
    centres = shapes.centres[times, owners]
    sides = np.maximum(shapes.sides[times, owners][:, None], shapes.sides[frame, slots])

    overlap = _overlap(shapes, last, steps, frame, slots)
    astray = centres[:, None] + steps[:, None] - shapes.centres[frame, slots]
    squared = (astray**2).sum(-1) / (COURSE_SIGMA * sides) ** 2
    on_course = np.exp(-0.5 * squared)
    moved = np.abs(centres[:, None] - shapes.centres[frame, slots]).max(-1)
    same = (owners[:, None] == slots) & (moved <= REACH * sides * gaps)
    is_new = np.array([len(found) < SHORTEST for found in held])[:, None]

    likeness = np.where(overlap >= GOES_ON, overlap, 0) + SAME_SLOT * (same & is_new)
    likeness += ON_COURSE * np.where(on_course >= OFF_COURSE, on_course, 0)
    return cast("NDArray[np.float64]", likeness)


def _velocity(shapes: _Shapes, found: dict[int, int]) -> NDArray[np.float64]:
    """Pixels a frame, (x, y), that an object's centre moves by: a line through its last places."""
    seen = list(found.items())[-HISTORY:]
    if len(seen) < SHORTEST:
        return np.zeros(2)
    times, owners = np.array(seen).T
    since = times - times.mean()
    velocity: NDArray[np.float64] = since @ shapes.centres[times, owners] / (since @ since)
    return velocity


def _overlap(
    shapes: _Shapes,
    last: NDArray[np.int64],
    steps: NDArray[np.float64],
    frame: int,
    slots: NDArray[np.int64],
) -> NDArray[np.float32]:
    """IoU of the masks of `last` (frame, slot), moved on by `steps` (x, y), with slots' masks."""
    times, owners = last.T
    masks, whole_steps = shapes.pixels[times, owners], np.rint(steps).astype(int).tolist()
    moved = np.zeros_like(masks)
    for target, mask, (x, y) in zip(moved, masks, whole_steps, strict=True):
        _move(mask, x, y, target)
    shared = moved.reshape(len(moved), -1) @ shapes.pixels[frame, slots].reshape(len(slots), -1).T
    areas = shapes.areas[times, owners][:, None] + shapes.areas[frame, slots]
    overlap: NDArray[np.float32] = shared / np.maximum(areas - shared, 1)
    return overlap


def _move(mask: NDArray[np.float32], x: int, y: int, into: NDArray[np.float32]) -> None:
    """Put a mask into zeros, moved by whole pixels; what leaves the picture is gone."""
    height, width = mask.shape
    if abs(y) < height and abs(x) < width:
        to = into[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
        to[:] = mask[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]


def _repeated(shapes: _Shapes) -> NDArray[np.bool_]:
    """Where a slot shows what a better one shows, [T, n]."""
    frames, slots, height, width = shapes.pixels.shape
    rows = shapes.pixels.reshape(frames, slots, height * width)
    shared = rows @ rows.transpose(0, 2, 1)
    areas = shapes.areas
    alike = shared >= REPEATS * np.maximum(areas[:, :, None] + areas[:, None] - shared, 1)
    repeated = np.zeros(areas.shape, np.bool_)
    for slot in range(1, areas.shape[1]):
        repeated[:, slot] = (alike[:, slot, :slot] & ~repeated[:, :slot]).any(axis=1)
    return repeated


def _joined(prediction: Prediction, objects: list[dict[int, int]]) -> Prediction:
    frames, slots = prediction.presence.shape
    index = np.full((frames, len(objects)), -1)
    for row, found in enumerate(objects):
        index[list(found), row] = list(found.values())
    shares = np.stack([(index == slot).sum(axis=0) for slot in range(slots)], axis=1)
    weights = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    best = np.argsort(-(weights @ prediction.scores), kind="stable")
    index, weights = index[:, best], weights[best]
    times, there = np.arange(frames)[:, None], index >= 0
    embeddings = weights @ prediction.embeddings
    masks = prediction.masks[times, index]
    masks[~there] = OUTSIDE
    return Prediction(
        scores=weights @ prediction.scores,
        class_votes=weights @ prediction.class_votes,
        embeddings=embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True).clip(1e-6),
        boxes=prediction.boxes[times, index],
        presence=prediction.presence[times, index] & there,
        masks=masks,
    )
