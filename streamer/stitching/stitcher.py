"""Identities across windows: which slot of a new window is which known track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from streamer.stitching.affinity import appearance, gaps, mask_affinity, memory_affinity, motion
from streamer.stitching.identity import Identity
from streamer.stitching.overlap import OverlapMasks, soft_masks, visibility
from streamer.stitching.track import Sighting, Track, sightings_in
from streamer.window import Prediction, Window

SEEN_TOGETHER = 2.0
"""Added to pairs that masks speak for, so that the assignment never breaks one of them to gain two
others (of at most 1 each) that only memory speaks for."""

REPEATS = 0.6
"""Soft IoU of masks with a track that another slot has, from which a slot that is left repeats it.
Source: MDQE (Li et al., CVPR 2023) leaves duplicates out by the IoU of their masks, too."""


class Stitcher:
    """Gives the slots of one window after another lasting identities.

    Slots and known tracks are paired by one assignment: by mask IoU, class and looks where a shared
    frame shows both, by looks, class and the expected place where none does. An object
    that is hidden for a while within a window takes two slots. A slot that is left over gets the
    track that its masks match, if that track's own slot shows it in other frames only. Otherwise it
    goes on with a track that ended before it, even in the same window. What is still left is a new
    track, unless it repeats one, or appears only in frames that earlier windows have settled.

    Source: the assignment over the overlap follows IFC (Hwang et al., NeurIPS 2021); the rule for
    repeated tracks and the bounded memory follow MDQE (Li et al., CVPR 2023).

    Args:
        accept: Likeness in [0, 1] that a slot and a track need to be one object.
        memory: Frames after which a track that was not seen is forgotten.

    Attributes:
        tracks: Tracks born so far.
    """

    def __init__(self, *, accept: float, memory: int) -> None:
        self.accept = accept
        self.memory = memory
        self.tracks = 0
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
            One identity per slot; None for a slot to be left out. No frame shows an identity in two
            slots.

        Raises:
            ValueError: The prediction is not of this window, or of another mask size than before.
        """
        self._check(window, prediction)
        indices = np.array(window.real, np.int64)
        masks = soft_masks(prediction)
        kept = np.flatnonzero(visibility(masks).any(axis=1)).tolist()
        if len(kept) < len(masks):  # the copy costs milliseconds
            masks = masks[kept]
        sightings = sightings_in(window, prediction, kept, masks)
        seen, remembered, iou = self._likeness(sightings, indices, masks)
        known = list(self._live)
        track_by_row: dict[int, int] = {}
        likeness = np.where(seen > 0, seen + SEEN_TOGETHER, remembered)
        rows, columns = linear_sum_assignment(likeness, maximize=True)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if likeness[row, column] > 0:
                track_by_row[row] = known[column]
        _join_parts(sightings, track_by_row, seen, known)
        self._settle(sightings, track_by_row, iou, window)

        identities: list[Identity | None] = [None] * len(prediction)
        for row, track_id in track_by_row.items():
            identities[kept[row]] = Identity(track_id, self._live[track_id].category_id)
        self._forget(window)
        stay, rows_by_track = slice(window.leaving, None), _rows_by_track(track_by_row)
        self._overlap.advance(indices[stay], masks[:, stay], rows_by_track, list(self._live))
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

    def _likeness(
        self, sightings: list[Sighting], indices: NDArray[np.int64], masks: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Likeness to every live track, and mask IoU; float32 [n, P] each.

        Of pairs that a frame shows together by masks, of others by memory; 0 elsewhere and where
        refused.
        """
        tracks = list(self._live.values())
        shape = (len(sightings), len(tracks))
        iou, together = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        if not sightings or not tracks:
            return np.zeros(shape, np.float32), np.zeros(shape, np.float32), iou
        column = {track_id: position for position, track_id in enumerate(self._live)}
        held = [column[track_id] for track_id in self._overlap.track_ids]
        iou[:, held], together[:, held] = self._overlap.compare(indices, masks)

        agreement, looks = appearance(sightings, tracks)
        seen = mask_affinity(iou, agreement, looks)
        remembered = memory_affinity(*motion(sightings, tracks, indices), agreement, looks)
        remembered[gaps(sightings, tracks) > self.memory] = 0
        seen = np.where(together & self._accepts(seen), seen, 0)
        remembered = np.where(~together & self._accepts(remembered), remembered, 0)
        return seen, _of_first_parts(sightings, remembered), iou

    def _accepts(self, likeness: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which pairs may be one object; those of no likeness never are, whatever `accept` is."""
        return (likeness >= self.accept) & (likeness > 0)

    def _settle(
        self,
        sightings: list[Sighting],
        track_by_row: dict[int, int],
        iou: NDArray[np.float32],
        window: Window,
    ) -> None:
        """Update matched tracks; slots that remain go on with one that ended, or are born.

        Those that repeat a matched track do neither. A closing window also holds frames that the
        last one had left behind, and of whose masks nothing is known: nobody is born there.
        """
        indices = np.array(window.real, np.int64)
        taken = [track_id in track_by_row.values() for track_id in self._live]
        repeats = np.logical_or.reduce(iou[:, taken] >= REPEATS, axis=1)
        known_from = self._overlap.frames[0] if len(self._overlap.frames) else window.new[0].index
        for track_id, rows in _rows_by_track(track_by_row).items():
            whole = Sighting.joined([sightings[row] for row in rows])
            self._live[track_id] = self._live[track_id].seen(whole, len(indices))
        by_coming = np.argsort([sighting.frames[0] for sighting in sightings], kind="stable")
        for row in by_coming.tolist():
            if row in track_by_row or repeats[row]:
                continue
            sighting = sightings[row]
            ended = self._ended(sighting, indices)
            if ended is None and sighting.frames[-1] < known_from:
                continue
            if ended is None:
                self.tracks += 1  # ids begin at 1: 0 is the background of label maps
                track = Track.born(self.tracks, sighting)
            else:
                track = ended.seen(sighting, len(indices))
            self._live[track.track_id] = track
            track_by_row[row] = track.track_id

    def _ended(self, sighting: Sighting, indices: NDArray[np.int64]) -> Track | None:
        """The track that goes on with a slot that stayed alone, if one does: it ended before."""
        ended = [
            track
            for track in self._live.values()
            if 0 < sighting.frames[0] - track.last_seen <= self.memory
        ]
        if not ended:
            return None
        movement = motion([sighting], ended, indices)
        (likeness,) = memory_affinity(*movement, *appearance([sighting], ended))
        best = int(likeness.argmax())
        return ended[best] if self._accepts(likeness)[best] else None

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


def _rows_by_track(track_by_row: Mapping[int, int]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, track_id in track_by_row.items():
        rows.setdefault(track_id, []).append(row)
    return rows


def _of_first_parts(
    sightings: Sequence[Sighting], remembered: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Likeness [n, P] without slots that come after another has gone that is like the same track.

    Of parts one after the other the first goes on with the track, and the others follow it.
    """
    firsts, lasts = (np.array([seen.frames[end] for seen in sightings]) for end in (0, -1))
    gone = np.where(remembered > 0, lasts[:, None], np.iinfo(np.int64).max).min(axis=0)
    return np.where(firsts[:, None] <= gone, remembered, 0)


def _join_parts(
    sightings: Sequence[Sighting],
    track_by_row: dict[int, int],
    seen: NDArray[np.float32],
    known: Sequence[int],
) -> None:
    """Give slots that are alone the tracks of which masks say that they are another part."""
    frames_by_track = {track_id: sightings[row].frames for row, track_id in track_by_row.items()}
    for row in range(len(sightings)):
        column = int(seen[row].argmax()) if row not in track_by_row and known else -1
        if column < 0 or seen[row, column] <= 0:
            continue
        # Masks that speak for a pair of two who are alone would have paired them.
        shown, frames = frames_by_track[known[column]], sightings[row].frames
        if not np.isin(frames, shown).any():
            track_by_row[row] = known[column]
            frames_by_track[known[column]] = np.concatenate((shown, frames))
