"""Identities across windows: which slot of a new window is which known track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamer.stitching.affinity import (
    appearance_cosine,
    class_agreement,
    gaps,
    mask_affinity,
    memory_affinity,
    motion,
)
from streamer.stitching.overlap import OverlapMasks, soft_masks, visibility
from streamer.stitching.track import Identity, Sighting, Track, sightings_in
from streamer.window import Prediction, Window

SEEN_TOGETHER = 2.0
"""Added to pairs that masks speak for, so that the assignment never breaks one of them to gain two
others (of at most 1 each) that only memory speaks for."""

DUPLICATE_TRACK_IOU = 0.6
"""Soft IoU of masks with a track that another slot has, from which a slot that is left repeats it.
Source: MDQE (Li et al., CVPR 2023) leaves duplicates out by the IoU of their masks, too."""


class Stitcher:
    """Gives the slots of one window after another lasting identities.

    Slots and known tracks are paired by one assignment: by mask IoU, class and appearance where a
    shared frame shows both, by appearance, class and the expected place where none does. An object
    that is hidden for a while within a window takes two slots. A slot that is left over gets the
    track that its masks match, if that track's own slot shows it in other frames only. Otherwise it
    goes on with a track that ended before it, even in the same window. What is still left is a new
    track, unless it repeats one, or appears only in frames that earlier windows have settled.

    Source: the assignment over the overlap follows IFC (Hwang et al., NeurIPS 2021); the rule for
    repeated tracks and the bounded memory follow MDQE (Li et al., CVPR 2023).

    Args:
        accept: Affinity in [0, 1] that a slot and a track need to be one object.
        memory: Frames after which a track that was not seen is forgotten.

    Attributes:
        births: Tracks born so far.
    """

    def __init__(self, *, accept: float, memory: int) -> None:
        self.births = 0
        self._accept = accept
        self._memory = memory
        self._live: dict[int, Track] = {}
        self._overlap = OverlapMasks()
        self._mask_size: tuple[int, ...] | None = None

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
            One identity per slot; None for a slot to be left out. No frame shows an identity in two
            slots.

        Raises:
            ValueError: The prediction is not of this window, or of another mask size than before.
        """
        self._check(window, prediction)
        indices = window.real_indices
        masks = soft_masks(prediction)
        kept = np.flatnonzero(visibility(masks).any(axis=1)).tolist()
        if len(kept) < len(masks):  # the copy costs milliseconds
            masks = masks[kept]
        sightings = sightings_in(window, prediction, kept, masks)
        by_masks, by_memory, iou = self._affinities(sightings, indices, masks)
        known = list(self._live)
        track_by_row: dict[int, int] = {}
        affinity = np.where(by_masks > 0, by_masks + SEEN_TOGETHER, by_memory)
        rows, columns = linear_sum_assignment(affinity, maximize=True)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if affinity[row, column] > 0:
                track_by_row[row] = known[column]
        _join_parts(sightings, track_by_row, by_masks, known)
        self._settle(sightings, track_by_row, iou, window)

        identities: list[Identity | None] = [None] * len(prediction)
        for row, track_id in track_by_row.items():
            identities[kept[row]] = Identity(track_id, self._live[track_id].category_id)
        self._forget(window)
        stay, rows_by_track = slice(window.leaving, None), _rows_by_track(track_by_row)
        self._overlap.advance(indices[stay], masks[:, stay], rows_by_track, list(self._live))
        return tuple(identities)

    def _check(self, window: Window, prediction: Prediction) -> None:
        prediction.check_fits(window)
        size = prediction.masks.shape[2:]
        if self._mask_size not in (None, size):
            raise ValueError(
                f"masks of {size} after masks of {self._mask_size}: within an epoch their size "
                "stays the same"
            )
        self._mask_size = size

    def _affinities(
        self, sightings: list[Sighting], indices: NDArray[np.int64], masks: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Affinity to every live track, by masks and by memory, and mask IoU; float32 [n, P] each.

        By masks where a frame shows both, by memory where none does; 0 elsewhere and where refused.
        """
        tracks = list(self._live.values())
        shape = (len(sightings), len(tracks))
        iou, together = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        if not sightings or not tracks:
            return np.zeros(shape, np.float32), np.zeros(shape, np.float32), iou
        column = {track_id: position for position, track_id in enumerate(self._live)}
        held = [column[track_id] for track_id in self._overlap.track_ids]
        iou[:, held], together[:, held] = self._overlap.compare(indices, masks)

        agreement = class_agreement(sightings, tracks)
        appearance = appearance_cosine(sightings, tracks)
        by_masks = mask_affinity(iou, agreement, appearance)
        by_memory = memory_affinity(*motion(sightings, tracks, indices), agreement, appearance)
        by_memory[gaps(sightings, tracks) > self._memory] = 0
        by_masks = np.where(together & self._accepts(by_masks), by_masks, 0)
        by_memory = np.where(~together & self._accepts(by_memory), by_memory, 0)
        return by_masks, _of_first_parts(sightings, by_memory), iou

    def _accepts(self, affinity: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which pairs may be one object."""
        return affinity >= self._accept

    def _settle(
        self,
        sightings: list[Sighting],
        track_by_row: dict[int, int],
        iou: NDArray[np.float32],
        window: Window,
    ) -> None:
        """Update matched tracks; slots that remain go on with one that ended, or are born.

        Those that repeat a matched track do neither.
        """
        taken = [track_id in track_by_row.values() for track_id in self._live]
        repeats = np.logical_or.reduce(iou[:, taken] >= DUPLICATE_TRACK_IOU, axis=1)
        for track_id, rows in _rows_by_track(track_by_row).items():
            whole = Sighting.joined([sightings[row] for row in rows])
            self._live[track_id] = self._live[track_id].updated(whole, window.length)
        left = [row for row in np.flatnonzero(~repeats).tolist() if row not in track_by_row]
        for row in sorted(left, key=lambda row: sightings[row].frames[0]):
            track = self._continued_or_born(sightings[row], window)
            if track is not None:
                self._live[track.track_id] = track
                track_by_row[row] = track.track_id

    def _continued_or_born(self, sighting: Sighting, window: Window) -> Track | None:
        """The ended track that a slot goes on with, or else a new one.

        A closing window also holds frames that the last one had left behind, and of whose masks
        nothing is known: who shows only there is not born.
        """
        ended = self._ended(sighting, window.real_indices)
        if ended is not None:
            return ended.updated(sighting, window.length)
        held = self._overlap.frames
        known_from = held[0] if len(held) else window.new[0].index
        if sighting.frames[-1] < known_from:
            return None
        self.births += 1  # ids begin at 1: 0 is the background of label maps
        return Track.born(self.births, sighting)

    def _ended(self, sighting: Sighting, indices: NDArray[np.int64]) -> Track | None:
        """The track that goes on with a slot that stayed alone, if one does: it ended before."""
        ended = [
            track
            for track in self._live.values()
            if 0 < sighting.frames[0] - track.last_seen <= self._memory
        ]
        if not ended:
            return None
        movement = motion([sighting], ended, indices)
        agreement = class_agreement([sighting], ended)
        (affinity,) = memory_affinity(*movement, agreement, appearance_cosine([sighting], ended))
        best = int(affinity.argmax())
        return ended[best] if self._accepts(affinity)[best] else None

    def _forget(self, window: Window) -> None:
        """Let tracks die that were not seen for too long and that the next window cannot see."""
        newest = window.real[-1]
        next_window = window.real[window.leaving] if window.leaving < window.length else newest + 1
        dead = [
            track_id
            for track_id, track in self._live.items()
            if newest - track.last_seen >= self._memory and track.last_seen < next_window
        ]
        for track_id in dead:
            del self._live[track_id]


def _rows_by_track(track_by_row: Mapping[int, int]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, track_id in track_by_row.items():
        rows.setdefault(track_id, []).append(row)
    return rows


def _of_first_parts(
    sightings: Sequence[Sighting], affinity: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Affinities [n, P], those with the later parts of a track set to 0.

    Of slots that would go on with one track one after the other only the first is matched: the
    others follow it.
    """
    firsts, lasts = (np.array([one.frames[end] for one in sightings]) for end in (0, -1))
    gone = np.where(affinity > 0, lasts[:, None], np.iinfo(np.int64).max).min(axis=0)
    return np.where(firsts[:, None] <= gone, affinity, 0)


def _join_parts(
    sightings: Sequence[Sighting],
    track_by_row: dict[int, int],
    by_masks: NDArray[np.float32],
    known: Sequence[int],
) -> None:
    """Give slots that are alone the tracks of which masks say that they are another part."""
    frames_by_track = {track_id: sightings[row].frames for row, track_id in track_by_row.items()}
    for row in range(len(sightings)):
        column = int(by_masks[row].argmax()) if row not in track_by_row and known else -1
        if column < 0 or by_masks[row, column] <= 0:
            continue
        # Its best track has a slot already: the assignment would otherwise have paired the two.
        shown, frames = frames_by_track[known[column]], sightings[row].frames
        if not np.isin(frames, shown).any():
            track_by_row[row] = known[column]
            frames_by_track[known[column]] = np.concatenate((shown, frames))
