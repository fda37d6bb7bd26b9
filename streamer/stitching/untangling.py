"""Slots that change their object within a window, put right before identities are given.

A slot is one object, so its mask moves by little from frame to frame. Weak weights and crowds break
that: a slot jumps to another object, which the slot of that one may have left, or two show the same
one for a while. Here objects are followed from one frame to the next by their masks, moved on as
they moved before, whichever slots show them: who walks past another comes out on the other side.

Constants: chosen on the 21 labelled frames of the shipped clip (``tests/real_clip``), unless they
name a source.
"""

from __future__ import annotations

from collections.abc import Sequence
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
moves, or nobody else is within twice `REACH`: enough for what turns, or is too fast to overlap with
itself. Otherwise it is nothing, as weak slots change their object where objects meet."""

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
        times: int64 [T], of the frames, counted in steps between them: more than 1 where some were
            dropped.
        pixels: float32 [T, n, h, w], 1 inside.
        areas: float32 [T, n].
        starts: int64 [T, n, 2], the first column and row of the tight box.
        ends: int64 [T, n, 2], those behind its last.
        centres: float64 [T, n, 2], x and y of its middle.
        sides: int64 [T, n], its longer side.
    """

    times: NDArray[np.int64]
    pixels: NDArray[np.float32]
    areas: NDArray[np.float32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    centres: NDArray[np.float64]
    sides: NDArray[np.int64]

    @classmethod
    def of(cls, masks: NDArray[np.bool_], indices: Sequence[int]) -> _Shapes:
        """Of masks [T, n, h, w] of frames with such indices."""
        steps = np.diff(indices)
        times = np.append(0, steps.cumsum() // (steps.min() if len(steps) else 1))
        pixels = masks.astype(np.float32)
        rows = pixels.sum(axis=-1)
        covered = np.any(masks, axis=2), rows > 0  # the columns, and the rows
        starts = np.stack([each.argmax(-1) for each in covered], axis=-1)
        ends = np.stack([each.shape[-1] - each[..., ::-1].argmax(-1) for each in covered], axis=-1)
        boxes = starts, ends, (starts + ends) / 2, (ends - starts).max(-1)
        return cls(times, pixels, rows.sum(axis=-1), *boxes)


def untangle(prediction: Prediction, indices: Sequence[int] | None = None) -> Prediction:
    """The same window with one row for each object that its slots were on.

    Rows that are joined from several slots have their mean score, votes and embedding, weighted by
    frames. What is left out: frames in which a slot repeats a better one, and objects of under
    `SHORTEST` frames, or of less than all in a shorter window.

    Args:
        prediction: Of a window.
        indices: Of its real frames, ascending; None: one after the other.

    Returns:
        `prediction` itself where no slot jumps or repeats another, with what is short left in.
    """
    masks = prediction.masks > 0
    masks[~prediction.presence] = False
    shapes = _Shapes.of(masks, indices or range(len(masks)))
    shown, repeated = shapes.areas > 0, _repeated(shapes)
    objects = _follow(shapes, shown & ~repeated)
    shows = (objects[..., None] == np.arange(shown.shape[1])).any(axis=1)
    # Each object has one slot, and each slot one object.
    if len(objects) == shows.sum() == shows.any(axis=0).sum() and not repeated.any():
        return prediction
    lasting = (objects >= 0).sum(axis=1) >= min(SHORTEST, len(masks))
    return _joined(prediction, _with_absences(objects[lasting], shown))


def _follow(shapes: _Shapes, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Objects in the order of their coming: the slot that shows each in each frame, [objects, T].

    It is -1 where none does.

    Args:
        shapes: Of the masks.
        shown: Which slots show something, [T, n].
    """
    objects = np.full((shown.sum(), len(shown)), -1)
    last = np.empty(len(objects), np.int64)
    count = 0
    for frame in range(len(shown)):
        held = np.flatnonzero(frame - HELD <= last[:count])
        slots = np.flatnonzero(shown[frame])
        if len(held) and len(slots):
            likeness = _likeness(shapes, objects[held], last[held], frame)[:, slots]
            rows, columns = linear_sum_assignment(likeness, maximize=True)
            goes_on = likeness[rows, columns] > 0
            going_on = held[rows[goes_on]]
            objects[going_on, frame] = slots[columns[goes_on]]
            last[going_on] = frame
            slots = np.delete(slots, columns[goes_on])
        new = slice(count, count := count + len(slots))
        objects[new, frame] = slots
        last[new] = frame
    return objects[:count]


def _likeness(
    shapes: _Shapes, objects: NDArray[np.int64], last: NDArray[np.int64], frame: int
) -> NDArray[np.float64]:
    """How well slots go on, in a frame, with objects last seen before it, [objects, n].

    It is 0 where they do not.
    """
    owners = objects[np.arange(len(objects)), last]
    gaps = (shapes.times[frame] - shapes.times[last])[:, None]
    steps = gaps * _velocities(shapes, objects)
    centres = shapes.centres[last, owners]
    sides = np.maximum(shapes.sides[last, owners][:, None], shapes.sides[frame])

    overlap = _overlap(shapes, last, owners, steps, frame)
    astray = centres[:, None] + steps[:, None] - shapes.centres[frame]
    squared = (astray**2).sum(-1) / (COURSE_SIGMA * sides) ** 2
    on_course = np.exp(-0.5 * squared)
    moved = np.abs(centres[:, None] - shapes.centres[frame]).max(-1)
    is_near = moved <= REACH * sides * gaps
    same = owners[:, None] == np.arange(shapes.areas.shape[1])
    is_new = ((objects >= 0).sum(axis=1) < SHORTEST)[:, None]
    is_alone = (moved <= 2 * REACH * sides * gaps).sum(axis=0) == 1

    likeness = np.where(overlap >= GOES_ON, overlap, 0)
    likeness += SAME_SLOT * (same & is_near & (is_new | is_alone))
    likeness += ON_COURSE * np.where(on_course >= OFF_COURSE, on_course, 0)
    return cast("NDArray[np.float64]", likeness)


def _velocities(shapes: _Shapes, objects: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pixels a frame, (x, y), that objects' centres move by: lines through their last places."""
    seen, times = objects >= 0, shapes.times
    recent = seen & (seen[:, ::-1].cumsum(axis=1)[:, ::-1] <= HISTORY)
    since = recent * (times - (recent @ times / recent.sum(axis=1))[:, None])
    along = np.einsum("kt,ktc->kc", since, shapes.centres[np.arange(len(times)), objects])
    is_known = seen.sum(axis=1) >= SHORTEST
    spread = np.maximum((since**2).sum(axis=1), 1)
    velocities: NDArray[np.float64] = along * (is_known / spread)[:, None]
    return velocities


def _overlap(
    shapes: _Shapes,
    times: NDArray[np.int64],
    owners: NDArray[np.int64],
    steps: NDArray[np.float64],
    frame: int,
) -> NDArray[np.float32]:
    """IoU of `owners`' masks at `times`, moved on by `steps` (x, y), with those of a frame's slots.

    Args:
        shapes: Of the masks.
        times: [objects].
        owners: Slots [objects].
        steps: [objects, 2].
        frame: Whose slots.

    Returns:
        [objects, n].
    """
    slots, *size = shapes.pixels.shape[1:]
    shared = np.zeros((len(owners), slots), np.float32)
    whole = np.rint(steps).astype(int)
    # Moved on, and cut at the picture's border.
    starts = np.maximum(shapes.starts[times, owners] + whole, 0)
    ends = np.minimum(shapes.ends[times, owners] + whole, size[::-1])
    numbers = (each.tolist() for each in (times, owners, starts, ends, whole))
    for row, (time, owner, (left, top), (right, bottom), (x, y)) in enumerate(
        zip(*numbers, strict=True)
    ):
        if left < right and top < bottom:
            mask = shapes.pixels[time, owner, top - y : bottom - y, left - x : right - x]
            around = shapes.pixels[frame, :, top:bottom, left:right]
            shared[row] = around.reshape(slots, -1) @ mask.reshape(-1)
    areas = shapes.areas[times, owners][:, None] + shapes.areas[frame]
    overlap: NDArray[np.float32] = shared / np.maximum(areas - shared, 1)
    return overlap


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


def _with_absences(objects: NDArray[np.int64], shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The same objects [objects, T], those with a slot to themselves also where it shows nothing.

    What a slot says of such a frame is evidence, as it is where no slot jumps.

    Args:
        objects: As `_follow` gives them.
        shown: Which slots show something, [T, n].
    """
    shows = (objects[..., None] == np.arange(shown.shape[1])).any(axis=1)  # [objects, n]
    alone = (shows.sum(axis=1) == 1) & shows[:, shows.sum(axis=0) == 1].any(axis=1)
    slot = shows.argmax(axis=1)
    return np.where(alone[:, None] & ~shown[:, slot].T, slot[:, None], objects)


def _joined(prediction: Prediction, objects: NDArray[np.int64]) -> Prediction:
    frames, slots = prediction.presence.shape
    index = objects.T
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
