"""`streamer.sources.pace`: pictures that come in bursts, spread by a moved clock."""

from __future__ import annotations

from threading import Event

import pytest

from streamer.sources import pace as pace_module
from streamer.sources.pace import AHEAD_S, LATE_S, Pace


class Clock(Event):
    """Time passes only while somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now_s += timeout
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: moved.now_s)
    return moved


def times(clock: Clock, positions_s: list[float]) -> list[float]:
    pace = Pace(clock)
    given = []
    for position_s in positions_s:
        pace.wait(position_s)
        given.append(pytest.approx(clock.now_s - 100))
    return given


def test_a_burst_takes_as_long_as_it_shows(clock: Clock) -> None:
    assert times(clock, [5.0, 5.5, 7.0]) == [0, 0.5, 2]


def test_who_is_a_little_late_is_caught_up_with_and_who_is_very_late_is_not(clock: Clock) -> None:
    pace = Pace(clock)
    pace.wait(0.0)
    clock.now_s += 1 + LATE_S / 2
    pace.wait(1.0)  # at once
    pace.wait(2.0 + LATE_S)
    assert clock.now_s == pytest.approx(102 + LATE_S)
    clock.now_s += 2 * LATE_S + 1
    pace.wait(3.0 + LATE_S)
    pace.wait(3.5 + LATE_S)
    assert clock.now_s == pytest.approx(103.5 + 3 * LATE_S)


def test_timestamps_that_leap_are_not_waited_for(clock: Clock) -> None:
    assert times(clock, [0.0, AHEAD_S + 1, AHEAD_S + 2, 0.0, 0.5]) == [0, 0, 1, 1, 1.5]
