"""Slots that change their object within a window, put right before identities are given.

A slot is one object, so its mask moves by little from frame to frame. Weak weights and crowds break
that: a slot jumps to another object, which the slot of that one may have left, or two show the same
one for a while. Here objects are followed by their masks from one frame to the next, whichever
slots show them; that a slot showed an object before is only one reason more to take it for the
same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamer.window import Prediction

GOES_ON = 0.2
"""Mask IoU from which a mask may go on with an object that was last seen a few frames ago."""

SAME_SLOT = 0.2
"""Added where the slot is the one that showed the object last. Alone it is enough, within `REACH`:
what is fast or comes out from behind something overlaps little with where it was."""

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
        pixels: float32 [T, n, h * w], 1 inside.
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
        frames, slots, height, width = masks.shape
        pixels = masks.reshape(frames, slots, height * width).astype(np.float32)
        spans = []
        for axis in (2, 3):  # over rows, for the columns, and the other way round
            covered: NDArray[np.bool_] = np.any(masks, axis=axis)
            spans.append((covered.argmax(-1), covered.shape[-1] - covered[..., ::-1].argmax(-1)))
        starts, ends = (np.stack(edges, axis=-1) for edges in zip(*spans, strict=True))
        return cls(pixels, pixels.sum(-1), (starts + ends) / 2, (ends - starts).max(-1))


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
    if len(slots) == len(set(slots)) and not repeated.any():
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
            likeness = _likeness(shapes, np.array([_last(found) for found in held]), frame, slots)
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
    shapes: _Shapes, last: NDArray[np.int64], frame: int, slots: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How well slots go on, in a frame, with objects last seen as [m, (frame, slot)]; 0: not."""
    times, owners = last.T
    shared = shapes.pixels[times, owners] @ shapes.pixels[frame, slots].T
    areas = shapes.areas[times, owners][:, None] + shapes.areas[frame, slots]
    overlap = shared / np.maximum(areas - shared, 1)
    moved = shapes.centres[times, owners][:, None] - shapes.centres[frame, slots]
    sides = np.maximum(shapes.sides[times, owners][:, None], shapes.sides[frame, slots])
    near = np.abs(moved).max(-1) <= REACH * sides * (frame - times)[:, None]
    same = (owners[:, None] == slots) & near
    likeness: NDArray[np.float64] = np.where(overlap >= GOES_ON, overlap, 0) + SAME_SLOT * same
    return likeness


def _repeated(shapes: _Shapes) -> NDArray[np.bool_]:
    """Where a slot shows what a better one shows, [T, n]."""
    shared = shapes.pixels @ shapes.pixels.transpose(0, 2, 1)
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
    return Prediction(
        scores=weights @ prediction.scores,
        class_votes=weights @ prediction.class_votes,
        embeddings=embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True).clip(1e-6),
        boxes=prediction.boxes[times, index],
        presence=prediction.presence[times, index] & there,
        masks=np.where(there[..., None, None], prediction.masks[times, index], np.float32(OUTSIDE)),
    )
