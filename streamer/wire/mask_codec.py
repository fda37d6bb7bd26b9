"""Masks and images as bytes on the wire, and back; what comes from the wire is not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError
from streamer.image_encoding import encode_png
from streamer.output import CroppedMask, label_map
from streamer.wire.messages import Encoding, FrameMessage, WireError

PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
"""Signature of a PNG file with the length and the name of its first chunk."""

RLE_DIGITS = 7
"""Most characters of one number in a COCO run length: 5 bits each, and lengths fit 32 bits."""

MAX_RLE_CHARACTERS = 2**22
"""Most characters of one mask, some 60 bytes each to read. A mask has one or two for each border in
each column: even in the widest frame (65,535 columns), 30 in every column have room."""


def encode_masks(
    size: tuple[int, int], segments: Sequence[CroppedMask], encoding: Encoding
) -> tuple[bytes, list[tuple[int, int]] | None]:
    """The payload of a frame.

    Args:
        size: (height, width) of the frame in pixels.
        segments: Its masks; in a label map, later ones lie on top.
        encoding: How they are written.

    Returns:
        The payload, and for each mask its (offset, length) in it, in bytes; None in label maps.

    Raises:
        ConfigError: `encoding` needs a package that is not installed.
    """
    if encoding == "coco_rle":
        counts = [segment.rle()["counts"] for segment in segments]
        ends = np.cumsum([len(count) for count in counts], dtype=np.int64).tolist()
        spans = [(end - len(count), len(count)) for end, count in zip(ends, counts, strict=True)]
        return b"".join(counts), spans
    labels = label_map(size, segments)
    if encoding == "labelmap_png":
        return encode_png(labels), None
    pixels = labels.astype("<u2", copy=False).tobytes()
    return cast("bytes", zstandard().ZstdCompressor(level=1).compress(pixels)), None


def decode_mask(message: FrameMessage, position: int) -> NDArray[np.bool_]:
    """The mask of one instance of a `coco_rle` message, as bool [H, W].

    Raises:
        WireError: Its run lengths are broken or do not cover the frame exactly.
    """
    entry = message.instances[position]
    if entry.offset is None or entry.length is None:
        raise WireError(f"instance {position} has no offset and length of its own")
    height, width = message.size
    runs = run_lengths(message.payload[entry.offset : entry.offset + entry.length])
    check_runs(runs, message.size, position)
    inside = np.arange(len(runs)) % 2 == 1  # the first run lies outside the object
    # Decoded here and not in pycocotools, whose C code trusts the lengths; runs go down columns.
    return np.repeat(inside, runs).reshape(width, height).T


def run_lengths(counts: bytes) -> NDArray[np.int64]:
    """Run lengths of pycocotools' compressed counts, as int64 [n].

    Each number is written in groups of five bits, lowest first, one character a group (48 added);
    bit 5 says that more follow, bit 4 of the last group is the sign. From the fourth number on, the
    difference to the number two before is written.

    Source: `rleFrString` in cocodataset/cocoapi `common/maskApi.c`.

    Raises:
        WireError: A character or a number is out of range, or the text ends inside a number.
    """
    groups = np.frombuffer(counts, dtype=np.uint8) - np.uint8(48)  # what is below wraps around
    if not len(groups) or groups.max() > 63:
        raise WireError("run lengths are empty or hold characters outside of '0' to 'o'")
    last = np.flatnonzero(groups & 32 == 0)
    if not len(last) or last[-1] != len(groups) - 1:
        raise WireError("run lengths end inside a number")
    first = np.concatenate(([0], last[:-1] + 1))
    digits = last - first + 1
    if digits.max() > RLE_DIGITS:
        raise WireError(f"run lengths hold a number of more than {RLE_DIGITS} characters")
    # Four bytes each, as there is one for every character.
    places = np.arange(len(groups), dtype=np.int32) - np.repeat(first.astype(np.int32), digits)
    bits = (groups & 31).astype(np.int64)
    bits <<= 5 * places
    numbers = np.add.reduceat(bits, first)
    numbers -= np.where(groups[last] & 16, np.int64(1) << (5 * digits), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def check_length(length: int, size: tuple[int, int], position: int) -> None:
    """Refuse more characters than are read, or than a mask of `size` (height, width) can have.

    Without runs of no pixels there is one at most for each pixel, besides the first; a number takes
    a second character from a difference of 16 on, and all differences together are twice the pixels
    at most.

    Raises:
        WireError: There are more.
    """
    if length > min(MAX_RLE_CHARACTERS, 2 * (size[0] * size[1] + 1)):
        raise WireError(
            f"instance {position}: {length} characters of run lengths for {size[1]}x{size[0]}"
        )


def check_runs(runs: NDArray[np.int64], size: tuple[int, int], position: int) -> None:
    """Refuse run lengths that do not cover a frame of `size` (height, width) exactly.

    Raises:
        WireError: A run is negative, or their sum is not the number of pixels.
    """
    pixels = size[0] * size[1]
    if runs.min() < 0 or runs.max() > pixels or int(runs.sum()) != pixels:
        raise WireError(
            f"instance {position}: run lengths sum to {int(runs.sum())} (shortest "
            f"{int(runs.min())}), not to the {pixels} pixels of {size[1]}x{size[0]}"
        )


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


def decode_label_map(message: FrameMessage) -> NDArray[np.uint16]:
    """The label map of a message, as uint16 [H, W]: 0, or 1 + the position in `instances`.

    Raises:
        WireError: It is broken, of another size, or names an instance that does not exist.
        ConfigError: Its encoding needs a package that is not installed.
    """
    if message.encoding == "labelmap_png":
        check_png(message.payload, message.size)
        labels = _imdecode(message.payload, cv2.IMREAD_UNCHANGED)
    else:
        labels = _decompress(message.payload, message.size)
    if labels is None or labels.shape != message.size or labels.dtype != np.uint16:
        raise WireError(f"frame {message.frame}: the {message.encoding} payload is broken")
    highest = int(labels.max())
    if highest > len(message.instances):
        raise WireError(
            f"frame {message.frame}: label {highest} with {len(message.instances)} instances"
        )
    return labels.astype(np.uint16, copy=False)


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


def zstandard() -> ModuleType:
    """The optional package behind `labelmap_zstd`.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import zstandard as package  # noqa: PLC0415 - an extra, needed by one encoding only
    except ImportError as error:
        raise ConfigError(
            "the encoding labelmap_zstd needs the package zstandard: "
            "pip install 'zstandard>=0.22,<1'"
        ) from error
    return package


def check_zstd(payload: bytes, size: tuple[int, int]) -> None:
    """Refuse what is no zstandard frame of 16-bit pixels of `size` (height, width).

    Raises:
        WireError: Its header says otherwise.
        ConfigError: The package that reads it is not installed.
    """
    package = zstandard()
    try:
        declared = package.get_frame_parameters(payload).content_size
    except package.ZstdError as error:
        raise WireError(f"payload is not a zstandard frame: {error}") from error
    if declared != 2 * size[0] * size[1]:
        raise WireError(f"payload declares {declared} bytes for {size[1]}x{size[0]} pixels")


def _decompress(payload: bytes, size: tuple[int, int]) -> NDArray[np.uint16]:
    check_zstd(payload, size)
    package = zstandard()
    try:
        pixels = package.ZstdDecompressor().decompress(payload, allow_extra_data=False)
    except package.ZstdError as error:
        raise WireError(f"payload is not a zstandard frame: {error}") from error
    return np.frombuffer(pixels, dtype="<u2").reshape(size).astype(np.uint16)


def _imdecode(data: bytes, mode: int) -> NDArray[np.integer] | None:
    try:
        return cast("NDArray[np.integer] | None", cv2.imdecode(np.frombuffer(data, np.uint8), mode))
    except cv2.error as error:
        raise WireError(f"an image cannot be decoded: {error.err}") from error
