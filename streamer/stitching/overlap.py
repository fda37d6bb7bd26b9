"""Soft masks of the frames that two neighbouring windows share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from streamer.window import Prediction

TAIL = 0.1
"""Probabilities under this count as 0: a faint background of ten thousand pixels would otherwise
outweigh the object of twenty that it surrounds."""


def soft_masks(prediction: Prediction) -> NDArray[np.float32]:
    """Mask probabilities of a prediction, 0 where a slot is absent.

    Returns:
        float32 [n, T, h·w]; slot first, so that a slot's frames are one vector.
    """
    logits = torch.from_numpy(prediction.masks).transpose(0, 1)
    # Written slot by slot in one pass: a transpose of its own costs as much as the sigmoid.
    by_slot = torch.empty_like(logits, memory_format=torch.contiguous_format)
    probabilities = torch.sigmoid(logits, out=by_slot)
    F.threshold(probabilities, TAIL, 0.0, inplace=True)
    probabilities *= torch.from_numpy(prediction.presence.T)[:, :, None, None]
    soft: NDArray[np.float32] = probabilities.flatten(2).numpy()
    return soft


def visibility(masks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where soft masks [n, T, h·w] have a pixel from 0.5 on: bool [n, T].

    A logit just above 0, which counts as inside elsewhere, may be a probability of 0.5 by rounding.
    """
    visible: NDArray[np.bool_] = masks.max(axis=2, initial=0) >= 0.5
    return visible


class OverlapMasks:
    """What the tracks looked like in the frames that the next window may hold; nothing older.

    Attributes:
        frames: int64 [F], indices of those frames, ascending.
        track_ids: Whose masks are held, P of them.
        masks: float16 [P, F, h·w], probabilities, 0 where not covered.
        covered: bool [P, F], frames that a window with this track held.
        visible: bool [P, F], frames in which its mask has a pixel.
    """

    def __init__(self) -> None:
        self.frames: NDArray[np.int64] = np.empty(0, np.int64)
        self.track_ids: tuple[int, ...] = ()
        self.masks: NDArray[np.float16] = np.empty((0, 0, 0), np.float16)
        self.covered: NDArray[np.bool_] = np.empty((0, 0), np.bool_)
        self.visible: NDArray[np.bool_] = np.empty((0, 0), np.bool_)

    def compare(
        self, indices: NDArray[np.int64], masks: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Compare a window's slots with the tracks held, over the frames that both cover.

        Args:
            indices: int64 [T], the window's frames.
            masks: float32 [n, T, h·w], its soft masks.

        Returns:
            Soft IoU Σpq / Σ(p²+q²-pq), float32 [n, P], and whether a frame shows both, bool [n, P].

        Source: soft IoU over the overlap as in IFC (Hwang et al., NeurIPS 2021), whose Σ(p+q-pq)
        gives two equal masks of probability ½ an IoU of only ⅓; the squares make that 1.
        """
        there, here = _shared(indices, self.frames)
        slots = masks[:, there]
        # PyTorch converts half precision eight times as fast as NumPy.
        tracks = torch.from_numpy(self.masks[:, here]).float().numpy()
        length = tracks.shape[1] * tracks.shape[2]
        intersection = slots.reshape(len(slots), length) @ tracks.reshape(len(tracks), length).T
        # A track that the last windows missed covers fewer frames: count the slot only in those.
        covered = self.covered[:, here].astype(np.float32)
        squares = np.einsum("nfp,nfp->nf", slots, slots) @ covered.T
        squares += np.einsum("pfx,pfx->p", tracks, tracks)[None, :]
        shows = visibility(slots).astype(np.float32)
        both = shows @ self.visible[:, here].astype(np.float32).T > 0
        return _iou(intersection, squares), both

    def advance(
        self,
        indices: NDArray[np.int64],
        masks: NDArray[np.float32],
        rows_by_track: Mapping[int, Sequence[int]],
        live: Sequence[int],
    ) -> None:
        """Keep what the next window may hold, the newest window's masks over older ones.

        Args:
            indices: int64 [F], the window's frames that stay.
            masks: float32 [n, F, h·w], the window's soft masks there.
            rows_by_track: Slots of each track in the window, of which a frame shows one at most.
            live: Tracks that may still be held.
        """
        there, here = _shared(indices, self.frames)
        rows = {track: row for row, track in enumerate(self.track_ids)}
        kept = [
            track
            for track in live
            if track in rows_by_track or (track in rows and self.visible[rows[track], here].any())
        ]
        halves, shown = torch.from_numpy(masks).half().numpy(), visibility(masks)
        advanced = np.zeros((len(kept), *masks.shape[1:]), np.float16)
        covered, visible = np.zeros((2, *advanced.shape[:2]), np.bool_)
        for position, track in enumerate(kept):
            if track in rows_by_track:
                slots = list(rows_by_track[track])
                advanced[position] = halves[slots].max(axis=0)
                covered[position], visible[position] = True, shown[slots].any(axis=0)
            else:
                advanced[position, there] = self.masks[rows[track], here]
                covered[position, there] = self.covered[rows[track], here]
                visible[position, there] = self.visible[rows[track], here]
        self.frames, self.track_ids = indices, tuple(kept)
        self.masks, self.covered, self.visible = advanced, covered, visible


def _shared(window: NDArray[np.int64], held: NDArray[np.int64]) -> tuple[slice, slice]:
    """Where the frames in both lie in each; slices, as both hold consecutive key frames."""
    there = np.flatnonzero(np.isin(window, held))
    here = np.flatnonzero(np.isin(held, window))
    if not len(there):
        return slice(0, 0), slice(0, 0)
    return slice(there[0], there[-1] + 1), slice(here[0], here[-1] + 1)


def _iou(intersection: NDArray[np.float32], squares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Σpq / Σ(p² + q² - pq): IoU for masks of 0 and 1, and 1 for equal ones however unsure."""
    iou: NDArray[np.float32] = intersection / np.maximum(squares - intersection, 1e-6)
    return iou
