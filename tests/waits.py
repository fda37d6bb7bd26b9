"""How a test knows how far others are, without sleeping for luck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `conftest.py` imports must not bring the project before it is measured
    from streamer.ring_buffer import RingBuffer

PATIENCE_S = 60
"""Longest wait for what others are about to do, in seconds: only a test that fails gets there."""


def until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Wait for what other threads or processes are about to bring about."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.002)


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
