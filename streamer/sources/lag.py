"""A live source that is read more slowly than it comes: how far behind, and what to skip."""

from __future__ import annotations

from typing import NamedTuple

BEHIND_S = 5.0
"""Seconds behind the camera from which packets are skipped."""

CLOSE_S = 1.0
"""Seconds behind that network jitter explains."""

WAITING_SHARE = 0.1
"""If reads took at least this share of the time since the lag began, the camera or the network is
slow, not the decoder, which may be busy most of the time and keep up."""

BACK_S = 1.0
"""Timestamps that go back by more seconds begin anew; those of reordered pictures by less."""

DRIFT = 2e-4
"""Seconds per second by which the camera's clock may drift from ours."""

JUDGED_S = 1.0
"""Seconds over which packets are watched, to tell whether they arrive live."""

LIVE_RATE = 1.25
"""Seconds of video per second up to which packets arrive live; a backlog arrives faster."""


class Skipped(NamedTuple):
    """How many packets were skipped, and how many seconds it was behind when that began."""

    packets: int
    behind_s: float


class Step(NamedTuple):
    """What to do about a packet.

    Attributes:
        is_skipped: Whether to leave it out.
        is_first: Whether it is the first of those that are left out.
        skipped: Those right before it, if it is the first that is not left out.
    """

    is_skipped: bool
    is_first: bool
    skipped: Skipped | None


class Lag:
    """Tells by the times of packets which of them to skip, so that what is shown stays live.

    The delay from timestamp to arrival is smallest while no packet waits to be read. It grows when
    decoding is too slow, and also when the camera's clock runs slow or the network stalls; but then
    reads block, while with a backlog they return at once.
    """

    def __init__(self) -> None:
        self._least_s: float | None = None  # from timestamp to arrival
        self._stamp_s = self._now_s = 0.0  # of the packet before
        self._since_s = self._waited_s = 0.0  # since when it lags, and what reads took since
        self._mark_s = 0.0, 0.0  # timestamp and arrival, from which the speed is judged
        self._is_skipping = self._has_caught_up = False
        self._skipped = 0
        self._behind_s = 0.0

    def step(self, stamp_s: float | None, now_s: float, waited_s: float, *, is_key: bool) -> Step:
        """Whether to skip a packet; to be asked once for each.

        Args:
            stamp_s: Its timestamp in seconds, from any origin; None tells nothing.
            now_s: When it arrived, by a monotonic clock.
            waited_s: How long its read took.
            is_key: Whether decoding may begin with it.
        """
        was_skipping = self._is_skipping
        if stamp_s is not None:
            behind_s = self._measure(stamp_s, now_s, waited_s)
            if was_skipping:
                self._judge(stamp_s, now_s)
                self._is_skipping = not (is_key and self._has_caught_up)
            elif behind_s > BEHIND_S:
                self._look_why(stamp_s, now_s, behind_s)
        if self._is_skipping:
            self._skipped += 1
            return Step(True, not was_skipping, None)
        return Step(False, False, self.take_skipped())

    def take_skipped(self) -> Skipped | None:
        """What was skipped since this was asked last; for the end, where no packet follows."""
        count, self._skipped = self._skipped, 0
        return Skipped(count, self._behind_s) if count else None

    def _measure(self, stamp_s: float, now_s: float, waited_s: float) -> float:
        """Seconds behind, if reading is what is slow."""
        took_s = now_s - stamp_s
        if self._least_s is None or stamp_s < self._stamp_s - BACK_S:
            self._least_s = took_s
        else:
            self._least_s = min(self._least_s + DRIFT * (now_s - self._now_s), took_s)
        self._stamp_s, self._now_s = stamp_s, now_s
        behind_s = took_s - self._least_s
        if behind_s < CLOSE_S:
            self._since_s, self._waited_s = now_s, 0.0
        else:
            self._waited_s += waited_s
        return behind_s

    def _look_why(self, stamp_s: float, now_s: float, behind_s: float) -> None:
        """Skip from now on, if it is reading that is slow."""
        if self._waited_s >= WAITING_SHARE * (now_s - self._since_s):
            self._least_s = now_s - stamp_s  # this is no lag, but growing further is
            return
        self._is_skipping, self._has_caught_up = True, False
        self._behind_s, self._mark_s = behind_s, (stamp_s, now_s)

    def _judge(self, stamp_s: float, now_s: float) -> None:
        """Look whether packets arrive live, and no longer out of a backlog."""
        video_s, took_s = stamp_s - self._mark_s[0], now_s - self._mark_s[1]
        if video_s < JUDGED_S and took_s < JUDGED_S:
            return
        self._mark_s = stamp_s, now_s
        if video_s <= LIVE_RATE * took_s:
            self._has_caught_up = True
            self._least_s = now_s - stamp_s
