"""The streams that a program has open in its own process, and how they end with it."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Hashable
from typing import Protocol
from weakref import WeakSet

from streamer.errors import StreamError

COMPUTING_S, IDLE_S = 60.0, 2.0
"""How long a program that ends waits for a stream of another thread, in seconds: while it computes,
and for a loop in which the program itself is busy."""


class OpenStream(Hashable, Protocol):
    """A stream, as far as its end matters here.

    Attributes:
        thread: That it was opened on, as `threading.get_ident` has it.
    """

    thread: int | None

    @property
    def is_computing(self) -> bool:
        """Whether its thread is in PyTorch, or may be."""
        ...

    def stop(self) -> None:
        """End it soon."""
        ...


class OpenStreams:
    """The open streams, which `end` stops.

    PyTorch aborts a process that ends while another thread computes, or lets go of tensors.

    Attributes:
        are_ending: Whether the program ends. Then streams keep their networks, for the main thread
            to let go of them.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a forked child: no thread is there, and one may have had the lock."""
        self.are_ending = False
        self._lock = threading.Lock()
        self._open: WeakSet[OpenStream] = WeakSet()
        self._ended: list[OpenStream] = []

    def add(self, stream: OpenStream) -> None:
        """A stream begins to open.

        Raises:
            StreamError: The program ends.
        """
        with self._lock:
            if self.are_ending:
                raise StreamError("the program ends: no further stream is opened")
            self._open.add(stream)

    def discard(self, stream: OpenStream) -> None:
        """A stream is closed."""
        with self._lock:
            self._open.discard(stream)

    def end(self) -> None:
        """Stop the streams of other threads, and wait until these have closed them."""
        with self._lock:
            self.are_ending = True
            self._ended = list(self._open)  # kept until the process is gone
        began = time.monotonic()
        for each in self._ended:
            each.stop()
        latest = began + IDLE_S
        while (now := time.monotonic()) < latest and (waiting := self._of_other_threads()):
            if any(each.is_computing for each in waiting):
                latest = min(now + IDLE_S, began + COMPUTING_S)
            time.sleep(0.01)

    def _of_other_threads(self) -> list[OpenStream]:
        alive = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}
        with self._lock:
            return [each for each in self._open if each.thread in alive]


OPEN_STREAMS = OpenStreams()
"""Those of this process."""

atexit.register(OPEN_STREAMS.end)
os.register_at_fork(after_in_child=OPEN_STREAMS.forget)
