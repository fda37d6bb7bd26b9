"""A file that is not written on after a failed write, and of an MP4 keeps what is whole."""

from __future__ import annotations

import errno
import io
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HEADER_BYTES = 8


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


def whole_fragments_end(fd: int) -> int | None:
    """Where the last whole fragment of a fragmented MP4 ends; None where there is none.

    Args:
        fd: The file, open for reading; its position stays.

    Source: ISO/IEC 14496-12, 4.2 (boxes: a size of 32 bits, 64 after a 1, and a type) and 8.8
    (a fragment is a ``moof`` with the ``mdat`` after it; FFmpeg puts the first one's index into the
    ``moov``).
    """
    size, place, kind, end = os.fstat(fd).st_size, 0, b"", None
    while len(header := os.pread(fd, 2 * HEADER_BYTES, place)) >= HEADER_BYTES:
        before, kind = kind, header[4:HEADER_BYTES]
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[HEADER_BYTES:], "big")
        place += length
        if length < HEADER_BYTES or place > size:
            break
        if kind == b"mdat" and before in {b"moov", b"moof"}:
            end = place
    return end
