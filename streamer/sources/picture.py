"""A decoded picture becomes upright RGB."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av import VideoFrame
from av.filter import Graph
from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

HD_LINES = 720
"""Lines from which video that does not tell its colour matrix is taken for BT.709.

Source: ITU-R BT.709 is for HD, BT.601 for less; untagged video follows its size by convention.
"""

_COLORSPACES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,  # BT.470 BG
    6: Colorspace.ITU601,  # SMPTE 170M
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""From ITU-T H.273 matrix coefficients, which tag a frame, to swscale's matrices."""

_FULL_RANGE = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
"""From luma of limited range, 16 to 235."""

_EXIF = 31  # Source: FFmpeg, AV_FRAME_DATA_EXIF in libavutil/frame.h; fixed once it is released


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture with its timing, not yet converted.

    Attributes:
        frame: As it left the decoder.
        pts: Presentation timestamp as the container has it, in units of `time_base`, or None.
        time_base: Seconds per tick.
        camera_unix_ns: When the camera says it took it, nanoseconds since 1970, or None.
        pixel_aspect: Width of a pixel by its height, as stored.
        duration: How long it is shown, in units of `time_base`; None or 0 where that is unknown.
        skipped: Pictures before it that were not decoded, to catch up with a live source.
    """

    frame: VideoFrame
    pts: int | None
    time_base: Fraction
    camera_unix_ns: int | None = None
    pixel_aspect: Fraction = Fraction(1)
    duration: int | None = None
    skipped: int = 0

    @property
    def is_on_device(self) -> bool:
        """Whether a GPU decoded it, in whose memory it lies."""
        return self.frame.format.name == "cuda"


@dataclass(frozen=True, slots=True)
class ColourCoding:
    """How a picture's luma and chroma mean colours.

    Attributes:
        matrix: Between R'G'B' and luma with chroma.
        is_full: Whether they use their type's full range; otherwise, of 8 bits, 16 to 235 and 240.
    """

    matrix: Colorspace
    is_full: bool

    @classmethod
    def of(cls, frame: VideoFrame) -> ColourCoding:
        """As the frame's tags say, or as its size suggests."""
        untagged = Colorspace.ITU709 if frame.height >= HD_LINES else Colorspace.ITU601
        is_full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        return cls(Colorspace(_COLORSPACES.get(frame.colorspace, untagged)), is_full)


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture becomes upright: transposed first, flipped then.

    Attributes:
        is_transposed: Whether rows become columns.
        flips_rows: Whether the first row becomes the last.
        flips_columns: Whether the first column becomes the last.
    """

    is_transposed: bool
    flips_rows: bool
    flips_columns: bool

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """As the display matrix says, in quarter turns and flips.

        Source: FFmpeg ``libavutil/display.h``: a pixel at (p, q) is shown at (a p + c q, b p + d q)
        for the matrix a b u c d v x y w; y points down.
        """
        a, b, c, d = _display_matrix(frame)
        is_transposed = abs(b) > abs(a)
        x_sign, y_sign = (c, b) if is_transposed else (a, d)
        return cls(is_transposed, flips_rows=y_sign < 0, flips_columns=x_sign < 0)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the upright picture, from those of the stored one."""
        return (width, height) if self.is_transposed else (height, width)


class RgbConverter:
    """Converts decoded pictures; not thread-safe, keeps swscale's tables between pictures.

    Greyscale becomes three equal channels, more than 8 bits are reduced to 8, alpha is dropped
    (what is transparent shows the colour stored under it). Non-square pixels stay as they are.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """A picture as uint8 [H, W, 3], RGB, full range, upright, contiguous."""
        colours = ColourCoding.of(frame)
        rgb = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=colours.matrix,
            src_color_range=ColorRange.JPEG if colours.is_full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        )
        image = np.asarray(rgb.to_ndarray(), np.uint8)
        if frame.format.name.startswith("gray") and frame.color_range == ColorRange.MPEG:
            image = np.asarray(cv2.LUT(image, _FULL_RANGE), np.uint8)  # which swscale leaves alone
        return np.ascontiguousarray(_upright(image, Orientation.of(frame)))


def _upright(image: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    if orientation.is_transposed:
        image = np.asarray(cv2.transpose(image), np.uint8)
    if orientation.flips_rows or orientation.flips_columns:
        # OpenCV: 1 flips left and right, 0 up and down, -1 both
        both = orientation.flips_rows and orientation.flips_columns
        image = np.asarray(
            cv2.flip(image, -1 if both else int(orientation.flips_columns)), np.uint8
        )
    return image


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    try:
        side_data = _find_matrix(frame)
    except ValueError:
        # PyAV 18 gives none if there is a kind that it does not know, as EXIF data of photographs.
        try:
            side_data = _find_matrix(_without_exif(frame))
        except ValueError:  # another one; the angle it knows all the same, but no flips
            quarters = round(frame.rotation / 90) % 4  # counter-clockwise
            return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[quarters]
    if side_data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32, count=5).tolist()
    return a, b, c, d


def _find_matrix(frame: VideoFrame) -> SideData | None:
    # Not `frame.side_data`: the frame would keep that, which keeps the frame, and only the
    # garbage collector would end it, hundreds of frames later.
    side_data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    return cast("SideData | None", side_data)


def _without_exif(frame: VideoFrame) -> VideoFrame:
    """The same picture, with its other side data."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    delete = graph.add("sidedata", f"mode=delete:type={_EXIF}")
    sink = graph.add("buffersink")
    source.link_to(delete)
    delete.link_to(sink)
    graph.configure()
    graph.push(frame)
    return cast(VideoFrame, graph.pull())
