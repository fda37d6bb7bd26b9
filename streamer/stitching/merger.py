"""Frames wait here until their windows are done; then their masks are merged and they leave."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from streamer.frame import Frame
from streamer.mask import Mask
from streamer.output import FrameResult, Instance
from streamer.stitching.evidence import Evidence, accumulate
from streamer.stitching.interpolation import KeyFrame, interpolate
from streamer.stitching.track import Identity
from streamer.stitching.upsampling import Upsampler, fill_box, upsample_masks
from streamer.window import Prediction, Window

SLIVER_CELLS = 0.25
"""Area, in cells of the network's mask, under which a mask is left out: one cell barely above zero
between negative ones becomes less, and is no object."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A frame that waits. A key frame is one that a window has held.

    Attributes:
        frame: The frame.
        windows: How many have held it; 0 for one in between key frames, or one that no window has
            held yet.
        is_final: Whether no later window will add to it.
        evidence_by_track: What the windows say of it, by track id.
    """

    frame: Frame
    windows: int = 0
    is_final: bool = False
    evidence_by_track: dict[int, Evidence] = field(default_factory=dict)


class FrameMerger:
    """Holds frames until all their windows are merged; gives them out in order, each once.

    Logits and scores of several windows are averaged with weights that favour window centres. A
    frame that was added and then passed over by the windows lies in between key frames
    (``frame_step``): it leaves after the key frame that follows it, with interpolated masks.

    Args:
        emit_delay: Windows that a key frame waits for after the first that holds it, unless it
            leaves the windows earlier.
        categories: Names by category id.
        boxes_only: Whether an object's mask is to be its box, averaged like the masks otherwise.
        upsample: Makes masks of logits, of all frames that leave together at once.
    """

    def __init__(
        self,
        emit_delay: int,
        categories: Sequence[str],
        *,
        boxes_only: bool = False,
        upsample: Upsampler = upsample_masks,
    ) -> None:
        self._emit_delay = emit_delay
        self._categories = tuple(categories)
        self._boxes_only = boxes_only
        self._upsample = upsample
        self._pending: deque[_Pending] = deque()
        self._before: KeyFrame | None = None  # of this epoch, newest that left
        self._next_index = 0

    @property
    def pending(self) -> int:
        """Frames that wait."""
        return len(self._pending)

    def add(self, frame: Frame) -> None:
        """Take the next frame, whether a window will hold it or not.

        Raises:
            ValueError: Its index does not follow those before.
        """
        last = self._pending[-1].frame.index if self._pending else self._next_index - 1
        if frame.index <= last:
            raise ValueError(f"frame {frame.index} after frame {last}: indices must ascend")
        self._pending.append(_Pending(frame))

    def merge(
        self, window: Window, prediction: Prediction, identities: Sequence[Identity | None]
    ) -> list[FrameResult]:
        """Add what one window says of its frames.

        Args:
            window: The window; every frame of it was added before.
            prediction: Its slots.
            identities: Who the slots are; None leaves one out. A frame shows nobody in two slots.

        Returns:
            The frames that are finished by that, in order.

        Raises:
            ValueError: The three do not fit each other, or a frame of the window was never added.
        """
        slots: dict[Identity, list[int]] = {}
        for slot, identity in enumerate(identities):
            if identity is not None:
                slots.setdefault(identity, []).append(slot)
        _check(window, prediction, identities, slots)
        waiting = {pending.frame.index: pending for pending in self._pending}
        absent = [i for i in window.real if i >= self._next_index and i not in waiting]
        if absent:
            raise ValueError(f"the window holds frame {absent[0]}, which was never added")
        for pending in self._pending:  # a stride that grew has passed over some
            pending.is_final |= pending.frame.index < window.real[0]
        weights = centre_weights(window.length)
        for position, index in enumerate(window.real):
            # A closing window holds frames again that have left already.
            if index < self._next_index:
                continue
            pending = waiting[index]
            pending.windows += 1
            pending.is_final |= position < window.leaving
            weight = float(weights[position])
            accumulate(pending.evidence_by_track, prediction, slots, position, weight)
        return self._emit(flushing=False)

    def flush(self) -> list[FrameResult]:
        """End the epoch: every frame that waits leaves, those after the last key frame too.

        Frames that no window covered count as in between; where the epoch was cut short and its
        last key frames have no window, call `discard` first. Without any key frame, they stay.

        Returns:
            The frames, in order.
        """
        results = self._emit(flushing=True)
        if self._before is not None:
            results += self._in_between(len(self._pending), self._before, None)
        self._before = None
        return results

    def discard(self) -> int:
        """Drop the newest frames, as far as no window covered them (the stream was cut short).

        Returns:
            How many frames that were.
        """
        before = len(self._pending)
        while self._pending and not self._pending[-1].windows:
            self._pending.pop()
        return before - len(self._pending)

    def _emit(self, *, flushing: bool) -> list[FrameResult]:
        """Let key frames leave as far as they are finished, each behind those before it."""
        results: list[FrameResult] = []
        keys = [pending for pending in self._pending if pending.windows]
        finished = list(takewhile(lambda key: flushing or self._is_finished(key), keys))
        for key, instances in zip(finished, self._instances(finished), strict=True):
            after = KeyFrame(key.frame.time_s, instances)
            if self._before is not None:  # an epoch begins with a key frame
                results += self._in_between(self._pending.index(key), self._before, after)
            results.append(self._result(self._pending.popleft().frame, instances))
            self._before = after
        return results

    def _is_finished(self, key: _Pending) -> bool:
        return key.is_final or key.windows > self._emit_delay

    def _in_between(
        self, count: int, before: KeyFrame, after: KeyFrame | None
    ) -> list[FrameResult]:
        """The oldest `count` frames, interpolated."""
        frames = [self._pending.popleft().frame for _ in range(count)]
        return [
            self._result(frame, interpolate(frame.time_s, before, after), interpolated=True)
            for frame in frames
        ]

    def _result(
        self, frame: Frame, instances: tuple[Instance, ...], *, interpolated: bool = False
    ) -> FrameResult:
        dropped = frame.index - self._next_index
        self._next_index = frame.index + 1
        return FrameResult(frame, instances, interpolated, dropped)

    def _instances(self, keys: Sequence[_Pending]) -> list[tuple[Instance, ...]]:
        """What is in each of some key frames of an epoch, best score first."""
        found: list[list[Instance]] = [[] for _ in keys]
        shown = [
            (instances, track_id, evidence)
            for instances, key in zip(found, keys, strict=True)
            for track_id, evidence in key.evidence_by_track.items()
            if evidence.logits is not None
        ]
        segments = self._segments([evidence for *_, evidence in shown], keys)
        for (instances, track_id, evidence), segment in zip(shown, segments, strict=True):
            if segment is not None:
                category = self._categories[evidence.category_id]
                score = evidence.score / evidence.weight
                instances.append(Instance(track_id, evidence.category_id, category, score, segment))
        return [tuple(sorted(each, key=lambda one: (-one.score, one.track_id))) for each in found]

    def _segments(self, shown: Sequence[Evidence], keys: Sequence[_Pending]) -> list[Mask | None]:
        if not shown:
            return []
        epoch = keys[0].frame.epoch
        if self._boxes_only:
            boxes = [evidence.box / evidence.box_weight for evidence in shown]
            return [fill_box(box, epoch.region, epoch.size) for box in boxes]
        logits = [evidence.logits for evidence in shown if evidence.logits is not None]
        segments = self._upsample(logits, epoch.region, epoch.size)
        least = SLIVER_CELLS * epoch.region.height * epoch.region.width / logits[0].size
        return [each if each is None or each.area >= least else None for each in segments]


def centre_weights(length: int) -> NDArray[np.float32]:
    """float32 [length]: weight of a window's frames, in (0, 1], a triangle over its real frames.

    Frames at a window's edge are segmented worse than those at its centre; the triangle (a Bartlett
    window without its zeros) fades a window in and out, so that masks don't jump where one begins.
    """
    ramp = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    weights: NDArray[np.float32] = (ramp / ramp.max()).astype(np.float32)
    return weights


def _check(
    window: Window,
    prediction: Prediction,
    identities: Sequence[Identity | None],
    slots: Mapping[Identity, Sequence[int]],
) -> None:
    prediction.check_fits(window)
    if len(identities) != len(prediction):
        raise ValueError(f"{len(identities)} identities for {len(prediction)} slots")
    for identity, several in slots.items():
        for position in range(window.length if len(several) > 1 else 0):
            if sum(prediction.shows(position, slot) for slot in several) > 1:
                raise ValueError(
                    f"track {identity.track_id} in slots {several} of frame {window.real[position]}"
                )
