"""Images from the wire, which are not trusted: no memory is spent on a size that is not theirs."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.errors import WireError

PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
"""Signature of a PNG file with the length and the name of its first chunk."""


def decode_png(png: bytes, size: tuple[int, int]) -> NDArray[np.uint16]:
    """A 16-bit greyscale PNG of `size` (height, width) as uint16 [H, W].

    Raises:
        WireError: It is broken, of another kind or of another size.
    """
    check_png(png, size)
    image = _imdecode(png, cv2.IMREAD_UNCHANGED)
    if image is None or image.shape != size or image.dtype != np.uint16:
        raise WireError("the PNG is broken")
    return image.astype(np.uint16, copy=False)


def check_png(payload: bytes, size: tuple[int, int]) -> None:
    """Refuse a PNG that is not a 16-bit greyscale one of `size` (height, width).

    Raises:
        WireError: Its header says otherwise.
    """
    height, width = size
    # Bit depth 16, greyscale, deflate, standard filters, not interlaced.
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x10\0\0\0\0"
    if not payload.startswith(PNG_START + header):
        raise WireError(f"payload is not a 16-bit greyscale PNG of {width}x{height}")


def decode_jpeg(jpeg: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A JPEG of `size` (height, width) as uint8 [H, W, 3], RGB.

    Raises:
        WireError: It is broken or of another size.
    """
    check_jpeg(jpeg, size)
    image = _imdecode(jpeg, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape != (*size, 3):
        raise WireError("the JPEG is broken")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def check_jpeg(jpeg: bytes, size: tuple[int, int]) -> None:
    """Refuse what is no JPEG of `size` (height, width).

    Raises:
        WireError: Its header says otherwise.
    """
    declared = jpeg_size(jpeg)
    if declared != size:
        raise WireError(f"the JPEG's size is {declared}, its frame's is {size}")


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """(height, width) that a JPEG's frame header declares, or None where there is none.

    Source: ITU-T T.81, annex B: marker segments, and the frame headers SOF0 to SOF15.
    """
    if jpeg[:2] != b"\xff\xd8":
        return None
    at = 2
    while jpeg[at : at + 1] == b"\xff" and at + 9 <= len(jpeg):
        marker = jpeg[at + 1]
        if marker == 0xFF:  # the one before was a fill byte
            at += 1
            continue
        # C4, C8 and CC are Huffman tables, an extension and arithmetic conditioning.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(jpeg[at + 5 : at + 7]), int.from_bytes(jpeg[at + 7 : at + 9])
        length = int.from_bytes(jpeg[at + 2 : at + 4])
        if marker < 0xC0 or 0xD0 <= marker <= 0xD9 or length < 2:  # no segment that precedes one
            return None
        at += 2 + length
    return None


def _imdecode(data: bytes, mode: int) -> NDArray[np.integer] | None:
    try:
        return cast("NDArray[np.integer] | None", cv2.imdecode(np.frombuffer(data, np.uint8), mode))
    except cv2.error as error:
        raise WireError(f"an image cannot be decoded: {error.err}") from error
