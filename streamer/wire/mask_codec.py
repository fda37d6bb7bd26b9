"""Masks as bytes on the wire, and back; what comes from the wire is not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError, WireError
from streamer.image_encoding import encode_png
from streamer.mask import Mask, label_map
from streamer.wire.image_decoding import decode_png
from streamer.wire.messages import Encoding, FrameMessage
from streamer.wire.run_lengths import check_runs, run_lengths


def encode_masks(
    size: tuple[int, int], segments: Sequence[Mask], encoding: Encoding
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
    columns = np.repeat(inside, runs).reshape(width, height)
    # Row by row, as the other encodings' masks are; OpenCV is four times faster at it than NumPy.
    return cast("NDArray[np.uint8]", cv2.transpose(columns.view(np.uint8))).view(np.bool_)


def decode_label_map(message: FrameMessage) -> NDArray[np.uint16]:
    """The label map of a message, as uint16 [H, W]: 0, or 1 + the position in `instances`.

    Raises:
        WireError: It is broken, of another size, or names an instance that does not exist.
        ConfigError: Its encoding needs a package that is not installed.
    """
    if message.encoding == "labelmap_png":
        labels = decode_png(message.payload, message.size)
    else:
        labels = _decompress(message.payload, message.size)
    highest = int(labels.max())
    if highest > len(message.instances):
        raise WireError(
            f"frame {message.frame}: label {highest} with {len(message.instances)} instances"
        )
    return labels


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
