"""A file that is not written on after a failed write, and of an MP4 keeps what is whole."""

from __future__ import annotations

import errno
import io
from contextlib import suppress
from typing import TYPE_CHECKING

from streamer.sinks.fragments import whole_fragments_end

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class SealingFile(io.FileIO):
    """A file without a buffer that takes nothing more after a write failed, as on a full disk.

    A later and smaller write may succeed: an index in place, which hides the fragments before it.
    Of an MP4, closing then cuts off what follows the last whole fragment: a torn index at the end
    can make all of it unreadable. For that it has to be open for reading too.
    """

    _sealed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of `data`.

        Raises:
            OSError: It cannot be written, or an earlier write failed.
        """
        if self._sealed:
            raise OSError(errno.EIO, "an earlier write failed")
        self._sealed = True
        left = memoryview(data)
        while left:
            left = left[super().write(left) :]
        self._sealed = False
        return memoryview(data).nbytes

    def close(self) -> None:
        """Close it; idempotent."""
        if self._sealed and not self.closed and self.readable():
            end = whole_fragments_end(self.fileno())
            if end is not None:
                with suppress(OSError):  # it stays as it is
                    self.truncate(end)
        super().close()
