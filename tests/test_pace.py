"""`streamer.sources.pace`: pictures that come in bursts, spread by a moved clock."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest

from streamer.sources import pace as pace_module
from streamer.sources.pace import JUMP_S, LATE_S, Pace


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


def lost(clock: Clock, starts_s: list[float], rate: float = 1.0) -> list[int]:
    """Segments of one second that were gone from a playlist of four before they were asked for.

    Args:
        clock: The reader's.
        starts_s: Timestamp of each segment's first picture.
        rate: Segments that the camera makes in a second of the reader's.
    """
    pace = Pace(clock)
    missed = []
    for number, start_s in enumerate(starts_s):
        made_s = 100 + (number - 2) / rate
        if clock.now_s >= made_s + 4 / rate:
            missed.append(number)
            continue
        clock.now_s = max(clock.now_s, made_s)
        for picture in range(10):
            pace.wait(start_s + picture / 10)
    return missed


def test_a_burst_takes_as_long_as_it_shows(clock: Clock) -> None:
    assert times(clock, [5.0, 5.4, 5.5, 5.9]) == [0, 0.4, 0.5, 0.9]


def test_who_is_a_little_late_is_caught_up_with_and_who_is_very_late_is_not(clock: Clock) -> None:
    pace = Pace(clock)
    pace.wait(0.0)
    clock.now_s += 0.4 + LATE_S / 2
    for position_s in np.arange(0.4, 0.9 + LATE_S, 0.4):
        pace.wait(position_s)
    assert clock.now_s == pytest.approx(100.8 + LATE_S)
    clock.now_s += 2 * LATE_S
    pace.wait(1.2 + LATE_S)
    pace.wait(1.6 + LATE_S)
    assert clock.now_s == pytest.approx(101.2 + 3 * LATE_S)


@pytest.mark.parametrize("jump_s", [JUMP_S + 0.2, 2.0, 8.0, 1e6, -JUMP_S - 0.2, -30.0])
def test_timestamps_that_leap_are_not_waited_for(clock: Clock, jump_s: float) -> None:
    assert times(clock, [0.0, 0.4, 0.4 + jump_s, 0.8 + jump_s, 1.2 + jump_s]) == [
        *(0, 0.4, 0.4),
        *(0.8, 1.2),
    ]


def test_two_leaps_in_a_row_are_no_rate(clock: Clock) -> None:
    assert times(clock, [0.0, 0.4, 8.4, 16.4, 16.8]) == [0, 0.4, 0.4, 0.4, 0.8]


@pytest.mark.parametrize("step_s", [1.0, 2.0, 9.0])
def test_pictures_that_always_come_far_apart_are_waited_for(clock: Clock, step_s: float) -> None:
    """From the third on; one that is missing among them is a leap."""
    given = times(clock, [n * step_s for n in (0, 1, 2, 3, 5, 6)])
    assert given == [n * step_s for n in (0, 0, 1, 2, 2, 3)]


def test_a_pause_of_the_camera_does_not_leave_every_later_burst_late(clock: Clock) -> None:
    pace = Pace(clock)
    for position_s in (0.0, 0.4, 1.9):
        pace.wait(position_s)  # the last one early: it may be a leap
    clock.now_s = 101.5
    given = []
    for position_s in (2.3, 2.7, 3.1):
        pace.wait(position_s)
        given.append(clock.now_s - 100)
    assert given == pytest.approx([1.5, 1.9, 2.3])


@pytest.mark.parametrize("jump_s", [3.0, 9.0])
def test_a_pause_excuses_what_is_late_for_so_long_only(clock: Clock, jump_s: float) -> None:
    """For `LATE_S` in all, of however long a pause: then pictures catch up again."""
    pace = Pace(clock)
    for position_s in (0.0, 0.04, 0.04 + jump_s):
        pace.wait(position_s)
    given = []
    for number in range(1, 6):
        clock.now_s += 1.5 * (number in {1, 3})
        pace.wait(0.04 + jump_s + 0.04 * number)
        given.append(clock.now_s - 100.04)
    # Late by 1.46 s twice; of the second time 0.54 s are excused.
    assert given == pytest.approx([1.5, 1.54, 3.04, 3.04, 3.04])


@pytest.mark.parametrize("jump_s", [-5.0, 0.8, 2.0, 8.0, 60.0])
def test_a_leap_of_the_timestamps_costs_no_segment(clock: Clock, jump_s: float) -> None:
    assert lost(clock, [n + jump_s * (n >= 6) for n in range(60)]) == []


def test_leaps_too_small_to_see_cost_some_segments_and_not_all_others(clock: Clock) -> None:
    """The wait for them adds up, until the segments that expire are a leap."""
    starts_s = [n + 0.3 * (n // 10) for n in range(200)]
    assert 0 < len(lost(clock, starts_s)) <= 8


def test_a_camera_whose_clock_is_fast_loses_what_it_is_ahead_and_no_more(clock: Clock) -> None:
    missed = lost(clock, [float(n) for n in range(400)], rate=1.1)
    assert 0 < len(missed) <= 0.1 * 400
