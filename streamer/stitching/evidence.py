"""What the windows say of the tracks in one frame, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamer.stitching.track import Identity
from streamer.window import Prediction


@dataclass(slots=True, eq=False)
class Evidence:
    """What the windows so far say of one track in one frame.

    Weighted sums. `score` is of the windows that know the track, its divisor `weight`; `logits` and
    `box` are of those that show it in the frame, the box's divisor `box_weight`. The logits have
    none: only their sign matters.
    """

    category_id: int
    weight: float = 0.0
    score: float = 0.0
    logits: NDArray[np.float32] | None = None
    box_weight: float = 0.0
    box: NDArray[np.float32] = field(default_factory=lambda: np.zeros(4, np.float32))


def accumulate(
    evidence_by_track: dict[int, Evidence],
    prediction: Prediction,
    slots: Mapping[Identity, Sequence[int]],
    position: int,
    weight: float,
) -> None:
    """Add one window's view of one frame to what is known of its tracks.

    Args:
        evidence_by_track: What is known so far; new tracks are put in.
        prediction: The window's.
        slots: Those of each identity, of which the frame shows one at most.
        position: The frame's in the window.
        weight: Of this view.
    """
    for identity, candidates in slots.items():
        slot = _shown(prediction, candidates, position)
        evidence = evidence_by_track.setdefault(identity.track_id, Evidence(identity.category_id))
        evidence.category_id = identity.category_id  # the newest window knows best
        evidence.weight += weight
        evidence.score += weight * float(prediction.scores[slot])
        if not prediction.presence[position, slot]:
            continue
        # A copy: the sum must not keep the whole prediction alive.
        logits = prediction.masks[position, slot] * np.float32(weight)
        if evidence.logits is not None:
            logits += evidence.logits
        evidence.logits = logits
        evidence.box_weight += weight
        evidence.box += weight * prediction.boxes[position, slot]


def _shown(prediction: Prediction, slots: Sequence[int], position: int) -> int:
    """The slot that shows something in a frame, or the first."""
    first, *others = slots
    return next((slot for slot in others if prediction.shows(position, slot)), first)
