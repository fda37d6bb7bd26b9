"""The frames of a data set's video, from its image files."""

from __future__ import annotations

import hashlib
import io
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from model.preprocess import network_size, resize
from streamer.errors import SourceError
from streamer.frame import Epoch, Frame, Region
from streamer.printable import printable, shortened
from streamer.sources.media import SourceCounts
from streamer.sources.source_spec import is_empty

DEEP_FORMATS = ("PNG", "PPM")
"""What may hold 16 bits of grey of which PIL makes 32-bit numbers, in some of its versions."""

JPEG_FORMATS = ("JPEG", "MPO")
"""What PIL calls JPEG files; the second is what some cameras write."""


def fingerprint(paths: Iterable[Path]) -> str:
    """What differs once images were changed: the SHA-256 of their sizes and times of change.

    One that is not there is no error here: whoever reads it says so.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            found = path.stat()
            digest.update(b"%d %d\n" % (found.st_size, found.st_mtime_ns))
        except OSError:
            digest.update(b"none\n")
    return digest.hexdigest()


def check_header(path: Path, size: tuple[int, int]) -> None:
    """See that an image is there and has its size; its pixels are not read.

    Args:
        path: Of the file.
        size: (height, width) in pixels that it should have.

    Raises:
        SourceError: It is not there, no image, or of another size.
    """
    with _named(path):
        _check_regular(path)
        with Image.open(path) as image:
            _check_size(image, size)


def read_image(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The pixels of an image as they are stored: EXIF's orientation is left alone.

    Args:
        path: Of the file.
        size: (height, width) in pixels that it should have.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        SourceError: The file is not there, no image, of another size, or damaged.

    Source: the published ``inference.py`` reads with PIL, too; decoders differ by a level or two.
    """
    with _named(path):
        _check_regular(path)
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            _check_size(image, size)
            if image.format in JPEG_FORMATS:
                _check_jpeg(data, image.mode)
            if image.mode == "F" or (image.mode == "I" and image.format not in DEEP_FORMATS):
                raise SourceError("is grey of 32 bits, expected 8 or 16")
            if image.mode.startswith("I"):  # 16-bit grey, which PIL would clip and not scale
                grey = np.asarray(image).astype(np.uint16) >> 8
                return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
            return np.asarray(image.convert("RGB"))


class ImageSequence:
    """A video's images as a source of frames.

    Args:
        name: For messages.
        paths: Of the images, in order.
        size: (height, width) of all of them in pixels.
        short_side: Of the network's input, in pixels.
    """

    def __init__(
        self, name: str, paths: Sequence[Path], size: tuple[int, int], short_side: int
    ) -> None:
        self.name = name
        self.counts = SourceCounts()  # of nothing: a damaged image is an error
        self._paths = paths
        self._size = size
        self._network_size = network_size(size, short_side)
        self._interrupted = False

    def inputs(self, path: Path) -> NDArray[np.uint8]:
        """One image as the network sees it: uint8 [h, w, 3], RGB.

        Raises:
            SourceError: It cannot be read.
        """
        return resize(read_image(path, self._size), self._network_size)

    def __iter__(self) -> Iterator[Frame]:
        """The frames; ends early, without an error, after `interrupt`.

        Raises:
            SourceError: An image cannot be read.
        """
        epoch = Epoch(0, "start", self._size, Region(0, 0, *self._size))
        for index, path in enumerate(self._paths):
            if self._interrupted:
                return
            image = read_image(path, self._size)
            yield Frame(
                index=index,
                epoch=epoch,
                pts=index,
                time_base=Fraction(1),  # a data set does not say when its frames were taken
                time_s=float(index),
                pixels=image,
                inputs=resize(image, self._network_size),
                decoded_ns=time.monotonic_ns(),
            )

    def interrupt(self) -> None:
        """End the iteration before its next frame; from any thread."""
        self._interrupted = True

    def close(self) -> None:
        """Nothing to do: no image stays open."""


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Raise whatever goes wrong with a file as a `SourceError` that names it."""
    name = shortened(printable(path))
    try:
        yield
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from error
    except MemoryError:  # FFmpeg's too
        raise  # not the file's fault
    except FileNotFoundError as error:
        raise SourceError(f"{name}: no such file") from error
    except av.FFmpegError as error:
        raise SourceError(f"{name}: damaged JPEG data") from error
    except UnidentifiedImageError as error:  # which names where PIL keeps the data
        raise SourceError(f"{name}: cannot be read as an image: of no known format") from error
    except Exception as error:  # PIL's plug-ins raise what they like
        reason = getattr(error, "strerror", None) or error  # the system's without the path
        raise SourceError(f"{name}: cannot be read as an image: {reason}") from error


def _check_regular(path: Path) -> None:
    """See that a file is none whose opening may wait for ever, such as a FIFO, nor empty."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise SourceError("is not a regular file")
    if is_empty(path):
        raise SourceError("is empty")


def _check_size(image: Image.Image, size: tuple[int, int]) -> None:
    height, width = size
    if image.size != (width, height):
        found = "x".join(map(str, image.size))
        raise SourceError(f"is {found}, expected {width}x{height} as its video")


def _check_jpeg(data: bytes, mode: str) -> None:
    """Decode a JPEG strictly.

    PIL raises for one that is cut off, but goes on over damage in the middle and gives grey or
    shifted pixels. FFmpeg's decoder can be told not to. It finds blocks of a disk that were lost;
    neither sees a few flipped bits that happen to make valid code. JPEGs in CMYK of a kind that
    FFmpeg does not decode pass unchecked.

    Raises:
        av.FFmpegError: It is damaged.
    """
    strict = {"err_detect": "explode"}
    unknown = suppress(av.PatchWelcomeError) if mode == "CMYK" else nullcontext()
    with unknown, av.open(io.BytesIO(data), "r", format="mjpeg", options=strict) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = strict
        next(container.decode(stream), None)
