"""Pictures that come in bursts, given out as they follow each other in the video."""

from __future__ import annotations

import time
from threading import Event

LATE_S = 2.0
"""Pictures that are late by no more are caught up with; otherwise the others come as much later."""

AHEAD_S = 10.0
"""A timestamp further ahead than this is a jump, not a wait."""


class Pace:
    """Waits until a picture is due, counted from the first one.

    Args:
        stopped: Ends a wait.
    """

    def __init__(self, stopped: Event) -> None:
        self._stopped = stopped
        self._origin_s: float | None = None

    def wait(self, position_s: float) -> None:
        """Wait for the time of a picture, in seconds of the video."""
        now_s = time.monotonic()
        ahead_s = 0.0 if self._origin_s is None else self._origin_s + position_s - now_s
        if self._origin_s is None or not -LATE_S <= ahead_s <= AHEAD_S:
            self._origin_s = now_s - position_s
        elif ahead_s > 0:
            self._stopped.wait(ahead_s)
