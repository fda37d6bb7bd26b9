"""The fragments of an MP4 that is being written: where the whole ones end."""

from __future__ import annotations

import os

HEADER_BYTES = 8


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
