"""`streamer.stats`: counts and percentiles."""

from __future__ import annotations

import time

import pytest

from streamer.stats import RECENT, RunStats


def test_nothing_happened() -> None:
    summary = RunStats().summary(decoded=0, dropped=0, corrupt=0, reconnects=0, tracks=0)
    assert (summary.frames, summary.fps, summary.latency_ms) == (0, 0.0, (0.0, 0.0, 0.0))


def test_percentiles_are_those_of_the_latencies() -> None:
    stats = RunStats()
    now = time.monotonic_ns()
    for hundred_ms in range(1, 101):
        stats.count_frame(now - hundred_ms * 100_000_000)
    stats.count_window(0.25)
    summary = stats.summary(decoded=103, dropped=3, corrupt=2, reconnects=4, tracks=5)
    p50, p95, p99 = summary.latency_ms
    assert p50 == pytest.approx(5050, abs=1000)
    assert p50 < p95 < p99
    assert summary.window_ms == pytest.approx((250, 250, 250))
    assert "100 frames" in str(summary)
    assert "3 dropped, 2 corrupt packets passed, 4 reconnects, 1 windows" in str(summary)


def test_memory_does_not_grow() -> None:
    stats = RunStats()
    for _ in range(RECENT + 10):
        stats.count_frame(0)
        stats.count_window(0)
    assert stats.frames == RECENT + 10
    assert len(stats._latencies_ms) == len(stats._windows_ms) == RECENT
