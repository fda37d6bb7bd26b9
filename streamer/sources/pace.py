"""Pictures that come in bursts, given out as they follow each other in the video."""

from __future__ import annotations

import time
from collections import deque
from threading import Event

LATE_S = 2.0
"""Seconds by which a picture may be late for the next ones to catch up; if it is later than that,
they are delayed as much."""

JUMP_S = 0.5
"""Seconds from picture to picture beyond which it is a jump, unless they always come far apart.

It is shorter than a segment of a playlist: where segments expire before they are read, there is
such a step, and waiting for that long would let as many more expire.
"""

JUMP_RATIO = 1.5
"""Where pictures always come far apart, a step of more than this many times the usual is a jump."""


class Pace:
    """Waits until a picture is due, counted from the first one or the last jump.

    A jump is not waited for: whatever is between the pictures, the second is there already, and
    the wait would be a delay for good. Should it have been a pause of the camera, the next pictures
    come as much later; they are then not caught up with, or every later burst would be late.

    Args:
        stopped: Ends a wait.
    """

    def __init__(self, stopped: Event) -> None:
        self._stopped = stopped
        self._origin_s = 0.0  # when the video's position 0 is due
        self._position_s: float | None = None
        self._steps_s: deque[float] = deque(maxlen=2)
        self._jumped_s = 0.0

    def wait(self, position_s: float) -> float:
        """Wait for the time of a picture.

        Args:
            position_s: In seconds of the video.

        Returns:
            Seconds of the jump to it that was not waited for; 0 if it follows the one before.
        """
        last_s = position_s if self._position_s is None else self._position_s
        now_s = time.monotonic()
        late_s = now_s - self._origin_s - position_s
        if self._jumps_to(position_s):
            self._origin_s = now_s - position_s
            return position_s - last_s
        if late_s > 0:
            allowed_s = late_s if late_s > LATE_S else min(late_s, self._jumped_s)
            self._origin_s += allowed_s
            self._jumped_s = max(0.0, self._jumped_s - allowed_s)
        else:
            self._stopped.wait(-late_s)
        return 0.0

    def _jumps_to(self, position_s: float) -> bool:
        """Whether a picture does not follow the one before; the first follows none."""
        last_s, self._position_s = self._position_s, position_s
        if last_s is None:
            return True
        step_s = position_s - last_s
        # Of the last two steps the shorter: a jump is not usual yet.
        usual_s = min(self._steps_s, default=0.0)
        self._steps_s.append(abs(step_s))
        if abs(step_s) <= max(JUMP_S, JUMP_RATIO * usual_s):
            return False
        self._jumped_s = min(max(0.0, self._jumped_s + step_s), LATE_S)
        return True
