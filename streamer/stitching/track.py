"""A track: the bounded running state of one object's identity.

Constants: set by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamer.stitching.overlap import visibility
from streamer.window import Prediction, Window

VOTE_DECAY = 0.8
"""Weight of the votes so far when a window adds its own. History is worth at most
1 / (1 - 0.8) = 5 windows: one that disagrees never outvotes two, and four in a row outvote any."""

APPEARANCE_DECAY = 0.7
"""Weight of embedding and colours so far: another slot's view of the object shifts them, not
replaces them."""

VELOCITY_FRAMES = 8
"""Newest boxes that the velocity is fitted to: enough to average their jitter, few enough to
follow a turn."""

WHOLE_QUANTILE = 0.75
"""Quantile of an object's widths and heights that is its size where all of it shows. Not the
largest: a few boxes may be another object's, by mistake."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a slot is.

    Attributes:
        track_id: Unique for the run, never reused.
        category_id: What the track is taken for so far.
    """

    track_id: int
    category_id: int


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What one window says of one object.

    Attributes:
        class_votes: float32 [C], share of the frames that vote for each class.
        embedding: float32 [D], unit length.
        colours: float32 [F], mean of its colours in those frames, unit length; 0 where not known.
        frames: int64 [k], indices of the frames it is visible in, ascending; k at least 1.
        boxes: float32 [k, 4], its boxes there, cxcywh in [0, 1].
    """

    class_votes: NDArray[np.float32]
    embedding: NDArray[np.float32]
    colours: NDArray[np.float32]
    frames: NDArray[np.int64]
    boxes: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence[Sighting]) -> Sighting:
        """One sighting of parts that show an object in different frames of a window."""
        if len(parts) == 1:
            return parts[0]
        counts = np.array([len(part.frames) for part in parts], np.float32)
        shares = counts / counts.sum()
        frames = np.concatenate([part.frames for part in parts])
        order = frames.argsort()
        return cls(
            class_votes=shares @ np.stack([part.class_votes for part in parts]),
            embedding=_unit(shares @ np.stack([part.embedding for part in parts])),
            colours=_unit(shares @ np.stack([part.colours for part in parts])),
            frames=frames[order],
            boxes=np.concatenate([part.boxes for part in parts])[order],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A known object.

    Attributes:
        track_id: Its identity, unique for the run.
        votes: float32 [C], class votes of its windows, older ones weighing less.
        embedding: float32 [D], running mean of its windows' embeddings, unit length.
        colours: float32 [F], the same of its colours; 0 where not known.
        frames: int64 [k], newest frames it was visible in, ascending; 1 to a window's length.
        boxes: float32 [k, 4], its boxes there, cxcywh in [0, 1].
        velocity: float32 [2], movement of the box's centre per frame (x, y).
        size: float32 [2], width and height of `whole_size`. Like `velocity` it follows from the
            boxes; kept, as each slot that stays alone is compared with all tracks.
    """

    track_id: int
    votes: NDArray[np.float32]
    embedding: NDArray[np.float32]
    colours: NDArray[np.float32]
    frames: NDArray[np.int64]
    boxes: NDArray[np.float32]
    velocity: NDArray[np.float32]
    size: NDArray[np.float32]

    @classmethod
    def born(cls, track_id: int, sighting: Sighting) -> Track:
        """The track of an object that was seen for the first time."""
        return cls(
            track_id,
            sighting.class_votes,
            sighting.embedding,
            sighting.colours,
            sighting.frames,
            sighting.boxes,
            _velocity(sighting.frames, sighting.boxes),
            whole_size(sighting.boxes),
        )

    def updated(self, sighting: Sighting, capacity: int) -> Track:
        """The track after one more sighting.

        Args:
            sighting: What the newest window says; where it speaks of frames that are known
                already, it replaces them.
            capacity: Most boxes to keep.
        """
        older = self.frames < sighting.frames[0]
        frames = np.concatenate([self.frames[older], sighting.frames])[-capacity:]
        boxes = np.concatenate([self.boxes[older], sighting.boxes])[-capacity:]
        return replace(
            self,
            votes=VOTE_DECAY * self.votes + sighting.class_votes,
            embedding=_running(self.embedding, sighting.embedding),
            colours=_running(self.colours, sighting.colours),
            frames=frames,
            boxes=boxes,
            velocity=_velocity(frames, boxes),
            size=whole_size(boxes),
        )

    @property
    def last_seen(self) -> int:
        """Index of the newest frame that it was visible in."""
        return int(self.frames[-1])

    @property
    def category_id(self) -> int:
        """The class with most votes; the lowest id of equals."""
        return int(np.argmax(self.votes))

    @property
    def class_shares(self) -> NDArray[np.float32]:
        """float32 [C], its class votes as shares of 1."""
        return self.votes / max(float(self.votes.sum()), 1e-6)


def sightings_in(
    window: Window,
    prediction: Prediction,
    slots: Sequence[int],
    masks: NDArray[np.float32],
) -> list[Sighting]:
    """What a window says of the given slots, each of which is visible somewhere.

    Args:
        window: The window.
        prediction: Its slots.
        slots: Which ones.
        masks: float32 [n, T, h·w], their soft masks.
    """
    indices, visible = window.real_indices, visibility(masks)
    return [
        Sighting(
            # Copied: a track would keep all of the window, masks included.
            class_votes=prediction.class_votes[slot].copy(),
            embedding=prediction.embeddings[slot].copy(),
            colours=_unit(prediction.colours[visible[row], slot].sum(axis=0)),
            frames=indices[visible[row]],
            boxes=prediction.boxes[visible[row], slot],
        )
        for row, slot in enumerate(slots)
    ]


def whole_size(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Width and height [2] of an object where all of it shows; its boxes [k, 4] may be of parts."""
    size: NDArray[np.float32] = np.quantile(boxes[:, 2:], WHOLE_QUANTILE, axis=0).astype(np.float32)
    return size


def _running(mean: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.float32]:
    return _unit(APPEARANCE_DECAY * mean + (1 - APPEARANCE_DECAY) * new)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    # Opposite embeddings could cancel out; the floor keeps that from becoming a NaN.
    norm = max(float(np.linalg.norm(vector)), 1e-6)
    return (vector / norm).astype(np.float32)


def _velocity(frames: NDArray[np.int64], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Movement of the box's centre per frame (x, y): a least-squares line."""
    newest, centres = frames[-VELOCITY_FRAMES:], boxes[-VELOCITY_FRAMES:, :2]
    # Counted from the last: float32 has no integers beyond those of a few days of video.
    times = (newest - newest[-1]).astype(np.float32)
    offsets = times - times.mean()
    spread = max(float(offsets @ offsets), 1e-6)  # 0 for a single box: then it stands still
    slope: NDArray[np.float32] = (offsets @ (centres - centres.mean(axis=0)) / spread).astype(
        np.float32
    )
    return slope
