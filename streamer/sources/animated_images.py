"""Images that move, told by their first bytes."""

from __future__ import annotations

from contextlib import suppress
from os import SEEK_CUR
from pathlib import Path

_PNG = b"\x89PNG\r\n\x1a\n"
_WEBP_ANIMATION = 0x02  # Source: WebP Container Specification, "Extended File Format"


def is_animated_png(path: Path) -> bool:
    """Whether a file is a PNG of several pictures: an ``acTL`` chunk comes before the pixels."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(_PNG)) != _PNG:
            return False
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            if head[4:] == b"acTL":
                return True
            file.seek(int.from_bytes(head[:4], "big") + 4, SEEK_CUR)  # and its checksum
    return False


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP of several pictures."""
    head = b""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(21)
    is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21
    return is_extended and bool(head[20] & _WEBP_ANIMATION)
