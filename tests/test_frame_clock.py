from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.sources.frame_clock import FrameClock

TENTH = Fraction(1, 10)


def times(clock: FrameClock, stamps: list[Fraction | None], arrivals_s: list[float]) -> list[float]:
    return [
        float(clock.next(stamp, int(arrival * 1e9)))
        for stamp, arrival in zip(stamps, arrivals_s, strict=True)
    ]


def in_tenths(*ticks: int | None) -> list[Fraction | None]:
    return [None if tick is None else tick * TENTH for tick in ticks]


def test_a_file_is_followed_exactly_from_zero() -> None:
    assert times(FrameClock(False, TENTH), in_tenths(7, 8, 20, 21), [0] * 4) == [0, 0.1, 1.3, 1.4]


def test_missing_timestamps_come_at_the_last_interval() -> None:
    stamps = in_tenths(None, 5, 7, None, None, 13)
    assert times(FrameClock(False, TENTH), stamps, [0] * 6) == [0, 0.1, 0.3, 0.5, 0.7, 0.9]


def test_one_out_of_order_does_not_shift_the_rest() -> None:
    stamps = in_tenths(0, 1, 9, 2, 10)
    assert times(FrameClock(False, TENTH), stamps, [0] * 5) == [0, 0.1, 0.9, 0.901, 1.0]


def test_one_that_repeats_the_timestamp_before_does_not_shift_the_rest() -> None:
    stamps = in_tenths(0, 1, 1, 2, 2, 3)
    assert times(FrameClock(False, TENTH), stamps, [0] * 6) == [0, 0.1, 0.101, 0.2, 0.201, 0.3]


def test_one_out_of_order_right_after_a_new_beginning_does_not_shift_the_rest() -> None:
    stamps = in_tenths(100, 101, 102, 0, 1, 2, 3, 2, 4, 5)
    seen = times(FrameClock(False, TENTH), stamps, [0] * 10)
    assert seen[-4:] == [0.6, 0.601, 0.7, 0.8]


def test_a_new_beginning_is_believed_after_some_frames() -> None:
    clock = FrameClock(False, TENTH)
    result = times(clock, in_tenths(100, 101, 102, 0, 1, 2, 3, 4), [0] * 8)
    assert result == [0, 0.1, 0.2, 0.201, 0.202, 0.203, 0.6, 0.7]  # no later than without a jump


def test_timestamps_in_disorder_are_no_new_beginning_to_count_from() -> None:
    stamps = in_tenths(100, 101, 102, 50, 9, 8, 7, 8)
    result = times(FrameClock(False, TENTH), stamps, [0] * 8)
    assert result == pytest.approx([0, 0.1, 0.2, 0.201, 0.202, 0.203, 0.303, 0.403])


def test_a_file_that_leaps_by_hours_is_damaged_and_goes_on() -> None:
    stamps = in_tenths(0, 1, 38_252_070, 3, 4, 5, 6, 7)
    seen = times(FrameClock(False, TENTH), stamps, [0] * 8)
    assert seen[:3] == [0, 0.1, 0.2]  # an interval later, not forty days
    assert seen == sorted(set(seen))
    assert seen[-1] < 1


def test_a_leap_that_is_taken_back_is_not_added_again() -> None:
    for leap in ([600], [600, 601], [600, 601, 602]):
        stamps = in_tenths(0, 1, 2, *leap, 3, 4, 5, 6, 7)
        *_, before, last = times(FrameClock(False, TENTH), stamps, [0] * len(stamps))
        assert before == pytest.approx(leap[-1] / 10 + 0.4)
        assert last == pytest.approx(leap[-1] / 10 + 0.5)


def test_restart_goes_on_one_interval_later() -> None:
    clock = FrameClock(False, TENTH)
    assert times(clock, in_tenths(0, 2), [0, 0]) == [0, 0.2]
    clock.restart()
    assert times(clock, in_tenths(0, 2), [0, 0]) == [0.4, 0.6]


def test_what_lay_behind_before_a_restart_does_not_count_after_it() -> None:
    clock = FrameClock(False, TENTH)
    times(clock, in_tenths(100, 101, 50, 51, 52), [0] * 5)  # three in a row lie behind
    clock.restart()
    first, behind, second = times(clock, in_tenths(100, 99, 101), [0] * 3)
    assert behind == pytest.approx(first + 0.001)
    assert second == pytest.approx(first + 0.1)


def test_live_without_timestamps_follows_arrival() -> None:
    assert times(FrameClock(True, TENTH), [None] * 4, [5, 5.5, 5.5, 6]) == [0, 0.5, 0.501, 1.001]


@pytest.mark.parametrize("later", [301, 100_000])  # a file could make a pause of half a minute
def test_a_live_jump_beyond_belief_is_replaced_by_arrival(later: int) -> None:
    stamps = in_tenths(0, 1, later, later + 1)
    assert times(FrameClock(True, TENTH), stamps, [0, 0.1, 0.25, 0.3]) == [0, 0.1, 0.25, 0.35]


def test_live_time_that_begins_anew_goes_on_from_the_arrival_of_its_first_frame() -> None:
    stamps = in_tenths(100, 101, 0, 1, 2, 3)
    seen = times(FrameClock(True, TENTH), stamps, [0, 0.1, 5, 5.1, 5.2, 5.3])
    assert seen[-1] == pytest.approx(5.3)


@given(
    st.booleans(),
    st.lists(st.tuples(st.none() | st.integers(-500, 500), st.integers(0, 10**10)), min_size=2),
)
def test_strictly_increasing_whatever_comes(
    live: bool, frames: list[tuple[int | None, int]]
) -> None:
    clock = FrameClock(live, TENTH)
    result = [clock.next(None if pts is None else pts * TENTH, ns) for pts, ns in frames]
    assert result[0] == 0
    assert all(a < b for a, b in itertools.pairwise(result))
