"""The decoder thread: from the source into the ring buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock, Thread
from typing import Protocol

from streamer.errors import StreamError, UnforeseenError
from streamer.frame import Frame
from streamer.ring_buffer import Closed, RingBuffer
from streamer.sources.media import SourceCounts


class FrameSource(Protocol):
    """Frames of one input, in order."""

    @property
    def name(self) -> str:
        """For messages, without credentials."""
        ...

    @property
    def counts(self) -> SourceCounts:
        """What was lost so far; from any thread."""
        ...

    def __iter__(self) -> Iterator[Frame | None]:
        """The frames; ends early, without an error, after `interrupt`.

        None where the input is lost, and is tried again.

        Raises:
            SourceError: The input cannot be read.
            DeviceError: What decodes it failed.
        """
        ...

    def interrupt(self) -> None:
        """End the iteration soon, also while it waits; from any thread."""
        ...

    def close(self) -> None:
        """Release the input, on the thread that iterates, or before any does; idempotent."""
        ...


class DecoderThread:
    """Iterates a source on a thread of its own and closes it there.

    The ring buffer is closed when the source ends: cleanly, or with its `StreamError`. Closing the
    ring buffer from the other end ends the thread too.

    Args:
        source: Iterated and closed by this thread from now on.
        frames: Where its frames go.

    Attributes:
        decoded: Frames that the source gave so far.
        refused: Those that came when nobody wanted more.
    """

    def __init__(self, source: FrameSource, frames: RingBuffer[Frame]) -> None:
        self.source = source
        self.frames = frames
        self.decoded = 0
        self.refused = 0
        self._claim = Lock()  # who takes it first closes the source: the thread, or `stop`
        # a daemon, because a device may never return from a read
        self._thread = Thread(target=self._run, name="decoder", daemon=True)

    def start(self) -> None:
        """Begin to decode."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Close the ring buffer, interrupt the source and wait for the thread.

        Args:
            timeout_s: Longest wait in seconds.

        Returns:
            Whether the thread has ended and the source is closed. If not, a read does not return:
            the thread stays behind, a daemon, and closes the source should it ever return.
        """
        self.frames.close()
        self.source.interrupt()
        if self._claim.acquire(blocking=False):
            self.source.close()
            return True
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return  # stopped while it was being started
        error = self._error_of(self._read)
        late = self._error_of(self.source.close)
        self.frames.close(error or late)

    def _read(self) -> None:
        try:
            for frame in self.source:
                if frame is None:
                    self.frames.pause()
                else:
                    self.decoded += 1
                    self.frames.put(frame)
        except Closed:
            self.refused += 1

    def _error_of(self, step: Callable[[], None]) -> StreamError | None:
        """Take a step; returns what it failed with, as an error of this package."""
        try:
            step()
        except StreamError as known:
            return known
        except BaseException as unknown:  # whatever it is, the buffer has to be closed
            error = UnforeseenError(f"{self.source.name}: {type(unknown).__name__}: {unknown}")
            error.__cause__ = unknown
            return error
        return None
