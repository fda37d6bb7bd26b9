"""A pipe as a file object whose reads time out and can be interrupted."""

from __future__ import annotations

import os
import select
from threading import Lock

from streamer.errors import SourceError


class PipeReader:
    """Reads a file descriptor that may stay silent; PyAV reads a container through it.

    Args:
        fd: The descriptor, open for reading. It stays open.
        name: For messages.
        timeout_s: Longest wait for data, in seconds.

    Attributes:
        failure: Why reading ended, if that was not the end of the data. Not raised by `read`,
            because exceptions do not pass through FFmpeg.
    """

    def __init__(self, fd: int, name: str, timeout_s: float) -> None:
        self.name = name
        self.failure: SourceError | None = None
        self._fd = fd
        self._timeout_s = timeout_s
        self._wake_fds: tuple[int, int] | None = os.pipe()
        self._lock = Lock()
        self._poll = select.poll()
        for watched_fd in (fd, self._wake_fds[0]):
            self._poll.register(watched_fd, select.POLLIN)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, as soon as there are any; none at the end, or if that failed."""
        if self.failure is not None:
            return b""
        ready = {fd for fd, _ in self._poll.poll(self._timeout_s * 1000)}
        if ready - {self._fd}:
            return b""
        if not ready:
            self.failure = SourceError(f"{self.name}: no data for {self._timeout_s:g} s")
            return b""
        try:
            return os.read(self._fd, size)
        except OSError as error:
            self.failure = SourceError(f"{self.name}: cannot be read: {error.strerror}")
            return b""

    def interrupt(self) -> None:
        """End a waiting read, and every later one, at once; from any thread."""
        with self._lock:
            if self._wake_fds is not None:
                os.write(self._wake_fds[1], b"x")

    def release(self) -> None:
        """Give the descriptors of the wake-up back, once no more is read."""
        with self._lock:
            for fd in self._wake_fds or ():
                os.close(fd)
            self._wake_fds = None
