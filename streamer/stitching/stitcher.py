"""Identities across windows: which slot of a new window is which known track."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamer.stitching.affinity import appearance, gaps, mask_affinity, memory_affinity, motion
from streamer.stitching.overlap import OverlapMasks, pairwise_iou, soft_masks, visibility
from streamer.stitching.track import Sighting, Track
from streamer.window import Prediction, Window

SEEN_TOGETHER = 2.0
"""Added to pairs that masks speak for, so that the assignment never breaks one of them to gain two
others (of at most 1 each) that only memory speaks for."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a slot is.

    Attributes:
        track_id: Unique for the run, never reused.
        category_id: What the track is taken for so far.
    """

    track_id: int
    category_id: int


class Stitcher:
    """Gives the slots of one window after another lasting identities.

    Slots that repeat a better one are left out. The others and the known tracks are paired by one
    assignment: by mask IoU, class and embedding where a shared frame shows both, by embedding,
    class and the expected place where none does. Who stays alone is a new track.

    Source: the assignment over the overlap follows IFC (Hwang et al., NeurIPS 2021); the rule for
    duplicates and the bounded memory follow MDQE (Li et al., CVPR 2023).

    Args:
        accept: Likeness in [0, 1] that a slot and a track need to be one object.
        duplicate_iou: Soft mask IoU with a better slot from which a slot repeats it.
        memory: Frames after which a track that was not seen is forgotten.

    Attributes:
        tracks: Tracks born so far.
        duplicates: Slots left out so far: those that repeat a better one or show nothing.
    """

    def __init__(self, *, accept: float, duplicate_iou: float, memory: int) -> None:
        self.accept = accept
        self.duplicate_iou = duplicate_iou
        self.memory = memory
        self.tracks = 0
        self.duplicates = 0
        self._live: dict[int, Track] = {}
        self._overlap = OverlapMasks()
        self._mask_size: tuple[int, ...] | None = None

    @property
    def live(self) -> int:
        """Tracks that are remembered."""
        return len(self._live)

    def new_epoch(self) -> None:
        """Forget all tracks; ids go on counting."""
        self._live.clear()
        self._overlap = OverlapMasks()
        self._mask_size = None

    def identify(self, window: Window, prediction: Prediction) -> tuple[Identity | None, ...]:
        """Find out who the slots of the epoch's next window are.

        Args:
            window: The window.
            prediction: Its slots, best first.

        Returns:
            One identity per slot, all different; None for a slot to be left out.

        Raises:
            ValueError: The prediction is not of this window, or of another mask size than before.
        """
        self._check(window, prediction)
        indices = np.array(window.real, np.int64)
        masks = soft_masks(prediction)
        kept = self._originals(masks)
        if len(kept) < len(masks):  # the copy costs milliseconds
            masks = masks[kept]
        sightings = _sightings(kept, indices, masks, prediction)
        likeness, iou = self._likeness(sightings, indices, masks)
        known = list(self._live)
        slot_by_track: dict[int, int] = {}
        rows, columns = linear_sum_assignment(likeness, maximize=True)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if likeness[row, column] > 0:
                slot_by_track[known[column]] = row
        self._settle(sightings, slot_by_track, iou, window.length)
        self.duplicates += len(prediction) - len(slot_by_track)

        identities: list[Identity | None] = [None] * len(prediction)
        for track_id, row in slot_by_track.items():
            category_id = self._live[track_id].category_id
            identities[kept[row]] = Identity(track_id, category_id)
        self._forget(window)
        stay = slice(window.leaving, None)
        self._overlap.advance(indices[stay], masks[:, stay], slot_by_track, list(self._live))
        return tuple(identities)

    def _check(self, window: Window, prediction: Prediction) -> None:
        frames, size = prediction.masks.shape[0], prediction.masks.shape[2:]
        if frames != window.length:
            raise ValueError(f"a prediction of {frames} frames for a window of {window.length}")
        if self._mask_size not in (None, size):
            raise ValueError(
                f"masks of {size} after masks of {self._mask_size}: within an epoch their size "
                "stays the same"
            )
        self._mask_size = size

    def _originals(self, masks: NDArray[np.float32]) -> list[int]:
        """Slots that show something and do not repeat a better one, best first."""
        iou = pairwise_iou(masks)
        shown = visibility(masks).sum(axis=1) > 0
        kept: list[int] = []
        for slot in range(len(masks)):
            if shown[slot] and not (iou[slot, kept] >= self.duplicate_iou).any():
                kept.append(slot)
        return kept

    def _likeness(
        self, sightings: list[Sighting], indices: NDArray[np.int64], masks: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Likeness to every live track, 0 where refused, and mask IoU; float32 [n, P] each."""
        tracks = list(self._live.values())
        shape = (len(sightings), len(tracks))
        iou, together = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        if not sightings or not tracks:
            return np.zeros(shape, np.float32), iou
        column = {track_id: position for position, track_id in enumerate(self._live)}
        held = [column[track_id] for track_id in self._overlap.track_ids]
        iou[:, held], together[:, held] = self._overlap.compare(indices, masks)

        agreement, cosine = appearance(sightings, tracks)
        seen = mask_affinity(iou, agreement, cosine)
        remembered = memory_affinity(*motion(sightings, tracks, indices), agreement, cosine)
        remembered[gaps(sightings, tracks) > self.memory] = 0
        likeness = np.where(together, seen, remembered)
        accepted = (likeness >= self.accept) & (likeness > 0)
        return np.where(accepted, likeness + SEEN_TOGETHER * together, 0), iou

    def _settle(
        self,
        sightings: list[Sighting],
        slot_by_track: dict[int, int],
        iou: NDArray[np.float32],
        capacity: int,
    ) -> None:
        """Update matched tracks; slots that remain are born, unless they repeat a matched track."""
        taken = [track_id in slot_by_track for track_id in self._live]
        repeats = np.logical_or.reduce(iou[:, taken] >= self.duplicate_iou, axis=1)
        row_track = {row: track_id for track_id, row in slot_by_track.items()}
        for row, sighting in enumerate(sightings):
            if row in row_track:
                track_id = row_track[row]
                self._live[track_id] = self._live[track_id].seen(sighting, capacity)
            elif not repeats[row]:
                self.tracks += 1  # ids begin at 1: 0 is the background of label maps
                self._live[self.tracks] = Track.born(self.tracks, sighting)
                slot_by_track[self.tracks] = row

    def _forget(self, window: Window) -> None:
        """Let tracks die that were not seen for too long and that the next window cannot see."""
        newest = window.real[-1]
        next_window = window.real[window.leaving] if window.leaving < window.length else newest + 1
        dead = [
            track_id
            for track_id, track in self._live.items()
            if newest - track.last_seen >= self.memory and track.last_seen < next_window
        ]
        for track_id in dead:
            del self._live[track_id]


def _sightings(
    slots: list[int],
    indices: NDArray[np.int64],
    masks: NDArray[np.float32],
    prediction: Prediction,
) -> list[Sighting]:
    """What the window says of the given slots, whose soft masks are `masks`."""
    visible = visibility(masks)
    return [
        Sighting(
            # Copied: a track would keep all of the window, masks included.
            class_votes=prediction.class_votes[slot].copy(),
            embedding=prediction.embeddings[slot].copy(),
            frames=indices[visible[row]],
            boxes=prediction.boxes[visible[row], slot],
        )
        for row, slot in enumerate(slots)
    ]
