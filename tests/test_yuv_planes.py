"""`streamer.sources.yuv_planes`: a decoder's planes become the RGB that the CPU's way gives."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from streamer.config import SHIPPED_CLIP
from streamer.sources.picture import Orientation, RgbConverter
from streamer.sources.yuv_planes import copy_planes
from tests.clips import Image, draw, frames_of, make_clip


def difference(frame: av.VideoFrame, kind: str = "nv12") -> np.ndarray:
    """The same samples as a decoder of a GPU gives them, against the software's way."""
    picture = copy_planes(frame.reformat(format=kind))
    assert picture is not None
    image = picture.rgb().numpy()
    expected = RgbConverter().convert(frame)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.shape == expected.shape == (*picture.size, 3)
    return np.abs(image.astype(int) - expected)


def photograph() -> Image:
    return frames_of(SHIPPED_CLIP, 1)[0].to_ndarray(format="rgb24")


def encoded(image: Image, kind: str, matrix: int, color_range: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, "rgb24")
    return frame.reformat(format=kind, dst_colorspace=matrix, dst_color_range=color_range)


def test_frames_of_the_shipped_clip() -> None:
    for frame in frames_of(SHIPPED_CLIP, 50)[::10]:
        apart = difference(frame)
        assert apart.mean() < 0.7
        assert apart.max() <= 2


@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize(
    "matrix",
    [
        *(Colorspace.ITU709, Colorspace.ITU601, Colorspace.BT2020),
        *(Colorspace.FCC, Colorspace.SMPTE240M),
    ],
)
def test_every_matrix_and_range_gives_swscales_colours(
    matrix: Colorspace, color_range: ColorRange
) -> None:
    image = photograph()
    apart = difference(encoded(image, "yuv420p", matrix, color_range))
    assert apart.mean() < 0.7
    assert apart.max() <= 2
    # swscale is a level off with ten bits, and blends the chroma of neighbours
    deep = encoded(image, "yuv420p10le", matrix, color_range)
    assert difference(deep, "p010le").mean() < 1.6
    picture = copy_planes(deep.reformat(format="p010le"))
    assert picture is not None
    assert np.abs(picture.rgb().numpy().astype(int) - image).mean() < 0.8


@pytest.mark.parametrize("kind", ["nv12", "p010le"])
@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_black_and_white_stay_so_in_every_range(kind: str, color_range: ColorRange) -> None:
    for level in (0, 255):
        image = np.full((48, 64, 3), level, np.uint8)
        picture = copy_planes(encoded(image, kind, Colorspace.ITU709, color_range))
        assert picture is not None
        assert np.abs(picture.rgb().numpy().astype(int) - level).max() <= 1


@pytest.mark.parametrize(("height", "matrix"), [(718, Colorspace.ITU601), (720, Colorspace.ITU709)])
def test_untagged_colour_goes_by_the_lines(height: int, matrix: Colorspace) -> None:
    image = np.full((height, 16, 3), (200, 40, 60), np.uint8)
    frame = encoded(image, "yuv420p", matrix, ColorRange.MPEG)
    frame.colorspace, frame.color_range = 2, 0  # unspecified
    assert difference(frame).max() <= 2


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("hflip", [False, True])
def test_rotated_and_mirrored_planes_come_out_upright(
    tmp_path: Path, rotation: int, hflip: bool
) -> None:
    path = tmp_path / "a.mp4"
    make_clip(path, frames=[draw(3, (48, 64))], rotation=rotation, hflip=hflip)
    (frame,) = frames_of(path, 1)
    turned = Orientation.of(frame)
    assert (turned.is_transposed, turned.size(48, 64)) == (
        (True, (64, 48)) if rotation in {90, 270} else (False, (48, 64))
    )
    assert difference(frame).max() <= 2


@pytest.mark.parametrize("size", [(37, 52), (36, 51), (37, 51), (3, 3)])
def test_odd_sizes_borrow_their_neighbours_chroma(size: tuple[int, int]) -> None:
    # PyAV leaves out the chroma of the last odd row and column: their neighbours' stands in.
    image = np.ascontiguousarray(photograph()[: size[0], : size[1]])
    assert difference(encoded(image, "yuv420p", Colorspace.ITU601, ColorRange.MPEG)).mean() < 1.2


@pytest.mark.parametrize("kind", ["yuv420p", "yuv444p", "nv16", "nv24", "rgb24", "gray", "yuyv422"])
def test_other_planes_are_left_to_the_software(kind: str) -> None:
    frame = av.VideoFrame.from_ndarray(draw(0, (48, 64)), "rgb24").reformat(format=kind)
    assert copy_planes(frame) is None


def test_the_copy_outlives_the_frame() -> None:
    frame = encoded(draw(0, (48, 64)), "nv12", Colorspace.ITU601, ColorRange.MPEG)
    picture = copy_planes(frame)
    assert picture is not None
    before = picture.rgb()
    planes = [np.frombuffer(plane, np.uint8) for plane in frame.planes]
    for plane in planes:
        plane.flags.writeable = True
        plane[:] = 0
    assert (picture.rgb() == before).all()
