"""Presentation times of a run, from timestamps that may be missing, jump or start over."""

from __future__ import annotations

from fractions import Fraction

MAX_LIVE_JUMP_S = 10
"""A live source's timestamps may run this far ahead of their arrival before they are not believed.

Cameras set their clock by network time some while after they start.
"""

MAX_FILE_JUMP_S = 3600
"""The same for a file, from one frame to the next: beyond that it is damage and not a pause."""

BEHIND_LIMIT = 4
"""Timestamps in a row that may lie behind, as in damaged video, before they count as begun anew."""

NUDGE_S = Fraction(1, 1000)
"""How far behind its predecessor a frame comes whose timestamp says that it should precede it."""


class FrameClock:
    """Turns timestamps into the time since the run's first frame, strictly increasing.

    A file's timestamps are followed exactly, unless they leap. Where one is missing, the frame
    comes one interval after the frame before (from live sources: as long after it as it arrived).
    One that does not increase is moved just behind the frame before; several in a row are a new
    beginning, from whose first frame time goes on as if that had come in its turn.

    Args:
        live: Whether arrival times mean anything.
        interval_s: Seconds from frame to frame until two timestamps have shown it.
    """

    def __init__(self, live: bool, interval_s: Fraction) -> None:
        self._live = live
        self._max_jump_s = MAX_LIVE_JUMP_S if live else MAX_FILE_JUMP_S
        self._interval_s = interval_s
        self._interval_before_s = interval_s
        self._last_s: Fraction | None = None
        self._last_arrival_ns = 0
        self._zero_s: Fraction | None = None
        self._behind = 0
        self._anew_zero_s = Fraction(0)

    def restart(self) -> None:
        """Timestamps begin anew with the next frame; time goes on."""
        self._zero_s = None
        self._behind = 0

    def lies_behind(self, stamp_s: Fraction) -> bool:
        """Whether a timestamp is no later than that of the latest frame."""
        zero_s, last_s = self._zero_s, self._last_s
        return zero_s is not None and last_s is not None and stamp_s - zero_s <= last_s

    def next(self, stamp_s: Fraction | None, arrival_ns: int) -> Fraction:
        """Time of the next frame, in seconds since the run's first.

        Args:
            stamp_s: Its presentation timestamp in seconds, from any origin, or None.
            arrival_ns: `time.monotonic_ns` of its arrival.
        """
        expected_s = self._expected_s(arrival_ns)
        time_s = expected_s if stamp_s is None else self._follow(stamp_s, expected_s)
        self._last_s, self._last_arrival_ns = time_s, arrival_ns
        return time_s

    def _expected_s(self, arrival_ns: int) -> Fraction:
        if self._last_s is None:
            return Fraction(0)
        if self._live:
            return self._last_s + max(Fraction(arrival_ns - self._last_arrival_ns, 10**9), NUDGE_S)
        return self._last_s + self._interval_s

    def _follow(self, stamp_s: Fraction, expected_s: Fraction) -> Fraction:
        last_s = self._last_s
        if self._zero_s is None or last_s is None:
            self._zero_s = stamp_s - expected_s
            return expected_s
        time_s = stamp_s - self._zero_s
        self._behind = self._behind + 1 if time_s <= last_s else 0
        if self._behind == 1:
            # The frames before may have leapt, one or more: that is then no interval.
            self._interval_s = min(self._interval_s, self._interval_before_s)
            self._anew_zero_s = stamp_s - (expected_s if self._live else last_s + self._interval_s)
        if 0 < self._behind < BEHIND_LIMIT:
            return last_s + NUDGE_S
        if self._behind:
            self._behind = 0
            self._zero_s = self._anew_zero_s
            time_s = stamp_s - self._zero_s
        if not last_s < time_s <= expected_s + self._max_jump_s:
            self._zero_s = stamp_s - expected_s
            return expected_s
        self._interval_before_s, self._interval_s = self._interval_s, time_s - last_s
        return time_s
