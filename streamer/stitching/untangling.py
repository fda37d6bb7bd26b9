"""Slots that change their object within a window, put right before identities are given.

A slot is one object, so its mask moves by little from frame to frame. Weak weights and crowds break
that: a slot jumps to another object, which the slot of that one may have left, or two show the same
one for a while. Here objects are followed from one frame to the next by their masks, moved on as
they moved before, whichever slots show them: who walks past another comes out on the other side.

Constants: chosen on the 21 labelled frames of the shipped clip (``tests/real_clip``), those of
colours on composed streams of people too, unless they name a source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamer.stitching.affinity import colour_score
from streamer.stitching.shapes import Shapes
from streamer.window import Prediction

MIN_IOU = 0.2
"""IoU from which a mask may go on with an object, whose last mask is moved on to that frame."""

MOTION_WEIGHT = 0.5
"""Most that is added for being where the object is expected."""

MOTION_SIGMA = 0.5
"""Standard deviation of an object's centre from the expected one, in longer sides of its box."""

MOTION_FLOOR = 0.3
"""Density, 1 at the expected centre, under which a mask's place says nothing for it."""

HISTORY = 16
"""Last sightings of an object that tell how it moves: where it meets others, masks and with them
centres go astray for several frames."""

SAME_SLOT = 0.01
"""Added for the slot that showed the object last and is still within `MAX_STEP`, while the object's
motion is unknown or nobody else is within twice `MAX_STEP`: it keeps objects that turn, or are too
fast to overlap with themselves. Elsewhere it is nothing: weak slots swap objects where these
meet."""

MAX_STEP = 2.0
"""Longer sides of its box that an object moves in a frame at most."""

COLOUR_WEIGHT = 1.0
"""Most that its colours speak for or against a mask that more than one object may go on with, or an
object that may go on with more than one."""

MAX_AGE = 9
"""Frames after its last sighting in which an object may be found again, where its motion puts it
(SORT's `max_age`)."""

MIN_HITS = 3
"""Sightings of an object that is worth keeping, and whose motion is known (SORT's `min_hits`)."""

OUTSIDE = -10.0
"""Mask logit where an object is not."""


def untangle(prediction: Prediction, indices: Sequence[int]) -> Prediction:
    """The same window with one row for each object that its slots were on.

    Rows that are joined from several slots have their mean score, votes and embedding, weighted by
    frames. What is left out: frames in which a slot repeats a better one, and objects of under
    `MIN_HITS` frames, or of less than all in a shorter window.

    Args:
        prediction: Of a window.
        indices: Of its real frames, ascending.

    Returns:
        `prediction` itself where no slot jumps or repeats another, with what is short left in.
    """
    shapes = Shapes.of(prediction, indices)
    shown, repeated = shapes.areas > 0, shapes.repeated()
    objects = _follow(shapes, shown & ~repeated)
    shows = _slots_of(objects, shown.shape[1])
    # Each object has one slot, and each slot one object.
    if len(objects) == shows.sum() == shows.any(axis=0).sum() and not repeated.any():
        return prediction
    lasting = (objects >= 0).sum(axis=1) >= min(MIN_HITS, len(shown))
    return _joined(prediction, _with_absences(objects[lasting], shown))


def _follow(shapes: Shapes, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
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
        held = np.flatnonzero(frame - MAX_AGE <= last[:count])
        slots = np.flatnonzero(shown[frame])
        if len(held) and len(slots):
            affinity = _affinities(shapes, objects[held], last[held], frame, slots)
            rows, columns = linear_sum_assignment(affinity, maximize=True)
            goes_on = affinity[rows, columns] > 0
            going_on = held[rows[goes_on]]
            objects[going_on, frame] = slots[columns[goes_on]]
            last[going_on] = frame
            slots = np.delete(slots, columns[goes_on])
        end = count + len(slots)
        objects[count:end, frame] = slots
        last[count:end] = frame
        count = end
    return objects[:count]


def _affinities(
    shapes: Shapes,
    objects: NDArray[np.int64],
    last: NDArray[np.int64],
    frame: int,
    slots: NDArray[np.int64],
) -> NDArray[np.float64]:
    """How well some slots go on, in a frame, with objects last seen before it, [objects, slots].

    It is 0 where they do not.
    """
    owners = objects[np.arange(len(objects)), last]
    gaps = (shapes.times[frame] - shapes.times[last])[:, None]
    steps = gaps * _velocities(shapes, objects)
    centres = shapes.centres[last, owners]
    sides = np.maximum(shapes.sides[last, owners][:, None], shapes.sides[frame])

    overlap = shapes.overlap(last, owners, steps, frame)
    astray = centres[:, None] + steps[:, None] - shapes.centres[frame]
    squared = (astray**2).sum(-1) / (MOTION_SIGMA * sides) ** 2
    density = np.exp(-0.5 * squared)
    moved = np.abs(centres[:, None] - shapes.centres[frame]).max(-1)
    is_near = moved <= MAX_STEP * sides * gaps
    same = owners[:, None] == np.arange(shapes.areas.shape[1])
    is_new = ((objects >= 0).sum(axis=1) < MIN_HITS)[:, None]
    is_alone = (moved <= 2 * MAX_STEP * sides * gaps).sum(axis=0) == 1

    affinity = np.where(overlap >= MIN_IOU, overlap, 0)
    affinity += SAME_SLOT * (same & is_near & (is_new | is_alone))
    affinity += MOTION_WEIGHT * np.where(density >= MOTION_FLOOR, density, 0)
    affinity = affinity[:, slots]
    may_go_on = affinity > 0
    rivals = (may_go_on.sum(axis=0) > 1) | (may_go_on.sum(axis=1) > 1)[:, None]
    colours = _colour_scores(shapes, objects, frame)[:, slots]
    affinity = affinity + np.where(may_go_on & rivals, colours, 0)
    # Never less, or the assignment would break a good pair to spare a bad one.
    return cast("NDArray[np.float64]", np.maximum(affinity, 0))


def _colour_scores(shapes: Shapes, objects: NDArray[np.int64], frame: int) -> NDArray[np.float32]:
    """How much colours speak for or against objects going on with slots in a frame, [objects, n].

    An object's colours are the mean of all its sightings', as masks near others have some of those.
    """
    seen = (objects >= 0)[..., None]
    usual = (seen * shapes.colours[np.arange(objects.shape[1]), objects]).sum(axis=1)
    usual /= np.maximum(np.linalg.norm(usual, axis=1, keepdims=True), 1e-6)
    scores, known = colour_score(usual, shapes.colours[frame])
    weighted: NDArray[np.float32] = COLOUR_WEIGHT * np.clip(scores, -1, 1) * known
    return weighted


def _velocities(shapes: Shapes, objects: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pixels a frame, (x, y), that objects' centres move by: lines through their last places."""
    seen, times = objects >= 0, shapes.times
    recent = seen & (seen[:, ::-1].cumsum(axis=1)[:, ::-1] <= HISTORY)
    since = recent * (times - (recent @ times / recent.sum(axis=1))[:, None])
    along = np.einsum("kt,ktc->kc", since, shapes.centres[np.arange(len(times)), objects])
    is_known = seen.sum(axis=1) >= MIN_HITS
    spread = np.maximum((since**2).sum(axis=1), 1)
    velocities: NDArray[np.float64] = along * (is_known / spread)[:, None]
    return velocities


def _slots_of(objects: NDArray[np.int64], slots: int) -> NDArray[np.bool_]:
    """Which of so many slots show each object [objects, T] in any frame, [objects, n]."""
    shows: NDArray[np.bool_] = (objects[..., None] == np.arange(slots)).any(axis=1)
    return shows


def _with_absences(objects: NDArray[np.int64], shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The same objects [objects, T], those with a slot to themselves also where it shows nothing.

    What a slot says of such a frame is evidence, as it is where no slot jumps.

    Args:
        objects: As `_follow` gives them.
        shown: Which slots show something, [T, n].
    """
    shows = _slots_of(objects, shown.shape[1])
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
        colours=prediction.colours[times, index],
    )
