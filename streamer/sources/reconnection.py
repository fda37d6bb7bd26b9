"""How long to wait before a lost live source is tried again, and how often."""

from __future__ import annotations

import logging
import random
import time
from threading import Event

from streamer.errors import SourceError
from streamer.source_config import SourceConfig

log = logging.getLogger(__name__)


class Reconnection:
    """Spaces the attempts to reach a source.

    The wait doubles from attempt to attempt, up to a maximum; a random share, up to half, is left
    out, so that the streams of many cameras do not ask their switch for all of them at once. It
    begins anew once frames have come for as long as that maximum: a camera that is lost right after
    each return is not asked again and again either.

    Args:
        name: Of the source, for messages.
        config: Waits, and the most attempts in a row.
        interrupted: Ends a wait.

    Source: "equal jitter" of exponential backoff (M. Brooker, AWS Architecture Blog, 2015).
    """

    def __init__(self, name: str, config: SourceConfig, interrupted: Event) -> None:
        self._name = name
        self._config = config
        self._interrupted = interrupted
        self._attempts = 0  # since the last frame
        self._doublings = 0
        self._began_s: float | None = None  # of the frames since the last wait
        self._ended_s = 0.0

    def wait(self, reason: SourceError) -> None:
        """Wait until the next attempt, or until interrupted.

        Args:
            reason: Why one is needed.

        Raises:
            SourceError: As many attempts in a row as are allowed were in vain.
        """
        config = self._config
        most, longest_s = config.max_reconnects, config.reconnect_max_delay_s
        if most is not None and self._attempts >= most:
            raise SourceError(f"{reason}; given up after {most} attempts to reconnect") from reason
        if self._began_s is not None and self._ended_s - self._began_s >= longest_s:
            self._doublings = 0
        self._began_s = None
        # The exponent is bounded: a camera may be gone for weeks.
        doubled_s = config.reconnect_delay_s * 2 ** min(self._doublings, 30)
        delay_s = min(doubled_s, longest_s) * random.uniform(0.5, 1)
        self._attempts += 1
        self._doublings += 1
        log.warning("%s; attempt %d to reconnect in %.1f s", reason, self._attempts, delay_s)
        self._interrupted.wait(delay_s)

    def reached(self) -> bool:
        """Note that a frame came; returns whether it is the first since the source was lost."""
        self._ended_s = time.monotonic()
        if self._began_s is None:
            self._began_s = self._ended_s
        if not self._attempts:
            return False
        log.warning("%s: back at attempt %d", self._name, self._attempts)
        self._attempts = 0
        return True
