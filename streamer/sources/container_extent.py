"""How much a container promises to hold, and whether what was read falls short of it."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from fractions import Fraction

from av import Packet
from av.container import InputContainer
from av.video.stream import VideoStream

log = logging.getLogger(__name__)

MIN_TOLERANCE_S = Fraction(1, 2)
"""A duration in a header may exceed the last packet by this much: it is no count of frames."""

MISSING_SHARE = 0.05
"""Share of the packets that a header promises, about, which may never come without a word."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a container's header says of its video.

    Attributes:
        frames: Packets that it holds, or about so many frames; None where unknown.
        duration_s: Seconds that it lasts; None where that is unknown.
        is_exact: An index lists every packet.
        is_binding: The end was written when the file was complete; not estimated from what is
            there, as for MPEG-TS.
    """

    frames: int | None
    duration_s: Fraction | None
    is_exact: bool
    is_binding: bool


def read_promise(container: InputContainer, stream: VideoStream) -> Promise:
    """Read a container's promise off its header."""
    rate = _rate(stream)
    duration_s = _stream_duration_s(container, stream)
    kinds = set(container.format.name.split(","))
    if "mov" in kinds and stream.frames:
        # the index knows of edit lists, which leave frames out
        return Promise(len(stream.index_entries), duration_s, is_exact=True, is_binding=True)
    if "avi" in kinds and stream.frames and rate:
        return Promise(stream.frames, stream.frames / rate, is_exact=False, is_binding=True)
    if "hls" in kinds and container.duration is not None:  # a playlist with an end
        # Its durations are rounded, some to whole seconds: enough to warn by, not to fail by.
        frames = round(Fraction(container.duration, 10**6) * rate) if rate else None
        return Promise(frames, None, is_exact=False, is_binding=True)
    frames = round(duration_s * rate) if duration_s is not None and rate else None
    is_binding = bool(kinds & {"matroska", "flv"}) and duration_s is not None
    return Promise(frames, duration_s, is_exact=False, is_binding=is_binding)


def _rate(stream: VideoStream) -> Fraction | None:
    return stream.average_rate or stream.guessed_rate


def _stream_duration_s(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """The video's own duration; the container's only where no other stream can be the longer."""
    tag = stream.metadata.get("DURATION", "")  # Matroska, "00:00:06.000000000"
    if parts := re.fullmatch(r"([0-9]+):([0-9]+):([0-9]+(?:\.[0-9]+)?)", tag):
        hours, minutes, seconds = parts.groups()
        end_s = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        # FFmpeg writes when the video ends, not how long it lasts.
        return end_s - (stream.start_time or 0) * (stream.time_base or 0)
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    if container.duration is not None and len(container.streams) == 1:
        return Fraction(container.duration, 10**6)
    return None


class ContainerExtent:
    """Follows the packets of one reading, to compare them with the promise."""

    def __init__(self, stream: VideoStream, promise: Promise) -> None:
        self._stream = stream
        self._promise = promise
        self._packets = 0
        self._first_dts: int | None = None
        self._last_tick: int | None = None
        self._last_duration = 0
        self._longest_gap = 0

    def add(self, packet: Packet[VideoStream]) -> None:
        """Count a packet."""
        self._packets += 1
        tick = packet.pts if packet.pts is not None else packet.dts
        if tick is None:
            return
        if self._first_dts is None:
            self._first_dts = packet.dts
        if self._last_tick is None or tick > self._last_tick:
            if self._last_tick is not None:
                self._longest_gap = max(self._longest_gap, tick - self._last_tick)
            self._last_tick = tick
            self._last_duration = packet.duration or 0

    @property
    def missing(self) -> int:
        """About how many packets never came of those promised, where it was read from its start."""
        promise, start = self._promise, self._stream.start_time or 0
        if not promise.is_binding or promise.frames is None or (self._first_dts or 0) > start:
            return 0
        missing = promise.frames - self._packets
        # A duration and a rate don't count the frames exactly; FLV's ends late by its B-frames.
        few = max(
            MISSING_SHARE * promise.frames, float(MIN_TOLERANCE_S * (_rate(self._stream) or 0))
        )
        return missing if missing > few else 0

    def warn_of_losses(self, name: str) -> None:
        """Say that packets are missing."""
        log.warning(
            "%s: about %d of %d frames never came: it is damaged, or its rate varies",
            name,
            self.missing,
            self._promise.frames,
        )

    def falls_short(self) -> bool:
        """Whether the reading ended before the promised end."""
        promise = self._promise
        if not promise.is_binding:
            return False
        if promise.is_exact and promise.frames is not None:
            before = 0
            if self._first_dts is not None:
                before = max(0, self._stream.index_entries.search_timestamp(self._first_dts))
            return self._packets < promise.frames - before
        if promise.frames is not None and self._packets >= promise.frames:
            return False
        if promise.duration_s is None or self._stream.time_base is None:
            return False
        first_tick = self._stream.start_time or 0
        last_s = ((self._last_tick or first_tick) - first_tick) * self._stream.time_base
        # The last frame is shown for a while too: as its packet says, or no longer than any other.
        shown = max(self._longest_gap, self._last_duration)
        tolerance_s = max(MIN_TOLERANCE_S, shown * self._stream.time_base)
        return last_s + tolerance_s < promise.duration_s
