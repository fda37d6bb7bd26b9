"""One MP4 that is written frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from streamer.errors import SinkError
from streamer.output_path import is_in_place, open_alone
from streamer.sink_config import Mp4Config
from streamer.sinks.sealing_file import SealingFile
from streamer.sinks.source_audio import SourceAudio
from streamer.sources.picture import HD_LINES

TICKS_PER_S = 90_000
"""Resolution of the timestamps written: MPEG's usual clock, fine enough for any frame rate."""

_LONGEST_SIDE = 16_384  # Source: x264's own limit
# Code points of primaries, transfer and matrix. Source: ITU-T H.273, tables 2 to 4.
_BT709_TAG = 1
_SMPTE170M_TAG = 6

# Fragments while it grows, an ordinary MP4 once closed. Source: FFmpeg's documentation of `mov`.
_CRASH_SAFE = {
    "movflags": "hybrid_fragmented+frag_keyframe",
    "flush_packets": "1",
    # Where the sound ends early, the pictures wait no longer for it than this, in microseconds.
    "max_interleave_delta": "500000",
}
_X264 = {
    # Every frame leaves the encoder at once, so that a kill costs no more than a fragment.
    "tune": "zerolatency",
    "x264-params": "force-cfr=0",  # which that tuning would set
    "forced-idr": "1",
}


class Mp4File:
    """One H.264 MP4 of frames of one size, at their own times.

    It grows in fragments, one per key frame, each flushed when it is complete; closing turns the
    whole into an ordinary MP4.

    Args:
        path: The file; replaced if it exists.
        size: (height, width) of the frames. The video is padded to even numbers, as 4:2:0 needs.
        config: Encoding.
        pixel_aspect: Width of a pixel by its height, which players are told.

    Raises:
        SinkError: It cannot be opened, or the frames are too large.
    """

    def __init__(
        self,
        path: str,
        size: tuple[int, int],
        config: Mp4Config,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        if max(size) > _LONGEST_SIDE:
            limit = f"H.264 allows {_LONGEST_SIDE} pixels a side"
            raise SinkError(f"{path}: frames of {size[1]}x{size[0]}; {limit}")
        self.path = path
        self.size = size
        self._padding = (size[0] % 2, size[1] % 2)
        self._keyframe_ticks = round(config.keyframe_s * TICKS_PER_S)
        self._start_s: float | None = None
        self._failed = False
        self._pts = -1
        self._key_pts = -self._keyframe_ticks
        self._duration = TICKS_PER_S // 25  # of the newest frame; a guess for a first one
        self._audio: SourceAudio | None = None
        self._opened = ExitStack()  # what the sound needs
        self._reformatter = VideoReformatter()
        hd = size[0] >= HD_LINES  # as players expect
        self._colorspace = Colorspace.ITU709 if hd else Colorspace.ITU601
        with self._translating():
            self._file = SealingFile(path, "w+", opener=open_alone)
            self._container = av.open(self._file, "w", format="mp4", options=_CRASH_SAFE)
            # Some rate is needed to set up the encoder; the times come from the pts.
            self._stream = self._container.add_stream("libx264", rate=30)
            self._stream.width = size[1] + self._padding[1]
            self._stream.height = size[0] + self._padding[0]
            self._stream.pix_fmt = "yuv420p"
            self._stream.options = {"crf": str(config.crf), "preset": config.preset, **_X264}
            codec = self._stream.codec_context
            codec.time_base = Fraction(1, TICKS_PER_S)
            codec.sample_aspect_ratio = pixel_aspect
            codec.color_range = ColorRange.MPEG
            tag = _BT709_TAG if hd else _SMPTE170M_TAG
            codec.color_primaries = codec.color_trc = codec.colorspace = tag

    @property
    def written_bytes(self) -> int:
        """Size of the file so far: the fragments that are complete."""
        return os.fstat(self._file.fileno()).st_size

    def is_in_place(self) -> bool:
        """Whether its path still names it; for the end, as it says so where not."""
        return is_in_place(self._file.fileno(), self.path)

    def add_audio(self, source: InputContainer, start_s: Fraction) -> bool:
        """Let the sound of a file go with the frames, if it has any; before the first of them.

        Args:
            source: The file; closed with this one.
            start_s: Presentation time of the first frame, as that file counts it.

        Returns:
            Whether it has any.

        Raises:
            SinkError: Its sound cannot be encoded.
            SourceError: It has no video that can be read.
            LookupError: It has a track of sound, but none that can be read.
        """
        self._opened.callback(source.close)
        if not source.streams.audio:
            return False
        with self._translating():
            self._audio = SourceAudio(source, self._container, start_s)
            self._opened.callback(self._audio.close)
        return True

    def write(
        self, image: NDArray[np.uint8], time_s: float, duration_s: float | None = None
    ) -> None:
        """Append a frame.

        Args:
            image: uint8 [H, W, 3], RGB.
            time_s: Its presentation time in seconds, on any clock; the file begins at its first.
            duration_s: How long it is shown, should it be the last; None for as long as the one
                before.

        Raises:
            SinkError: It cannot be encoded or written; the file can then only be closed.
        """
        if self._failed:
            raise SinkError(f"{self.path}: cannot be written after an earlier error")
        if self._start_s is None:
            self._start_s = time_s
        # Two frames closer than a tick still need two timestamps.
        pts = max(round((time_s - self._start_s) * TICKS_PER_S), self._pts + 1)
        if duration_s is not None:
            self._duration = max(1, round(duration_s * TICKS_PER_S))
        elif self._pts >= 0:
            self._duration = pts - self._pts
        self._pts = pts
        with self._translating():
            frame = self._to_yuv(image)
            frame.pts = pts
            frame.time_base = Fraction(1, TICKS_PER_S)
            if pts - self._key_pts >= self._keyframe_ticks:
                frame.pict_type = PictureType.I
                self._key_pts = pts
            self._mux(frame)
            if self._audio is not None:
                self._audio.write_until(pts / TICKS_PER_S)

    def close(self) -> None:
        """Write what the encoder holds and the index, and close the file.

        Raises:
            SinkError: That cannot be written; the fragments written before stay readable.
        """
        with self._translating(), self._file, self._opened:
            # FFmpeg 8.1 crashes where it ends a file without frames or one that it failed to write.
            if self._pts >= 0 and not self._failed:
                self._mux(None)
                if self._audio is not None:
                    self._audio.write_until((self._pts + self._duration) / TICKS_PER_S)
                self._container.close()

    def _to_yuv(self, image: NDArray[np.uint8]) -> VideoFrame:
        bottom, right = self._padding
        if bottom or right:
            image = np.asarray(
                cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), dtype=np.uint8
            )
        return self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(image, format="rgb24"),
            format="yuv420p",
            dst_colorspace=self._colorspace,
            dst_color_range=ColorRange.MPEG,
        )

    def _mux(self, frame: VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            # Only the file's last one counts: the others last until the next.
            packet.duration = self._duration
            self._container.mux(packet)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Raise errors of PyAV and of the file system as a `SinkError` that names the file."""
        try:
            yield
        except (FFmpegError, OSError) as error:
            self._failed = True
            raise SinkError(f"{self.path}: {error.strerror or error}") from error
