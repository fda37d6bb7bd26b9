"""TIFF images, decoded with PIL: FFmpeg gives black or noise for what it cannot decode of them."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from streamer.errors import SourceError
from streamer.wire.fields import MAX_PIXELS

MAGIC = (b"II*\0", b"MM\0*")
"""What a TIFF file begins with, by its order of bytes."""

_BITS_PER_SAMPLE = 258  # Source: TIFF 6.0


def decode_tiff(path: Path, file: BinaryIO) -> av.VideoFrame:
    """The first picture of a TIFF file, upright.

    Args:
        path: For messages.
        file: Open, at its beginning.

    Returns:
        8 bits a channel, RGB, or grey of 16 bits.

    Raises:
        OSError: It is damaged, or its pixels are no colours.
        SourceError: It is too large.
    """
    try:
        # Not by `Image.open`, which has limits of its own, and warns.
        with TiffImageFile(file) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise SourceError(
                    f"{path}: frames of {width}x{height}; allowed: up to {MAX_PIXELS} pixels"
                )
            if image.mode in {"F", "I"}:
                raise OSError("numbers of 32 bits")
            image.load()
            if image.mode.startswith("I;16"):  # which PIL would clip and not scale
                bits = cast("tuple[int, ...]", image.tag_v2[_BITS_PER_SAMPLE])[0]
                grey = np.asarray(image, np.uint16) << np.uint16(16 - bits)
                return av.VideoFrame.from_ndarray(grey, "gray16le")
            return av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")), "rgb24")
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # PIL raises what it likes
        raise OSError(f"{path}: {error}") from error
