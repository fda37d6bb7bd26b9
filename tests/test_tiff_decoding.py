"""`streamer.sources.tiff_decoding`: every TIFF has its pixels, or is left out and named."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from streamer.errors import SourceError
from streamer.sources.image_media import ImageMedia
from streamer.sources.picture import RgbConverter
from tests.clips import draw

COMPRESSIONS = ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"]
ORIENTATION = 274  # Source: TIFF 6.0, like the other numbers of tags


def read(path: Path) -> NDArray[np.int64]:
    (picture,) = ImageMedia(str(path), fps=5).pictures(Fraction(0))
    return RgbConverter().convert(picture.frame).astype(int)


def save(path: Path, **options: object) -> NDArray[np.int64]:
    image = draw(3, (48, 64))
    Image.fromarray(image).save(path, **options)
    return image.astype(int)


def write_tiff(path: Path, order: str, tags: dict[int, list[int]], pixels: bytes) -> None:
    """A file of 16-bit tags by number, whose pixels begin at 8."""
    entries, beyond, place = b"", b"", 8 + len(pixels) + 2 + 12 * len(tags) + 4
    for tag, values in tags.items():
        data = struct.pack(f"{order}{len(values)}H", *values)
        if len(data) > 4:
            beyond, data = beyond + data, struct.pack(f"{order}I", place + len(beyond))
        entries += struct.pack(f"{order}HHI", tag, 3, len(values)) + data.ljust(4, b"\0")
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HI", 42, 8 + len(pixels))
    index = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    path.write_bytes(head + pixels + index + beyond)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_pixels_come_exactly(tmp_path: Path, compression: str) -> None:
    image = save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read(tmp_path / "a.tif"), image)


def test_jpeg_inside_is_no_black_picture(tmp_path: Path) -> None:
    image = save(tmp_path / "a.tif", compression="jpeg", quality=95)
    assert np.abs(read(tmp_path / "a.tif") - image).mean() < 3


@pytest.mark.parametrize(
    "convert",
    [
        lambda image: Image.fromarray(image).convert("CMYK"),
        lambda image: Image.fromarray(image).quantize(200),
        lambda image: Image.fromarray(image).convert("L"),
        lambda image: Image.fromarray(np.dstack([image, image[..., :1]])),
    ],
    ids=["CMYK", "palette", "grey", "alpha"],
)
def test_kinds_of_pixels(
    tmp_path: Path, convert: Callable[[NDArray[np.uint8]], Image.Image]
) -> None:
    image = convert(draw(3, (48, 64)))
    image.save(tmp_path / "a.tif", compression="tiff_lzw")
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read(tmp_path / "a.tif") - expected).max() <= 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_become_8(tmp_path: Path, channels: int) -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (48, 64, channels), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.tif"), deep)
    expected = deep[..., 2::-1].astype(int) >> 8  # OpenCV's are BGR
    assert np.abs(read(tmp_path / "a.tif") - expected).max() <= 1


@pytest.mark.parametrize(
    ("order", "bits", "is_black_zero", "two"),
    [
        ("<", 16, 1, b"\x00\x80\x00\x40"),
        (">", 16, 1, b"\x80\x00\x40\x00"),
        ("<", 12, 1, b"\x80\x04\x00"),
        ("<", 16, 0, b"\xff\x7f\xff\xbf"),
        (">", 16, 0, b"\x7f\xff\xbf\xff"),
    ],
)
def test_grey_of_more_bits_and_either_order_of_bytes(
    tmp_path: Path, order: str, bits: int, is_black_zero: int, two: bytes
) -> None:
    pixels = two * 256
    tags = {256: [32], 257: [16], 258: [bits], 259: [1], 262: [is_black_zero], 273: [8], 277: [1]}
    tags |= {278: [16], 279: [len(pixels)]}
    write_tiff(tmp_path / "a.tif", order, tags, pixels)
    assert read(tmp_path / "a.tif")[0, :2].tolist() == [[128] * 3, [64] * 3]


def test_planes_of_16_bits_lie_on_each_other(tmp_path: Path) -> None:
    planes = b"".join(bytes([0, value]) * 512 for value in (200, 100, 50))
    tags = {256: [32], 257: [16], 258: [16] * 3, 259: [1], 262: [2], 273: [8, 1032, 2056]}
    tags |= {277: [3], 278: [16], 279: [1024] * 3, 284: [2]}
    write_tiff(tmp_path / "a.tif", "<", tags, planes)
    assert np.abs(read(tmp_path / "a.tif") - [200, 100, 50]).max() <= 1


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_it_is_turned_upright(tmp_path: Path, compression: str) -> None:
    image = save(tmp_path / "a.tif", compression=compression, tiffinfo={ORIENTATION: 6})
    assert np.array_equal(read(tmp_path / "a.tif"), np.rot90(image, -1))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_numbers_that_are_no_colours_are_left_out(
    tmp_path: Path, dtype: type, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(np.ones((48, 64), dtype)).save(tmp_path / "0.tif")
    save(tmp_path / "1.tif")
    media = ImageMedia(str(tmp_path), fps=5)
    assert [picture.pts for picture in media.pictures(Fraction(0))] == [1]
    assert media.counts.corrupt == 1
    assert "0.tif: cannot be read and is left out" in caplog.text


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_damaged_pixels_are_left_out(tmp_path: Path, compression: str) -> None:
    # PackBits shows no damage but what makes too few pixels; uncompressed ones show none at all.
    for index in range(3):
        save(tmp_path / f"{index}.tif", compression=compression)
    path = tmp_path / "1.tif"
    with Image.open(path) as image:
        begin, length = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    data = bytearray(path.read_bytes())
    data[begin + length // 4 : begin + length // 2] = bytes(length // 2 - length // 4)
    path.write_bytes(data)
    media = ImageMedia(str(tmp_path), fps=5)
    assert [picture.pts for picture in media.pictures(Fraction(0))] == [0, 2]
    assert media.counts.corrupt == 1


def test_another_ending_hides_no_tiff(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", compression="jpeg")
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    assert read(tmp_path / "a.png").max() > 200


def test_a_small_file_of_huge_size_is_refused(tmp_path: Path) -> None:
    Image.new("1", (16_384, 8_320)).save(tmp_path / "0.tif", compression="group4")
    pictures = ImageMedia(str(tmp_path), fps=5).pictures(Fraction(0))
    with pytest.raises(SourceError, match=r"0\.tif: frames of 16384x8320; allowed: up to"):
        next(pictures)
