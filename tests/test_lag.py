"""How far a live source is behind, and what is skipped: made times, no real ones."""

from __future__ import annotations

import pytest

from streamer.sources.lag import BEHIND_S, Lag, Skipped

FPS = 25


class Reading:
    """A camera that is read: what it has sent waits until it is asked for.

    Args:
        busy_s: What each packet that is not skipped takes.
        clock: Seconds of its time stamps in a second.
        gop: Packets from key frame to key frame.
    """

    def __init__(self, busy_s: float, clock: float = 1, gop: int = 50) -> None:
        self.lag, self.busy_s, self.clock, self.gop = Lag(), busy_s, clock, gop
        self.now_s, self.stamp_s, self.network_s = 100.0, 7.0, 0.0
        self.count = 0
        self.skipped: list[int] = []
        self.delays_s: list[float] = []
        self.told: list[Skipped] = []
        self.is_skipping = False

    def read(self, packets: int) -> None:
        for _ in range(packets):
            self.count += 1
            self.stamp_s += self.clock / FPS
            taken_s = 100 + self.count / FPS
            waited_s = max(taken_s - self.now_s, self.network_s - self.now_s, 0.0002)
            self.now_s += waited_s
            is_key = self.count % self.gop == 0
            step = self.lag.step(self.stamp_s, self.now_s, waited_s, is_key=is_key)
            assert step.is_first == (step.is_skipped and not self.is_skipping)
            self.is_skipping = step.is_skipped
            if step.is_skipped:
                self.skipped.append(self.count)
                continue
            if step.skipped:
                assert is_key
                self.told.append(step.skipped)
            self.delays_s.append(self.now_s - taken_s)
            self.now_s += self.busy_s


@pytest.mark.parametrize("busy_s", [0.001, 0.03, 0.039])
@pytest.mark.parametrize("clock", [0.9999, 1, 1.02])
def test_who_keeps_up_skips_nothing(busy_s: float, clock: float) -> None:
    reading = Reading(busy_s, clock)
    reading.read(100_000)
    assert reading.skipped == []


@pytest.mark.parametrize(
    ("clock", "busy_s"), [(0.95, 0.015), (0.999, 0.022), (0.998, 0.03), (0.99, 0.035)]
)
def test_a_clock_that_is_slow_is_no_lag(clock: float, busy_s: float) -> None:
    reading = Reading(busy_s, clock)
    reading.read(100_000)
    assert reading.skipped == []


def test_a_clock_that_is_a_little_slow_is_never_far_behind() -> None:
    """So little that it is seconds only after most of a day: it is no backlog either."""
    lag = Lag()
    for second in range(80_000):
        # A decoder that is busy for most of the time: reads would not explain a lag.
        step = lag.step(second * (1 - 1e-4), second, 0.01, is_key=True)
        assert step == (False, False, None)


@pytest.mark.parametrize("gop", [1, 50, 250])
@pytest.mark.parametrize("clock", [0.97, 1, 1.02])
def test_who_is_too_slow_catches_up_again_and_again(gop: int, clock: float) -> None:
    reading = Reading(0.05, clock, gop)
    reading.read(50_000)
    assert len(reading.told) > 20
    assert 0.1 < len(reading.skipped) / 50_000 < 0.5
    assert max(reading.delays_s) < BEHIND_S + 2
    assert max(reading.delays_s[-5_000:]) > BEHIND_S / 2
    assert min(reading.delays_s[-5_000:]) < 0.1


def test_a_slow_clock_does_not_hide_that_it_is_too_slow_later() -> None:
    reading = Reading(0.01, 0.99)
    reading.read(50_000)
    reading.busy_s = 0.08
    reading.read(1_000)
    assert reading.skipped
    assert max(reading.delays_s) < 2 * BEHIND_S


@pytest.mark.parametrize("pause_s", [4, 8, 30])
def test_a_burst_after_a_pause_of_the_network_is_read(pause_s: float) -> None:
    reading = Reading(0.03)
    reading.read(200)
    reading.network_s = reading.now_s + pause_s
    reading.read(10_000)
    assert max(reading.delays_s) > pause_s - 1
    assert reading.skipped == []


@pytest.mark.parametrize("leap_s", [-3600, -20, 8, 20, 3600])
def test_time_stamps_that_leap_begin_anew(leap_s: float) -> None:
    reading = Reading(0.035)
    reading.read(200)
    reading.stamp_s += leap_s
    reading.read(2_000)
    assert reading.skipped == []
    reading.busy_s = 0.05
    reading.read(2_000)
    assert reading.skipped
    assert max(reading.delays_s) < BEHIND_S + 2


def test_packets_without_a_time_say_nothing() -> None:
    lag = Lag()
    for _ in range(100):
        assert lag.step(None, 0, 0, is_key=True) == (False, False, None)


def test_what_is_skipped_is_told_once_and_whole() -> None:
    reading = Reading(0.08)
    reading.read(50)
    while not reading.told or len(reading.told) < 3:
        reading.read(1)
    assert sum(count for count, _ in reading.told) == len(reading.skipped)
    assert all(BEHIND_S < behind_s < BEHIND_S + 1 for _, behind_s in reading.told)


def test_a_packet_without_a_time_is_skipped_with_the_others() -> None:
    reading = Reading(0.08, gop=10**9)
    while not reading.skipped:
        reading.read(1)
    assert reading.lag.step(None, 0, 0, is_key=True) == (True, False, None)


def test_what_is_being_skipped_at_the_end_is_told_too() -> None:
    reading = Reading(0.08, gop=10**9)
    while len(reading.skipped) < 10:
        reading.read(1)
    count, _ = reading.lag.take_skipped() or (0, 0)
    assert count == 10
    assert reading.lag.take_skipped() is None
