"""A file that is not written on after a failed write."""

from __future__ import annotations

import errno
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class SealingFile(io.FileIO):
    """A file without a buffer that takes nothing more after a write failed, as on a full disk.

    A later and smaller write may succeed: an index in place, which hides the fragments before it.
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
