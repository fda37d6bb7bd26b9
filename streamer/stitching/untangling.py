"""Slots that change their object within a window, put right before identities are given.

A slot is one object, so its mask moves by little from frame to frame. Weak weights and crowds break
that: a slot jumps to another object, which the slot of that one may have left, or two show the same
one for a while. Here slots are cut where they jump or repeat a better one, and pieces are joined
where one goes on in the place that another left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamer.window import Prediction

STAYS = 0.2
"""Share of the smaller box that has to lie in the larger one, where a slot is and where its object
was expected. Of the smaller one, because objects half hide behind others and come out again."""

REACH = 2.0
"""Longer sides of its box that an object may move in the first frame, before its speed is known."""

GOES_ON = 0.2
"""IoU of the boxes, likewise, for a piece to go on with what another slot has left."""

HELD = 9
"""Frames that an object is waited for in the place where its slot has left it."""

SHORTEST = 3
"""Frames of a piece that is worth keeping."""

REPEATS = 0.5
"""Mask IoU in a frame from which a slot shows what a better one shows."""

OUTSIDE = -10.0
"""Mask logit where a piece is not."""


@dataclass(slots=True)
class _Piece:
    """An object as far as it was followed: its slot in each frame, and where it is expected."""

    slots: dict[int, int]
    box: NDArray[np.float64]  # left, top, right, bottom when last seen
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @property
    def last(self) -> int:
        return next(reversed(self.slots))

    def expected(self, frame: int) -> NDArray[np.float64]:
        shift = self.velocity * (frame - self.last)
        return self.box + np.concatenate((shift, shift))

    def stays(self, frame: int, box: NDArray[np.float64]) -> bool:
        """Whether its own slot, now at `box`, is still on it."""
        if len(self.slots) == 1:  # how fast it is nobody knows yet
            reach = REACH * max(*_sides(self.box), *_sides(box)) * (frame - self.last)
            return bool(np.abs(_centre(box) - _centre(self.box)).max() <= reach)
        # Where it was counts too: half hidden, its box seems to move without going anywhere.
        return any(
            shared >= STAYS * min(first, second)
            for shared, first, second in (_areas(self.expected(frame), box), _areas(self.box, box))
        )

    def add(self, frame: int, slot: int, box: NDArray[np.float64]) -> None:
        moved = (_centre(box) - _centre(self.box)) / (frame - self.last)
        # Masks are coarse: half of the news is noise.
        self.velocity = moved if len(self.slots) == 1 else (self.velocity + moved) / 2
        self.slots[frame] = slot
        self.box = box


def untangle(prediction: Prediction) -> Prediction:
    """The same window with one row for each object that its slots were on.

    Rows that are joined from several slots have their mean score, votes and embedding, weighted by
    frames. What is left out: frames in which a slot repeats a better one, and pieces of under
    `SHORTEST` frames.

    Returns:
        `prediction` itself where no slot jumps or repeats another.
    """
    masks = (prediction.masks > 0) & prediction.presence[..., None, None]
    shown, repeated = masks.any(axis=(2, 3)), _repeated(masks)
    pieces = _follow(_boxes(masks), shown & ~repeated)
    slots = [slot for piece in pieces for slot in set(piece.slots.values())]
    if len(slots) == len(set(slots)) and not repeated.any():
        return prediction
    return _joined(prediction, [piece for piece in pieces if len(piece.slots) >= SHORTEST])


def _follow(boxes: NDArray[np.float64], shown: NDArray[np.bool_]) -> list[_Piece]:
    """The pieces of boxes [T, n, 4] of slots that show something, [T, n], as they begin."""
    pieces: list[_Piece] = []
    held: dict[int, _Piece] = {}
    for frame in range(len(shown)):
        strays = []
        for slot in np.flatnonzero(shown[frame]).tolist():
            if slot in held and held[slot].stays(frame, boxes[frame, slot]):
                held[slot].add(frame, slot, boxes[frame, slot])
            else:
                strays.append(slot)
        for slot, piece in _homes(strays, pieces, frame, boxes[frame]).items():
            piece.add(frame, slot, boxes[frame, slot])
            # Whoever carried it before does not any more.
            held = {other: kept for other, kept in held.items() if kept is not piece}
            held[slot] = piece
            strays.remove(slot)
        for slot in strays:
            held[slot] = _Piece({frame: slot}, boxes[frame, slot])
            pieces.append(held[slot])
    return pieces


def _homes(
    strays: list[int], pieces: list[_Piece], frame: int, boxes: NDArray[np.float64]
) -> dict[int, _Piece]:
    """The pieces that strays go on with: those that nobody carries, where they were expected."""
    left = [piece for piece in pieces if frame - HELD <= piece.last < frame]
    if not strays or not left:
        return {}
    places = [piece.expected(frame) for piece in left]
    likeness = np.array([[_iou(place, boxes[slot]) for place in places] for slot in strays])
    pairs = zip(*linear_sum_assignment(likeness, maximize=True), strict=True)
    return {strays[row]: left[column] for row, column in pairs if likeness[row, column] >= GOES_ON}


def _repeated(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a slot shows what a better one shows, [T, n], of masks [T, n, h, w], best first."""
    frames, slots, height, width = masks.shape
    flat = masks.reshape(frames, slots, height * width).astype(np.float32)
    shared = flat @ flat.transpose(0, 2, 1)
    areas = shared.diagonal(axis1=1, axis2=2)
    alike = shared >= REPEATS * np.maximum(areas[:, :, None] + areas[:, None] - shared, 1)
    repeated = np.zeros((frames, slots), np.bool_)
    for slot in range(1, slots):
        repeated[:, slot] = (alike[:, slot, :slot] & ~repeated[:, :slot]).any(axis=1)
    return repeated


def _joined(prediction: Prediction, pieces: list[_Piece]) -> Prediction:
    frames, slots = prediction.presence.shape
    index = np.full((frames, len(pieces)), -1)
    for row, piece in enumerate(pieces):
        index[list(piece.slots), row] = list(piece.slots.values())
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


def _boxes(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Tight boxes [T, n, 4] of masks [T, n, h, w]: left, top, right, bottom."""
    spans = []
    for axis in (2, 3):  # over rows, for the columns, and the other way round
        covered: NDArray[np.bool_] = np.any(masks, axis=axis)
        spans.append((covered.argmax(-1), covered.shape[-1] - covered[..., ::-1].argmax(-1)))
    (left, right), (top, bottom) = spans
    return np.stack((left, top, right, bottom), axis=-1).astype(np.float64)


def _sides(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return box[2:] - box[:2]


def _centre(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return (box[:2] + box[2:]) / 2


def _areas(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float, float]:
    """Of the part that two boxes share, of the first and of the second."""
    shared = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    return float(shared.clip(0).prod()), float(_sides(first).prod()), float(_sides(second).prod())


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    shared, one, other = _areas(first, second)
    return shared / (one + other - shared)
