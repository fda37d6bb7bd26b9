"""Sinks: each has a bounded queue and a thread of its own, so that none slows another's calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from streamer.errors import SinkError, StreamError
from streamer.output import Output
from streamer.ring_buffer import Closed, RingBuffer

LOOK_S = 0.2
"""From look to look whether a sink that is to end still takes outputs, in seconds."""


class Sink(Protocol):
    """Where results go. Created, used and closed on one thread: its own."""

    @property
    def written(self) -> Sequence[Path]:
        """Files and folders that hold results of this run by now, in the order of their frames."""
        ...

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Take outputs until the buffer ends, and pass them on.

        Raises:
            StreamError: Something could not be written, or an image not be fetched.
        """
        ...

    def close(self) -> None:
        """Release everything; called once, also after `drain` failed."""
        ...


class SinkThread:
    """Runs one sink on its own thread behind a bounded queue.

    Args:
        name: For messages and the thread's name, such as ``mp4 out.mp4``.
        open_sink: Makes the sink; called on the sink's thread.
        capacity: Outputs that may wait. A window finishes a stride of frames at once, or more with
            a frame step: what has no room here, the network waits for.
    """

    def __init__(self, name: str, open_sink: Callable[[], Sink], capacity: int = 32) -> None:
        self.name = name
        self._open_sink = open_sink
        self._sink: Sink | None = None
        self._outputs: RingBuffer[Output] = RingBuffer(capacity)
        self._given = 0
        self._opened = threading.Event()
        self._drained = threading.Event()
        self._error: StreamError | None = None
        self._abandoned = False
        # A daemon: a device that never returns must not keep the process alive (see `finish`).
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def taken(self) -> int:
        """Outputs that the sink has taken so far."""
        return self._given - len(self._outputs)

    @property
    def written(self) -> Sequence[Path]:
        """What the sink has written, once it has finished (`Sink.written`)."""
        return () if self._sink is None else self._sink.written

    @property
    def waiting(self) -> int:
        """Outputs that the sink has not taken yet."""
        return len(self._outputs)

    @property
    def is_full(self) -> bool:
        """Whether `put` would wait."""
        return len(self._outputs) >= self._outputs.capacity

    def start(self) -> None:
        """Open the sink and return once it is open.

        Raises:
            StreamError: It cannot be opened.
        """
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def put(self, output: Output) -> None:
        """Hand over an output; waits while the queue is full.

        Raises:
            StreamError: The sink failed, now or earlier.
        """
        with suppress(Closed):
            self._outputs.put(output)
            self._given += 1
            return
        raise self._error or SinkError(f"{self.name}: is closed already")

    def lift_limit(self) -> None:
        """Let `put` never wait again, from any thread: the run is ending, little is to come."""
        self._outputs.lift_limit()

    def seal(self) -> None:
        """Take no more outputs; what waits is still written."""
        self._outputs.close()

    def finish(
        self, patience_s: float, is_urgent: Callable[[], bool] = lambda: True
    ) -> StreamError | None:
        """Let the sink write what waits, close it, and return the error it had, if any.

        Args:
            patience_s: Longest time in seconds for which the sink may take nothing of what waits.
                One that takes longer is left behind on its daemon thread, and that is the error.
                What it needs to close is not limited: results of hours take minutes to assemble.
            is_urgent: Whether a stuck sink may be abandoned by now; polled while waiting.
        """
        self._outputs.close()
        if self._thread.ident is not None and not self._abandoned:
            if self._drains(patience_s, is_urgent):
                self._thread.join()
            else:
                self._abandoned = True
                left = self._outputs.discard()
                late = SinkError(
                    f"{self.name}: took nothing more for {patience_s} s; {left} outputs waited"
                )
                self._error = self._error or late
        return self._error

    def _drains(self, patience_s: float, is_urgent: Callable[[], bool]) -> bool:
        """Whether the sink takes what waits, at whatever pace; returns once that is known."""
        taken, since = self.taken, time.monotonic()
        while not self._drained.wait(min(patience_s, LOOK_S)):
            now = time.monotonic()
            if self.taken != taken or not is_urgent():
                taken, since = self.taken, now
            elif now - since >= patience_s:
                return False
        return True

    def _run(self) -> None:
        try:
            sink = self._sink = self._open_sink()
        except Exception as error:
            self._fail(error)
            self._drained.set()
            return
        finally:
            self._opened.set()
        try:
            sink.drain(self._outputs)
        except Exception as error:
            self._fail(error)
        finally:
            self._drained.set()
            try:
                sink.close()
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            translated = error if isinstance(error, StreamError) else None
            self._error = translated or SinkError(f"{self.name}: {type(error).__name__}: {error}")
            self._error.__cause__ = None if translated else error
        self._outputs.close()
