from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamer.errors import WireError
from streamer.image_encoding import encode_jpeg, encode_png
from streamer.wire.image_decoding import decode_jpeg, decode_png, jpeg_size


def test_a_png_of_another_size_is_refused_before_it_is_decoded() -> None:
    huge = encode_png(np.zeros((1000, 1000), np.uint16))
    with pytest.raises(WireError, match="16-bit greyscale PNG of 5x4"):
        decode_png(huge, (4, 5))


def test_an_8_bit_png_is_refused() -> None:
    png = cv2.imencode(".png", np.zeros((4, 5), np.uint8))[1].tobytes()
    with pytest.raises(WireError, match="16-bit"):
        decode_png(png, (4, 5))


def test_jpeg_keeps_size_and_colours() -> None:
    image = np.full((20, 30, 3), (30, 90, 220), np.uint8)
    jpeg = encode_jpeg(image, 85)
    assert jpeg_size(jpeg) == (20, 30)
    assert np.abs(decode_jpeg(jpeg, (20, 30)).astype(int) - image).max() < 8


def test_a_jpeg_of_another_size_is_refused_before_it_is_decoded() -> None:
    jpeg = encode_jpeg(np.zeros((20, 30, 3), np.uint8), 85)
    with pytest.raises(WireError, match=r"size is \(20, 30\), its frame's is \(4, 5\)"):
        decode_jpeg(jpeg, (4, 5))


def test_fill_bytes_hide_no_size() -> None:
    jpeg = encode_jpeg(np.zeros((20, 30, 3), np.uint8), 85)
    # To who takes fill bytes for a marker, its segment hides all up to a second frame header.
    fake = b"\xff\xff\xee" + (2).to_bytes(2, "big")
    assert jpeg_size(jpeg[:2] + fake + jpeg[2:]) == (20, 30)


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])  # tables, an extension, conditioning
def test_what_is_numbered_among_the_frame_headers_and_is_none_has_no_size(marker: int) -> None:
    jpeg = encode_jpeg(np.zeros((20, 30, 3), np.uint8), 85)
    segment = bytes((0xFF, marker, 0, 8, 8, 0, 4, 0, 5, 1))
    assert jpeg_size(jpeg[:2] + segment + jpeg[2:]) == (20, 30)


@pytest.mark.parametrize(
    "jpeg",
    [
        *(b"", b"GIF89a", b"\xff\xd8\x00", b"\xff\xd8\xff\xda\x00\x08"),
        b"\xff\xd8\xff\xe0\x00\x01\xff\xc0\x00\x0b\x08\x00\x04\x00\x05",
        b"\xff\xd8\xff\xd0\xff\xc0\x00\x0b\x08\x00\x04\x00\x05\x00\x00",
    ],
)
def test_what_is_no_jpeg_has_no_size(jpeg: bytes) -> None:
    assert jpeg_size(jpeg) is None


def test_a_jpeg_without_its_data_is_refused() -> None:
    jpeg = encode_jpeg(np.zeros((20, 30, 3), np.uint8), 85)
    start = jpeg.index(b"\xff\xc0")
    with pytest.raises(WireError):
        decode_jpeg(jpeg[: start + 12], (20, 30))
