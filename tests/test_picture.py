from __future__ import annotations

import gc
from pathlib import Path

import av
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest
from av.video.reformatter import ColorRange, Colorspace

from streamer.sources.picture import RgbConverter
from tests.clips import draw, frames_of, make_clip, write_image

RED = (200, 30, 60)


def first_frame(path: Path) -> av.VideoFrame:
    return frames_of(path, 1)[0]


def corners(height: int = 48, width: int = 64) -> np.ndarray:
    """Red, green, blue and white quarters, from the top left in reading order."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    image[: height // 2, width // 2 :] = (0, 255, 0)
    image[height // 2 :, : width // 2] = (0, 0, 255)
    image[height // 2 :, width // 2 :] = (255, 255, 255)
    return image


def close(actual: np.ndarray, expected: np.ndarray, mean: float = 8) -> bool:
    return bool(np.abs(actual.astype(int) - expected.astype(int)).mean() < mean)


def test_a_converted_frame_needs_no_garbage_collector(tmp_path: Path) -> None:
    """Or frames of half a megabyte would gather until it runs, which takes hundreds of them."""
    make_clip(tmp_path / "clip.mp4", frames=3, rotation=90)
    gc.collect()
    gc.disable()
    try:
        with av.open(str(tmp_path / "clip.mp4")) as container:
            converter = RgbConverter()
            shapes = [converter.convert(frame).shape for frame in container.decode(video=0)]
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [thing for thing in gc.garbage if isinstance(thing, av.VideoFrame)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert shapes == [(64, 48, 3)] * 3
    assert left == []


@pytest.mark.parametrize(
    ("rotation", "hflip", "upright"),
    [
        (90, False, lambda image: np.rot90(image, 1)),
        (180, False, lambda image: image[::-1, ::-1]),
        (270, False, lambda image: np.rot90(image, 3)),
        (0, True, lambda image: image[:, ::-1]),
    ],
)
def test_rotated_and_mirrored_frames_come_out_upright(
    tmp_path: Path, rotation: int, hflip: bool, upright: object
) -> None:
    make_clip(tmp_path / "a.mp4", frames=[corners()], rotation=rotation, hflip=hflip)
    image = RgbConverter().convert(first_frame(tmp_path / "a.mp4"))
    expected = upright(corners())  # type: ignore[operator]
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert close(image, expected)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_come_out_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a{suffix}"
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = orientation
    stored = PIL.Image.fromarray(corners())
    stored.save(path, exif=exif, quality=95)
    with PIL.Image.open(path) as photograph:
        expected = np.asarray(PIL.ImageOps.exif_transpose(photograph).convert("RGB"))
    image = RgbConverter().convert(first_frame(path))
    assert image.shape == expected.shape
    assert close(image, expected)


@pytest.mark.parametrize("matrix", [Colorspace.ITU709, Colorspace.ITU601])
@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("height", [48, 720])
def test_colour_tags_are_followed(matrix: Colorspace, color_range: ColorRange, height: int) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((height, 64, 3), RED, np.uint8), "rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=color_range)
    assert close(RgbConverter().convert(frame)[8, 8], np.array(RED), mean=3)


@pytest.mark.parametrize(("height", "matrix"), [(718, Colorspace.ITU601), (720, Colorspace.ITU709)])
def test_untagged_colour_goes_by_the_lines(height: int, matrix: Colorspace) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((height, 16, 3), RED, np.uint8), "rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=ColorRange.MPEG)
    frame.colorspace = 2  # unspecified
    frame.color_range = 0
    assert close(RgbConverter().convert(frame)[8, 8], np.array(RED), mean=3)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("grey.mkv", "ffv1", "gray"),
        ("ten.mp4", "libx264", "yuv420p10le"),
        ("alpha.mov", "qtrle", "argb"),
        ("deep.mkv", "ffv1", "gbrp16le"),
    ],
)
def test_other_pixel_formats_become_8_bit_rgb(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    (drawn,) = make_clip(tmp_path / name, frames=1, codec=codec, pix_fmt=pix_fmt)
    image = RgbConverter().convert(first_frame(tmp_path / name))
    assert image.dtype == np.uint8
    if pix_fmt == "gray":
        assert np.ptp(image, axis=2).max() == 0
        drawn = (drawn @ np.array([0.299, 0.587, 0.114]))[..., None].repeat(3, 2)
    assert close(image, drawn)


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le"])
@pytest.mark.parametrize(
    ("color_range", "expected"),
    [(ColorRange.MPEG, [0, 98, 128, 255]), (ColorRange.JPEG, [16, 100, 126, 235])],
)
def test_grey_has_its_range(pix_fmt: str, color_range: ColorRange, expected: list[int]) -> None:
    luma = np.repeat(np.array([16, 100, 126, 235], np.uint8), 16)[None].repeat(16, 0)
    frame = av.VideoFrame.from_ndarray(luma, "gray").reformat(format=pix_fmt)
    frame.color_range = color_range
    shown = RgbConverter().convert(frame)[8, 8::16]
    assert np.abs(shown - np.array(expected)[:, None]).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (37, 51), (1, 5)])
def test_odd_sizes_keep_their_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    (drawn,) = make_clip(tmp_path / "a.mkv", frames=1, size=size, codec="ffv1", pix_fmt="yuv444p")
    image = RgbConverter().convert(first_frame(tmp_path / "a.mkv"))
    assert image.shape == drawn.shape
    assert close(image, drawn)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_image_files_keep_their_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, draw(3, (24, 32)))
    assert close(RgbConverter().convert(first_frame(path)), draw(3, (24, 32)))
