"""A live source that is read more slowly than it comes: how far behind, and what to skip."""

from __future__ import annotations

BEHIND_S = 5.0
"""So far behind, packets are skipped."""

CLOSE_S = 1.0
"""So little behind, it may be the network's unrest."""

WAITING = 0.1
"""Share of the time spent in reads from which on it is the camera or the network that is slow: who
keeps up may spend most of it decoding."""

BACK_S = 1.0
"""Time stamps that go back further begin anew; those of reordered pictures go back by less."""

DRIFT = 2e-4
"""How fast a camera's clock and ours may part."""

JUDGED_S = 1.0
"""Length of video, in seconds, in which it shows whether it comes as it happens."""

AS_IT_HAPPENS = 1.25
"""Most seconds of video a second if it does; what has been waiting comes faster."""


class Lag:
    """Tells by the times of packets which of them to skip, so that what is shown stays live.

    From time stamp to arrival takes least where no packet waits to be read, and longer and longer
    where reading is too slow. So it does where the camera's clock is slow or the network stood
    still, but then reads wait; where packets are waiting, reads return at once.
    """

    def __init__(self) -> None:
        self._least_s: float | None = None  # from time stamp to arrival
        self._stamp_s = self._now_s = 0.0  # of the packet before
        self._since_s = self._waited_s = 0.0  # since when it lags, and what reads took since
        self._mark_s = 0.0, 0.0  # time stamp and arrival, from which the speed is judged
        self._is_skipping = self._has_caught_up = False
        self._skipped = 0
        self._behind_s = 0.0

    @property
    def is_skipping(self) -> bool:
        """Whether the packet that was asked for last is skipped."""
        return self._is_skipping

    def skips(self, stamp_s: float | None, now_s: float, waited_s: float, *, is_key: bool) -> bool:
        """Whether to skip a packet; to be asked once for each.

        Args:
            stamp_s: Its time stamp in seconds, from any origin; None tells nothing.
            now_s: When it arrived, by a monotonic clock.
            waited_s: How long its read took.
            is_key: Whether decoding may begin with it.
        """
        if stamp_s is not None:
            behind_s = self._measure(stamp_s, now_s, waited_s)
            if self._is_skipping:
                self._judge(stamp_s, now_s)
                self._is_skipping = not (is_key and self._has_caught_up)
            elif behind_s > BEHIND_S:
                self._look_why(stamp_s, now_s, behind_s)
        self._skipped += self._is_skipping
        return self._is_skipping

    def caught_up(self, *, ended: bool = False) -> tuple[int, float] | None:
        """How many packets were skipped, and how many seconds it was behind; once, afterwards.

        Args:
            ended: Whether there are no further packets.
        """
        if not self._skipped or (self._is_skipping and not ended):
            return None
        skipped, self._skipped = self._skipped, 0
        return skipped, self._behind_s

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
        if self._waited_s >= WAITING * (now_s - self._since_s):
            self._least_s = now_s - stamp_s  # this is no lag, but growing further is
            return
        self._is_skipping, self._has_caught_up = True, False
        self._behind_s, self._mark_s = behind_s, (stamp_s, now_s)

    def _judge(self, stamp_s: float, now_s: float) -> None:
        """Look whether packets come as they happen, and no longer out of what has been waiting."""
        video_s, took_s = stamp_s - self._mark_s[0], now_s - self._mark_s[1]
        if video_s < JUDGED_S and took_s < JUDGED_S:
            return
        self._mark_s = stamp_s, now_s
        if video_s <= AS_IT_HAPPENS * took_s:
            self._has_caught_up = True
            self._least_s = now_s - stamp_s
