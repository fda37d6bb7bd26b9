"""`streamer.stats`: counts and percentiles."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from streamer import stats
from streamer.stats import RECENT, Counts, RunStats


def counts_of(counted: RunStats, **others: int) -> Counts:
    """What a pipeline counts around its statistics."""
    names = ("decoded", "dropped", "corrupt", "reconnects", "tracks")
    return Counts(
        **dict.fromkeys(names, 0) | others,
        frames=counted.frames,
        windows=counted.windows,
        windows_s=counted.windows_s,
    )


def test_a_run_without_frames_sums_up_to_zeros() -> None:
    summary = RunStats().summary(counts_of(RunStats()))
    assert (summary.frames, summary.fps, summary.latency_ms) == (0, 0.0, (0.0, 0.0, 0.0))


def test_percentiles_are_those_of_the_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50_000_000_000
    monkeypatch.setattr(stats, "time", SimpleNamespace(monotonic_ns=lambda: now))
    counted = RunStats()
    for hundred_ms in range(101, 0, -1):
        counted.count_frame(now - hundred_ms * 100_000_000)
    for window_s in (0.25, 0.75, 0.5):
        counted.count_window(window_s)
    counts = counts_of(counted, decoded=103, dropped=3, corrupt=2, reconnects=4, tracks=5)
    summary = counted.summary(counts)
    assert summary.latency_ms == pytest.approx((5100, 9600, 10_000))
    assert summary.window_ms == pytest.approx((500, 725, 745))
    assert summary.wall_s == pytest.approx(10.1)
    assert summary.fps == pytest.approx(10)
    assert str(summary) == (
        "101 frames in 10.1 s (10.0 fps), 3 dropped, 2 corrupt packets, 4 reconnects, "
        "3 windows of 500 ms (median), 5 tracks\n"
        "latency from decoder to outputs: p50 5100 ms, p95 9600 ms, p99 10000 ms"
    )


def test_one_is_no_plural_and_latency_may_be_left_out() -> None:
    counted = RunStats()
    counted.count_frame(0)
    counted.count_window(0)
    summary = counted.summary(counts_of(counted, corrupt=1, reconnects=1, tracks=1))
    said = summary.describe(latency=False)
    assert said.startswith("1 frame in ")
    ending = "0 dropped, 1 corrupt packet, 1 reconnect, 1 window of 0 ms (median), 1 track"
    assert said.endswith(ending)


def test_time_counts_up_to_the_first_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((1, 2, 3))
    clock = SimpleNamespace(monotonic_ns=lambda: next(seconds) * 10**9)
    monkeypatch.setattr(stats, "time", clock)
    counted = RunStats()
    counted.count_frame(0)
    counted.end()
    counted.end()
    assert counted.summary(counts_of(counted)).wall_s == 2


def test_only_the_latest_times_are_kept() -> None:
    counted = RunStats()
    for _ in range(RECENT + 10):
        counted.count_frame(0)
        counted.count_window(0)
    assert counted.frames == RECENT + 10
    assert len(counted._latencies_ms) == len(counted._windows_ms) == RECENT
