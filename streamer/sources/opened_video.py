"""A container that is open, with the video in it that is read."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import cast

from av import VideoFrame
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from streamer.errors import SourceError
from streamer.source_config import SourceConfig
from streamer.sources.container_opening import choose_video, open_container
from streamer.sources.pipe_reader import PipeReader
from streamer.sources.source_spec import SourceSpec


@dataclass(frozen=True, slots=True, eq=False)
class OpenedVideo:
    """A container and its main video stream.

    Attributes:
        container: Where packets come from; to be closed.
        stream: Its main video, set up for decoding.
        live: Whether its pictures come as they happen.
    """

    container: InputContainer
    stream: VideoStream
    live: bool

    @classmethod
    def open(
        cls,
        spec: SourceSpec,
        config: SourceConfig,
        pipe: PipeReader | None,
        hwaccel: HWAccel | None,
    ) -> OpenedVideo:
        """Open what a source names; the arguments are those of `open_container`.

        Raises:
            SourceError: It cannot be opened, or holds no video.
            ConfigError: There are certificates for what has none.
        """
        container = open_container(spec, config, pipe, hwaccel)
        with ExitStack() as undo:
            undo.callback(container.close)
            if container.format.name == "tty" and config.format is None:
                # FFmpeg would type out any text, as a terminal does.
                raise SourceError(f"{spec.name}: not a video that can be read")
            live = container.duration is None if spec.live is None else spec.live
            stream = choose_video(container, spec.name, live)
            undo.pop_all()
        return cls(container, stream, live)

    @property
    def rate(self) -> Fraction | None:
        """Frames per second, nominal; None where unknown."""
        return self.stream.average_rate or self.stream.guessed_rate

    @property
    def time_base(self) -> Fraction:
        """Seconds of a tick of the stream's timestamps."""
        return self.stream.time_base or Fraction(1, 10**6)

    @property
    def is_avi(self) -> bool:
        """Whether its timestamps are those of packets, not of pictures."""
        return self.container.format.name == "avi"

    @property
    def invents_times(self) -> bool:
        """Whether FFmpeg counts 25 frames a second where none tells its time, as Motion JPEG's."""
        without = cast("int", Flags.no_timestamps.value)
        return self.live and bool(self.container.format.flags & without)

    @property
    def comes_in_segments(self) -> bool:
        """Whether it is a playlist."""
        return bool({"hls", "dash"} & set(self.container.format.name.split(",")))

    @property
    def comes_in_bursts(self) -> bool:
        """Whether it is a live playlist, whose segments of seconds come at once."""
        return self.live and self.comes_in_segments

    def position_s(self, pts: int) -> Fraction:
        """Seconds from the stream's start to a timestamp."""
        return (pts - (self.stream.start_time or 0)) * self.time_base

    def seek(self, position_s: Fraction) -> None:
        """Go to a key frame at or before a position, in seconds; some demuxers miss it.

        Raises:
            av.FFmpegError: It cannot be done.
        """
        tick = floor(position_s / self.time_base) + (self.stream.start_time or 0)
        self.container.seek(tick, stream=self.stream)

    def camera_unix_ns(self, frame: VideoFrame) -> int | None:
        """When an RTSP camera's own clock says that it took a frame, in ns since 1970."""
        # FFmpeg learns the camera's clock from RTCP reports, in microseconds at pts 0
        realtime_us = self.container.start_time_realtime
        if self.container.format.name != "rtsp" or realtime_us is None or frame.pts is None:
            return None
        return realtime_us * 1000 + round(frame.pts * (frame.time_base or self.time_base) * 10**9)
