"""How a test knows that another thread waits, without sleeping for luck."""

from __future__ import annotations

import threading
from typing import Any

from streamer.ring_buffer import RingBuffer


def waits_of(buffer: RingBuffer[Any]) -> threading.Event:
    """Set as soon as a thread waits for the buffer to change.

    The thread has the buffer's lock until it waits: who uses the buffer next finds it waiting.
    """
    waits = threading.Event()
    wait = buffer._changed.wait

    def told(timeout_s: float | None = None) -> bool:
        waits.set()
        return wait(timeout_s)

    buffer._changed.wait = told  # type: ignore[method-assign]
    return waits
