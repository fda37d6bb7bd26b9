"""A decoded picture becomes upright RGB."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av import VideoFrame
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


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture with its timing, not yet converted.

    Attributes:
        frame: As it left the decoder.
        pts: Presentation timestamp as the container has it, in units of `time_base`, or None.
        time_base: Seconds per tick.
        camera_unix_ns: When the camera says it took it, nanoseconds since 1970, or None.
    """

    frame: VideoFrame
    pts: int | None
    time_base: Fraction
    camera_unix_ns: int | None = None


class RgbConverter:
    """Converts decoded pictures; not thread-safe, keeps swscale's tables between pictures.

    Greyscale becomes three equal channels, more than 8 bits are reduced to 8, alpha is dropped
    (what is transparent shows the colour stored under it). Non-square pixels stay as they are.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """A picture as uint8 [H, W, 3], RGB, full range, upright, contiguous."""
        is_full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        untagged = Colorspace.ITU709 if frame.height >= HD_LINES else Colorspace.ITU601
        rgb = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=_COLORSPACES.get(frame.colorspace, untagged),
            src_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        )
        image = np.asarray(rgb.to_ndarray(), np.uint8)
        return np.ascontiguousarray(_upright(image, frame))


def _upright(image: NDArray[np.uint8], frame: VideoFrame) -> NDArray[np.uint8]:
    """Apply the display matrix, in quarter turns and flips.

    Source: FFmpeg ``libavutil/display.h``: a pixel at (p, q) is shown at (a p + c q, b p + d q)
    for the matrix a b u c d v x y w; y points down.
    """
    a, b, c, d = _display_matrix(frame)
    is_transposed = abs(b) > abs(a)
    if is_transposed:
        image = np.asarray(cv2.transpose(image), np.uint8)
    x_sign, y_sign = (c, b) if is_transposed else (a, d)
    if x_sign < 0 or y_sign < 0:
        # OpenCV: 1 flips left and right, 0 up and down, -1 both
        code = -1 if x_sign < 0 and y_sign < 0 else 1 if x_sign < 0 else 0
        image = np.asarray(cv2.flip(image, code), np.uint8)
    return image


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    try:
        # Not `frame.side_data`: the frame would keep that, which keeps the frame, and only the
        # garbage collector would end it, hundreds of frames later.
        side_data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    except ValueError:
        # PyAV 18 gives none if there is a kind that it does not know, as EXIF data of photographs;
        # the angle it knows all the same, in degrees counter-clockwise, but no flips.
        quarters = round(frame.rotation / 90) % 4
        return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[quarters]
    if side_data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(cast(SideData, side_data)), np.int32, count=5).tolist()
    return a, b, c, d
