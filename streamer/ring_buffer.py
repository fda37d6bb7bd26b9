"""A bounded buffer between one producing and one consuming thread."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Overflow = Literal["block", "drop_oldest"]


class Closed(Exception):  # noqa: N818 - an event like StopIteration, not an error
    """The buffer is closed: nothing more can be put, or nothing is left to get."""


class RingBuffer(Generic[T]):
    """A bounded FIFO with one overflow policy, closed from either end.

    Args:
        capacity: Most items held at once, at least 1.
        overflow: What `put` does when the buffer is full: wait for room (``block``) or discard the
            oldest item and count it (``drop_oldest``).
    """

    def __init__(self, capacity: int, overflow: Overflow = "block") -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self.capacity = capacity
        self.overflow = overflow
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._dropped = 0
        self._paused = False
        self._listener: Callable[[], None] | None = None

    def put(self, item: T, timeout_s: float | None = None) -> None:
        """Append an item.

        Args:
            item: What to hand over.
            timeout_s: Longest wait for room, in seconds; None waits for ever.

        Raises:
            Closed: The buffer was closed without an error.
            TimeoutError: No room in time.
            BaseException: The error that the buffer was closed with.
        """
        with self._changed:
            if self.overflow == "block":
                self._wait(lambda: len(self._items) < self.capacity or self._closed, timeout_s)
            if self._closed:
                raise self._error or Closed
            if len(self._items) >= self.capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._paused = False
            self._announce()

    def pause(self) -> None:
        """Tell the consumer, once it has drained the buffer, that nothing comes for a while."""
        with self._changed:
            self._paused = True
            self._announce()

    def get(self, timeout_s: float | None = None) -> T:
        """Take the oldest item; once closed, first what is left, then the end.

        Raises:
            Closed: Closed without an error, and nothing is left.
            TimeoutError: Nothing arrived in time.
            BaseException: The error that the buffer was closed with, after the last item.
        """
        with self._changed:
            self._wait(lambda: bool(self._items) or self._closed, timeout_s)
            if not self._items:
                raise self._error or Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[T]:
        """Items until the buffer is closed and drained; then its error, if it has one."""
        return (item for item in self.with_pauses() if item is not None)

    def with_pauses(self) -> Iterator[T | None]:
        """As iteration, and None where nothing comes for a while: see `pause`."""
        while True:
            try:
                item = self._next()
            except Closed:
                return
            yield item

    def close(self, error: BaseException | None = None) -> None:
        """End the buffer; the first close decides the error, later ones change nothing."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._error = error
            self._announce()

    def lift_limit(self) -> None:
        """Let `put` never wait again: for shutting down, when little is still to come."""
        with self._changed:
            self.capacity = sys.maxsize
            self._changed.notify_all()

    def discard(self) -> int:
        """Drop what is held, counting it; returns how many items that were."""
        with self._changed:
            count = len(self._items)
            self._items.clear()
            self._dropped += count
            self._changed.notify_all()
            return count

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` now, and whenever there may be something new to a consumer.

        For a consumer that waits in a poller of its own. The listener must not block and must not
        touch the buffer.
        """
        with self._changed:
            self._listener = listener
            listener()

    @property
    def dropped(self) -> int:
        """Items that were put and never got."""
        with self._changed:
            return self._dropped

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        with self._changed:
            return self._closed

    def __len__(self) -> int:
        with self._changed:
            return len(self._items)

    def _next(self) -> T | None:
        with self._changed:
            self._wait(lambda: bool(self._items) or self._paused or self._closed, None)
            if self._paused and not self._items:
                self._paused = False
                return None
            return self.get()  # the condition's lock may be taken again by the thread that has it

    def _wait(self, ready: Callable[[], bool], timeout_s: float | None) -> None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not ready():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"ring buffer: nothing moved within {timeout_s} s")
            self._changed.wait(left)

    def _announce(self) -> None:
        self._changed.notify_all()
        if self._listener is not None:
            self._listener()
