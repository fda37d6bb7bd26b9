"""TIFF images that FFmpeg would give black or half wrong, without a word."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from streamer.errors import SourceError
from streamer.frame import MAX_PIXELS

MAGIC = (b"II*\0", b"MM\0*")
"""What a TIFF file begins with, by its order of bytes."""

_COMPRESSION, _JPEG = 259, (6, 7)  # Source: TIFF 6.0, and Adobe's technical note 2


def decode_tiff(path: Path, file: BinaryIO) -> tuple[av.VideoFrame | None, bool]:
    """The first picture of a TIFF file, upright, and whether there are more.

    PIL notices damage that FFmpeg passes over, but is wrong itself about some with 16 bits a
    channel: it gives pixels only where FFmpeg's are not to be had, and otherwise None.

    Args:
        path: For messages.
        file: Open, at its beginning.

    Raises:
        OSError: It is damaged, or cannot be read.
        SourceError: It is too large.
    """
    try:
        # Not by `Image.open`, which has limits of its own, and warns.
        image = TiffImageFile(file)
    except MemoryError:
        raise
    except Exception:
        return None, False
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise SourceError(
                f"{path}: frames of {width}x{height}; allowed: up to {MAX_PIXELS} pixels"
            )
        is_jpeg = image.tag_v2.get(_COMPRESSION) in _JPEG
        try:
            image.load()
        except (MemoryError, OSError):
            raise
        except Exception as error:
            raise OSError(f"{path}: {error}") from error
        if is_jpeg or image.mode in {"YCbCr", "LAB"}:
            pixels = np.asarray(image.convert("RGB"))
            return av.VideoFrame.from_ndarray(pixels, "rgb24"), image.is_animated
        return None, image.is_animated
