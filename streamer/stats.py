"""Counting and timing a run, in bounded memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection
from dataclasses import asdict, dataclass

import numpy as np

from streamer.printable import counted

RECENT = 10_000
"""Latest latencies and window times kept, for percentiles of endless streams."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run has counted so far.

    Attributes:
        decoded: Frames that the source gave, also those skipped undecoded to catch up with it.
        dropped: Those that get no result, counted where they are dropped.
        frames: Results given out.
        corrupt: Packets or images that were damaged: passed over, or shown with the rest made up.
        reconnects: Times that the source was lost and reached again.
        windows: Passes of the network.
        windows_s: Time of all windows, network and stitching, in seconds.
        tracks: Identities given.
    """

    decoded: int
    dropped: int
    frames: int
    corrupt: int
    reconnects: int
    windows: int
    windows_s: float
    tracks: int


@dataclass(frozen=True, slots=True)
class Summary(Counts):
    """What a run did: its counts, and how long it took.

    Attributes:
        wall_s: Duration from the first decoded frame to the end of the results, in seconds; up to
            now while the run goes on.
        window_ms: p50, p95 and p99 of a window's time, network and stitching, over the latest
            `RECENT` windows.
        latency_ms: p50, p95 and p99 from leaving the decoder to hand-over to the outputs, over the
            latest `RECENT` frames.
    """

    wall_s: float
    window_ms: tuple[float, float, float]
    latency_ms: tuple[float, float, float]

    @property
    def fps(self) -> float:
        """Results per second of wall time."""
        return self.frames / self.wall_s if self.wall_s else 0.0

    def __str__(self) -> str:
        return self.describe()

    def describe(self, *, latency: bool = True) -> str:
        """What is said at the end, with or without a second line about the latency."""
        p50, p95, p99 = self.latency_ms
        text = (
            f"{counted(self.frames, 'frame')} in {self.wall_s:.1f} s ({self.fps:.1f} fps), "
            f"{self.dropped} dropped, {counted(self.corrupt, 'corrupt packet')}, "
            f"{counted(self.reconnects, 'reconnect')}, {counted(self.windows, 'window')} "
            f"of {self.window_ms[0]:.0f} ms (median), {counted(self.tracks, 'track')}"
        )
        ms = f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"
        return f"{text}\nlatency from decoder to outputs: {ms}" if latency else text


class RunStats:
    """Counters of one run, kept on the main thread."""

    def __init__(self) -> None:
        self.frames = 0
        self.windows = 0
        self.windows_s = 0.0
        self._started_ns: int | None = None
        self._ended_ns: int | None = None
        self._latencies_ms: deque[float] = deque(maxlen=RECENT)
        self._windows_ms: deque[float] = deque(maxlen=RECENT)

    def count_frame(self, decoded_ns: int) -> None:
        """Count a result whose frame left the decoder at `decoded_ns` (`time.monotonic_ns`)."""
        if self._started_ns is None:
            self._started_ns = decoded_ns
        self.frames += 1
        self._latencies_ms.append((time.monotonic_ns() - decoded_ns) / 1e6)

    def count_window(self, seconds: float) -> None:
        """Count a window that took `seconds`."""
        self.windows += 1
        self.windows_s += seconds
        self._windows_ms.append(seconds * 1e3)

    def end(self) -> None:
        """There are no more results: time counts up to the first call."""
        self._ended_ns = self._ended_ns or time.monotonic_ns()

    def summary(self, counts: Counts) -> Summary:
        """The run so far; percentiles are zeros before the first frame or window."""
        now = time.monotonic_ns() if self._ended_ns is None else self._ended_ns
        started = now if self._started_ns is None else self._started_ns
        return Summary(
            **asdict(counts),
            wall_s=(now - started) / 1e9,
            window_ms=_percentiles(self._windows_ms),
            latency_ms=_percentiles(self._latencies_ms),
        )


def _percentiles(values: Collection[float]) -> tuple[float, float, float]:
    if not values:
        return 0.0, 0.0, 0.0
    p50, p95, p99 = np.percentile(np.asarray(values), [50, 95, 99]).tolist()
    return p50, p95, p99
