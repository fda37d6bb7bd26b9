"""A folder of images, a numbered pattern or a single image, read like a video."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from errno import EIO, EMFILE, ENFILE, ENOMEM
from fractions import Fraction
from math import ceil
from os import strerror
from pathlib import Path

import av

from streamer.errors import SourceError, UnforeseenError
from streamer.printable import printable
from streamer.sources import tiff_decoding
from streamer.sources.animated_images import is_animated_webp
from streamer.sources.container_media import MAX_FAILURES
from streamer.sources.demuxers import IMAGES
from streamer.sources.media import SourceCounts
from streamer.sources.picture import Picture
from streamer.sources.selection import as_written
from streamer.sources.source_spec import find_images, is_empty

log = logging.getLogger(__name__)

_NO_FAULT_OF_THE_IMAGE = {EMFILE, ENFILE, EIO, ENOMEM}
"""No descriptors, no memory, a disk that fails: the image may be as good as the others."""


class ImageMedia:
    """Images in the natural order of their names, so that 9.png precedes 10.png.

    Args:
        target: A folder, a pattern such as ``frames/%04d.png``, or one image.
        fps: Frames per second that they are shown at.

    Raises:
        SourceError: There are none.
    """

    def __init__(self, target: str, fps: float) -> None:
        self.name = printable(target)
        self.live = False
        self.rate: Fraction | None = as_written(fps)
        self._paths = list_images(target)
        self.frames: int | None = len(self._paths)
        self.counts = SourceCounts()
        self._time_base = 1 / self.rate
        self._has_told = False  # of images that hold several pictures

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        """The images from `start_s` seconds on; what is no image is counted and passed over.

        Raises:
            SourceError: The last ones, or too many in a row, cannot be read, or one is too large.
            UnforeseenError: One cannot be read now, which is not its own fault.
        """
        failures = 0
        for index in range(ceil(start_s / self._time_base), len(self._paths)):
            try:
                frame = self._decode(self._paths[index])
            except (av.FFmpegError, OSError, MemoryError, StopIteration, IndexError) as error:
                why = _why(self._paths[index], error)
                self.counts.corrupt += 1
                name = printable(self._paths[index])
                if len(self._paths) == 1:
                    raise SourceError(f"{name}: {why}") from error
                log.warning("%s: %s and is left out", name, why)
                failures += 1
                if failures == MAX_FAILURES:
                    break
                continue
            failures = 0
            yield Picture(frame, index, self._time_base, duration=1)
        if failures:
            raise SourceError(
                f"{self.name}: {failures} images in a row cannot be read, "
                f"the last of them {printable(self._paths[index].name)}"
            )

    def interrupt(self) -> None:
        """Nothing to do: reading an image does not wait."""

    def close(self) -> None:
        """Nothing to do: no image stays open."""

    def _decode(self, path: Path) -> av.VideoFrame:
        # Opened here: FFmpeg would take %d in a name for a pattern, and a colon for a protocol's.
        with path.open("rb") as file:
            is_tiff = file.read(4) in tiff_decoding.MAGIC
            file.seek(0)
            if is_tiff:
                frame, holds_more = tiff_decoding.decode_tiff(path, file)
                self._tell_of_more(path, holds_more)
                if frame is not None:
                    return frame
            file.seek(0)
            with av.open(file, "r", options=IMAGES) as container:
                self._tell_of_more(path, container.format.name == "apng")
                stream = container.streams.video[0]
                if stream.codec_context.name == "mjpeg":
                    # Its decoder would make up what is missing.
                    stream.codec_context.options = {"err_detect": "explode"}
                return next(container.decode(stream))

    def _tell_of_more(self, path: Path, holds_more: bool) -> None:
        if holds_more and not self._has_told:
            self._has_told = True
            name = printable(path)
            log.warning("%s holds several pictures; only the first of a file is read", name)


def _why(path: Path, error: Exception) -> str:
    """What is wrong with an image; raises an UnforeseenError where the fault is not its own."""
    number = getattr(error, "errno", None)
    if isinstance(error, MemoryError) or number in _NO_FAULT_OF_THE_IMAGE:
        raise UnforeseenError(f"{printable(path)}: {strerror(number or ENOMEM)}") from error
    if is_empty(path):
        return "is empty"
    if is_animated_webp(path):
        return "an animated WebP cannot be read by FFmpeg"
    return "cannot be read"


def list_images(target: str) -> list[Path]:
    """The files that a folder, pattern or path stands for, in natural order.

    Raises:
        SourceError: There are none, or the folder may not be read.
    """
    name = printable(target)
    try:
        found = list(find_images(Path(target), name))
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror}") from error
    return sorted(found, key=lambda file: (_natural(file.name), file.name))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    parts = re.findall(r"\d+|\D+", name.lower())
    return [(False, int(p), "") if p.isdecimal() else (True, 0, p) for p in parts]
