"""The sound of a file, carried over into an MP4 of its frames."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import suppress
from fractions import Fraction
from math import floor

from av import AudioFrame, Packet
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

COPIED_CODECS = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""Codecs that players expect in an MP4; others are encoded anew, as AAC."""

AAC_RATE = 48_000
"""Samples per second of what is encoded anew: a rate that every player knows."""

log = logging.getLogger(__name__)


class SourceAudio:
    """Reads the sound of a file again, beside its frames, and writes it as their time goes on.

    The video matters more: what cannot be decoded, or comes out of order, is left out with a
    warning.

    Args:
        source: The file, opened for this alone.
        container: The MP4, before anything is written to it; a stream is added.
        start_s: Presentation time of the MP4's first frame, as the file counts it.

    Raises:
        LookupError: The file has no sound, or of an unknown kind.
        FFmpegError: Its sound cannot be written.
    """

    def __init__(
        self, source: InputContainer, container: OutputContainer, start_s: Fraction
    ) -> None:
        self._input = source
        self._container = container
        self._start_s = start_s
        if not source.streams.audio:
            raise LookupError(f"{source.name}: no sound")
        self._source: AudioStream = source.streams.audio[0]
        context = self._source.codec_context
        if context is None:  # the stubs don't know, but PyAV has none where FFmpeg has no decoder
            raise LookupError(f"{source.name}: no decoder for its sound")
        self._is_copied = context.codec.canonical_name in COPIED_CODECS
        if self._is_copied:
            self._target = container.add_stream_from_template(self._source)
        else:
            layout = "mono" if context.channels == 1 else "stereo"
            self._target = container.add_stream("aac", rate=AAC_RATE, layout=layout)
        self._sound = self._read()
        self._waiting: Packet[AudioStream] | None = None
        self._passed = 0  # packets left out

    def write_until(self, time_s: float) -> None:
        """Write what is heard before `time_s`, in seconds since the MP4's first frame.

        Raises:
            FFmpegError: It cannot be written.
        """
        while True:
            if self._waiting is None:
                self._waiting = next(self._sound, None)
            packet = self._waiting
            if packet is None or packet.pts is None or packet.pts * packet.time_base >= time_s:
                return
            self._waiting = None
            self._container.mux(packet)

    def close(self) -> None:
        """Stop reading; idempotent."""
        self._sound.close()
        if self._passed:
            log.warning("%s: %d packets of sound left out", self._input.name, self._passed)
            self._passed = 0

    def _read(self) -> Generator[Packet[AudioStream]]:
        """Packets for the MP4, from its first frame on, in order."""
        time_base = self._source.time_base or Fraction(1, 10**6)
        start = floor(self._start_s / time_base)
        with suppress(FFmpegError):  # without seeking, it is read from its beginning
            self._input.seek(start, stream=self._source)
        last_dts = -1
        try:
            for packet in self._copied(start) if self._is_copied else self._encoded(start):
                if packet.dts is not None and packet.dts > last_dts:
                    last_dts = packet.dts
                    yield packet
                else:  # the muxer would refuse it
                    self._passed += 1
        # PyAV's resampler raises a ValueError where sound changes its layout.
        except (FFmpegError, ValueError) as error:
            log.warning("%s: the sound breaks off: %s", self._input.name, error)

    def _copied(self, start: int) -> Generator[Packet[AudioStream]]:
        for packet in self._input.demux(self._source):
            if packet.pts is None or packet.dts is None or packet.pts < start:
                continue
            packet.pts -= start
            packet.dts -= start
            packet.stream = self._target
            yield packet

    def _encoded(self, start: int) -> Generator[Packet[AudioStream]]:
        for frame in self._decoded():
            if frame.pts is None or frame.pts < start:
                continue
            frame.pts -= start
            # Before 0 lies what the encoder needs to begin; it would push the pictures back.
            yield from (p for p in self._target.encode(frame) if p.pts is None or p.pts >= 0)
        yield from self._target.encode(None)

    def _decoded(self) -> Generator[AudioFrame]:
        for packet in self._input.demux(self._source):
            try:
                yield from packet.decode()
            except FFmpegError:
                self._passed += 1
