"""The shape of a video's pixels, which may change on the way."""

from __future__ import annotations

from fractions import Fraction

from av import VideoFrame
from av.video.stream import VideoStream


class PixelAspect:
    """Follows a stream's: it is the container's, until the decoder's is another than at first."""

    def __init__(self) -> None:
        self._first: Fraction | None = None

    def of(self, frame: VideoFrame, stream: VideoStream) -> Fraction:
        """Width of a pixel by its height; to be asked for each picture.

        The decoder is ahead of its pictures: those just before a change have the new one, too,
        unless their size tells that they are older.
        """
        context = stream.codec_context
        coded = context.sample_aspect_ratio or Fraction(1)  # not known, it is None or 0
        if self._first is None:
            self._first = coded
        is_recent = (context.width, context.height) == (frame.width, frame.height)
        if coded != self._first and is_recent:
            return coded
        return stream.sample_aspect_ratio or Fraction(1)
