"""Video from a container: a file, a network stream, a webcam, a filter graph or a pipe."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from errno import ENOMEM
from fractions import Fraction
from os import strerror
from threading import Event

import av
import torch
from av import Packet, VideoFrame
from av.video.stream import VideoStream

from streamer.device import CPU
from streamer.errors import SourceError, UnforeseenError
from streamer.source_config import SourceConfig
from streamer.sources.container_extent import ContainerExtent, read_promise
from streamer.sources.container_opening import warn_of_hdr
from streamer.sources.decoder_choice import DecoderChoice
from streamer.sources.demuxing import Demuxing
from streamer.sources.media import SourceCounts
from streamer.sources.opened_video import OpenedVideo
from streamer.sources.pace import Pace
from streamer.sources.packet_times import PacketTimes
from streamer.sources.picture import Picture
from streamer.sources.pipe_reader import PipeReader
from streamer.sources.pixel_aspect import PixelAspect
from streamer.sources.source_spec import SourceSpec

log = logging.getLogger(__name__)

MAX_FAILURES = 30
"""Packets in a row that may fail to decode before the video counts as broken."""

MAX_LIVE_FAILURES = 300
"""The same for live sources, which are often joined long before their next key frame."""


class ContainerMedia:
    """The main video stream of one container, opened on construction.

    Args:
        spec: Which source.
        config: Format, transport, time-outs, and what may decode.
        pipe: What to read instead of ``spec.target``; owned from now on.
        device: The network's.
        counts: Where to count; None for an own place.

    Raises:
        SourceError: It cannot be opened, or holds no video.
        DeviceError: It must be decoded by NVDEC, which is not to be had.
    """

    def __init__(
        self,
        spec: SourceSpec,
        config: SourceConfig,
        pipe: PipeReader | None = None,
        device: torch.device = CPU,
        counts: SourceCounts | None = None,
    ) -> None:
        self.name = spec.name
        self.counts = counts or SourceCounts()
        self._spec = spec
        self._config = config
        self._pipe = pipe
        self._is_fresh = True
        self._has_told = False
        self._failures = 0  # in a row
        self._first_pts = 0  # of a stream that does not say where it begins
        self._times: PacketTimes | None = None
        self._pixel_aspect = PixelAspect()
        self._interrupted = Event()
        self._demuxing = Demuxing(spec, config, pipe, self._interrupted, self.counts)
        self._decoding = DecoderChoice(spec.name, config.hwaccel, device)
        with ExitStack() as undo:
            undo.callback(self._release_pipe)
            self._video = self._open()
            undo.pop_all()
        self._promise = read_promise(self._video.container, self._video.stream)
        warn_of_hdr(self._video.stream, spec.name)
        self.live = self._video.live
        self.rate = self._video.rate
        self.frames = None if self.live else self._promise.frames

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        """The pictures from `start_s` seconds after the stream's start on.

        Raises:
            SourceError: The video breaks off, or cannot be decoded any more.
            UnforeseenError: There is no memory to decode it.
            DeviceError: It must be decoded by NVDEC, and is not.
        """
        if not self._is_fresh:
            self._reopen()
        self._is_fresh = False
        frames = self._frames_near(start_s) if start_s > 0 else self._frames()
        position_s = Fraction(-1) / (self.rate or 1)
        has_begun = self.live or start_s <= 0  # for good: later timestamps may lie before
        pace = Pace(self._interrupted) if self._video.comes_in_bursts else None
        for frame in frames:
            if frame.pts is not None:
                position_s = self._video.position_s(frame.pts - self._first_pts)
            else:
                position_s += 1 / (self.rate or Fraction(1))
            has_begun = has_begun or position_s >= start_s
            if pace is not None and (jump_s := pace.wait(float(position_s))) > 0:
                log.warning(
                    "%s: %.1f s from one picture to the next; segments that expired before they "
                    "were read, or a pause",
                    self.name,
                    jump_s,
                )
            if has_begun:
                yield self._picture(frame)

    def interrupt(self) -> None:
        """Wake a waiting read of standard input; one of a network ends with what comes next."""
        self._interrupted.set()
        if self._pipe is not None:
            self._pipe.interrupt()

    def close(self) -> None:
        """Close the container, on the thread that reads."""
        self._video.container.close()
        self._release_pipe()

    def _release_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.release()

    def _open(self) -> OpenedVideo:
        return OpenedVideo.open(self._spec, self._config, self._pipe, self._decoding.hwaccel())

    def _reopen(self) -> None:
        self._video.container.close()
        self._video = self._open()

    def _picture(self, frame: VideoFrame) -> Picture:
        video = self._video
        picture = Picture(
            frame,
            None if video.invents_times else frame.pts,
            frame.time_base or video.time_base,
            video.camera_unix_ns(frame),
            self._pixel_aspect.of(frame, video.stream),
            None if video.invents_times else frame.duration,
            self._demuxing.take_skipped(),
        )
        self._decoding.check(picture.is_on_device, video.stream.codec_context)
        return picture

    def _frames_near(self, start_s: Fraction) -> Iterator[VideoFrame]:
        """Frames from at or before `start_s`: by seeking if that works, else from the beginning."""
        if self.live or self._spec.kind == "lavfi" or self._spec.flows_by:
            yield from self._frames()
            return
        frames: Iterator[VideoFrame] = iter(())
        try:
            if self._video.stream.start_time is None and (first := next(self._frames(), None)):
                self._first_pts = first.pts or 0
            self._video.seek(start_s)
            frames = self._frames()
            first = next(frames, None)
        except (av.FFmpegError, SourceError):
            first = None
        if (
            first is not None
            and first.key_frame
            and first.pts is not None
            and self._video.position_s(first.pts - self._first_pts) <= start_s
            # A delay behind a seek may be due to pictures left out, too.
            and not (self._video.is_avi and first.pts != first.dts)
        ):
            yield first
        else:  # some demuxers land between key frames, or behind the first one wanted
            self._reopen()
            frames = self._frames()
        yield from frames

    def _frames(self) -> Iterator[VideoFrame]:
        """Decode from where the container is, to its end."""
        extent = ContainerExtent(self._video.stream, self._promise)
        self._times = PacketTimes() if self._video.is_avi else None
        self._failures = 0
        try:
            yield from self._frames_of_packets(extent)
        except SourceError:
            yield from self._decode(None) or ()
            raise
        rest = self._decode(None)
        yield from rest or ()
        if not self.live:
            self._check_end(extent, is_decoded=rest is not None and not self._failures)

    def _frames_of_packets(self, extent: ContainerExtent) -> Iterator[VideoFrame]:
        """What the packets complete as they come; some frames then wait in the decoder."""
        limit = MAX_LIVE_FAILURES if self.live else MAX_FAILURES
        for packet in self._demuxing.packets(self._video):
            if packet is None:
                yield from self._decode(None) or ()
                self._video.stream.codec_context.flush_buffers()
                continue
            extent.add(packet)
            if not packet.size:
                continue  # the frame before is shown on; the decoder would end
            frames = self._decode(packet)
            self._failures = self._failures + 1 if frames is None else 0
            yield from frames or ()
            if self._failures == limit:
                raise SourceError(f"{self.name}: {limit} packets in a row cannot be decoded")

    def _check_end(self, extent: ContainerExtent, *, is_decoded: bool) -> None:
        """Look whether a file held what it promised, up to an end that could be decoded."""
        if extent.falls_short():
            raise SourceError(f"{self.name}: the video breaks off")
        if not is_decoded:
            raise SourceError(f"{self.name}: the end of the video cannot be decoded")
        if extent.missing and not (self._interrupted.is_set() or self._has_told):
            self._has_told = True  # a looped file comes here again and again
            extent.warn_of_losses(self.name)

    def _decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame] | None:
        """Frames that a packet completes (None: those that wait for the end), None if it fails."""
        damaged = packet is not None and self._is_damaged(packet)
        try:
            # The decoder would make up the rest of a JPEG that ends early.
            is_half = damaged and self._video.stream.codec_context.name == "mjpeg"
            frames = None if is_half else self._video.stream.decode(packet)
        except av.EOFError:
            frames = []
        except MemoryError as error:  # FFmpeg's: no fault of the packet
            raise UnforeseenError(f"{self.name}: {strerror(ENOMEM)}") from error
        except av.FFmpegError:
            frames = None
        if damaged or frames is None:
            self.counts.corrupt += 1
        if self._times is not None and frames is not None:
            self._times.assign(packet, frames)
        return frames

    def _is_damaged(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet is known to lack something, be it that the decoder conceals it."""
        # Where segments of a playlist or recordings in one file meet, counters of theirs begin
        # anew: no packet is lost there.
        return packet.is_corrupt and self.live and not self._video.comes_in_segments
