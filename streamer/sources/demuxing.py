"""A container's packets as they come, less those that it takes to stay live."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from threading import Event
from typing import cast

import av
from av import Packet
from av.video.stream import VideoStream

from streamer.errors import SourceError
from streamer.source_config import SourceConfig
from streamer.sources.ffmpeg_errors import translate
from streamer.sources.lag import Lag, Skipped
from streamer.sources.media import SourceCounts
from streamer.sources.opened_video import OpenedVideo
from streamer.sources.pipe_reader import PipeReader
from streamer.sources.source_spec import SourceSpec

log = logging.getLogger(__name__)


class Demuxing:
    """Reads the packets of the main video.

    Args:
        spec: Which source.
        config: Its time-outs, and whether frames may be dropped.
        pipe: What is read instead of ``spec.target``.
        interrupted: Ends it.
        counts: Where pictures are counted that were left out to catch up with the camera.
    """

    def __init__(
        self,
        spec: SourceSpec,
        config: SourceConfig,
        pipe: PipeReader | None,
        interrupted: Event,
        counts: SourceCounts,
    ) -> None:
        self._spec = spec
        self._config = config
        self._pipe = pipe
        self._interrupted = interrupted
        self._counts = counts
        self._skipped_before = 0  # the next picture

    def packets(self, video: OpenedVideo) -> Iterator[Packet[VideoStream] | None]:
        """The stream's packets, empty ones too, but not the last, which has no time.

        Yields:
            A packet; None where the next ones are skipped, and decoding will begin anew.

        Raises:
            SourceError: They break off, or do not come in time.
        """
        is_timed = video.live and self._spec.kind == "url"
        lag = Lag() if is_timed and self._may_skip(video) else None
        # Sound comes too: PyAV would pass over it, waiting for pictures that may never come.
        packets = video.container.demux(*(() if is_timed else (video.stream,)))
        began = time.monotonic()
        try:
            while not self._interrupted.is_set():
                packet = next(packets, None)
                if packet is None:
                    break
                waited_s = time.monotonic() - began
                counts = packet.size or packet.dts is not None
                if counts and packet.stream.index == video.stream.index:
                    picture = cast("Packet[VideoStream]", packet)
                    yield from self._kept(lag, picture, began + waited_s, waited_s)
                    began = time.monotonic()
                if is_timed and waited_s >= self._config.read_timeout_s:
                    # At its time-out FFmpeg gives what its parser holds, and would then wait again.
                    raise SourceError(
                        f"{self._spec.name}: no picture for {self._config.read_timeout_s:g} s "
                        "(source.read_timeout_s)"
                    )
        except av.FFmpegError as error:
            raise translate(self._spec, self._config, error, is_open=True) from error
        finally:
            if lag is not None:
                self._tell(lag.take_skipped())
        if self._pipe is not None and self._pipe.failure is not None:
            raise self._pipe.failure

    def take_skipped(self) -> int:
        """How many pictures were skipped right before the next one; once."""
        skipped, self._skipped_before = self._skipped_before, 0
        return skipped

    def _may_skip(self, video: OpenedVideo) -> bool:
        # A playlist is read with waits of ours, some segments behind, and keeps what is to come.
        return (
            self._config.live is not False
            and not video.invents_times
            and not video.comes_in_segments
        )

    def _kept(
        self, lag: Lag | None, packet: Packet[VideoStream], now_s: float, waited_s: float
    ) -> Iterator[Packet[VideoStream] | None]:
        """A packet, unless it is skipped to catch up with the camera."""
        if lag is not None:
            ticks = packet.pts if packet.dts is None else packet.dts
            stamp_s = None if ticks is None else float(ticks * packet.time_base)
            step = lag.step(stamp_s, now_s, waited_s, is_key=packet.is_keyframe)
            if step.is_first:
                yield None
            if step.is_skipped:
                self._counts.skipped += 1
                return
            self._tell(step.skipped)
        yield packet

    def _tell(self, skipped: Skipped | None) -> None:
        if skipped is not None:
            self._skipped_before += skipped.packets
            log.warning(
                "%s: decoding is slower than the camera; %d frames skipped to catch up "
                "(%.0f s behind)",
                self._spec.name,
                *skipped,
            )
