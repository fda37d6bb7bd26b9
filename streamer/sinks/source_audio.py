"""The sound of a file, carried over into an MP4 of its frames."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from math import floor
from typing import cast

import numpy as np
from av import AudioFrame, AudioResampler, Packet
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

from streamer.sources.container_opening import choose_video

COPIED_CODECS = frozenset({"aac", "mp3", "alac", "opus"})
"""Codecs that players expect in an MP4; others are encoded anew, as AAC.

Not AC-3: FFmpeg parses it while it writes, so that damage in it would end the video.
"""

MIN_MP3_RATE = 16_000
"""Samples per second that MP3 in an MP4 has at least, for FFmpeg."""

AAC_RATE = 48_000
"""Samples per second of what is encoded anew: a rate that every player knows."""

LATE_S = 0.5
"""Sound that begins later than this is encoded behind silence: FFmpeg writes nothing of an MP4
before every track has begun."""

SAMPLES = 1024
"""Of one channel in a frame of AAC."""

log = logging.getLogger(__name__)


class SourceAudio:
    """Reads the sound of a file again, beside its frames, and writes it as their time goes on.

    The video matters more: what cannot be decoded, or comes out of order, is left out with a
    warning.

    Args:
        source: The file, opened for this alone; it has a track of sound.
        container: The MP4, before anything is written to it; a stream is added.
        start_s: Presentation time of the MP4's first frame, as the file counts it.

    Raises:
        SourceError: It has no video that can be read.
        LookupError: The sound cannot be read.
        FFmpegError: Its sound cannot be written.
    """

    def __init__(
        self, source: InputContainer, container: OutputContainer, start_s: Fraction
    ) -> None:
        self._input = source
        self._container = container
        video = choose_video(source, source.name, live=False)
        # Players' choice among those of the same programme; the others where it cannot be decoded.
        best = cast("AudioStream | None", source.streams.best("audio", related=video))
        tracks = [*filter(None, [best]), *source.streams.audio]
        self._source = next(filter(_is_known, tracks), tracks[0])
        if not _is_known(self._source):
            raise LookupError(f"{source.name}: sound of an unknown kind")
        context = self._source.codec_context
        time_base = self._source.time_base or Fraction(1, 10**6)
        self._start = floor(start_s / time_base)
        with suppress(FFmpegError):  # without seeking, it is read from its beginning
            source.seek(self._start, stream=self._source)
        self._packets = source.demux(self._source)
        self._first = self._find_first()
        self._late_s = ((self._first.pts or 0) - self._start) * time_base
        name = context.codec.canonical_name
        fits = name in COPIED_CODECS and self._late_s < LATE_S
        if name == "aac":
            # Without a header of its own, as in MPEG-TS, it would be parsed, too.
            fits = fits and bool(context.extradata)
        if name == "mp3":
            fits = fits and context.sample_rate >= MIN_MP3_RATE
        self._is_copied = fits
        self._layout = "mono" if context.channels == 1 else "stereo"
        if self._is_copied:
            self._target = container.add_stream_from_template(self._source)
        else:
            self._target = container.add_stream("aac", rate=AAC_RATE, layout=self._layout)
        self._sound = self._read()
        self._waiting: Packet[AudioStream] | None = None
        self._passed = 0  # packets left out
        self._end_s = 0.0  # of the sound so far, since the MP4's first frame

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
            self._end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._container.mux(packet)

    def close(self) -> None:
        """Stop reading; idempotent."""
        self._sound.close()
        if self._passed:
            log.warning(
                "%s: %d packets of sound left out; there is sound up to %.1f s",
                self._input.name,
                self._passed,
                self._end_s,
            )
            self._passed = 0

    def _find_first(self) -> Packet[AudioStream]:
        try:
            for packet in self._packets:
                if packet.pts is not None and packet.pts >= self._start:
                    return packet
        except FFmpegError as error:
            raise LookupError(f"{self._input.name}: {error.strerror}") from error
        raise LookupError(f"{self._input.name}: a track of sound without any")

    def _read(self) -> Generator[Packet[AudioStream]]:
        """Packets for the MP4, from its first frame on, in order."""
        last_dts = -1
        try:
            for packet in self._copied() if self._is_copied else self._encoded():
                if packet.dts is not None and packet.dts > last_dts:
                    last_dts = packet.dts
                    yield packet
                else:  # the muxer would refuse it
                    self._passed += 1
        # PyAV's resampler raises a ValueError where sound changes its layout.
        except (FFmpegError, ValueError) as error:
            log.warning("%s: the sound breaks off: %s", self._input.name, error)

    def _copied(self) -> Generator[Packet[AudioStream]]:
        for packet in chain([self._first], self._packets):
            if packet.pts is None or packet.dts is None or packet.pts < self._start:
                continue
            packet.pts -= self._start
            packet.dts -= self._start
            packet.stream = self._target
            yield packet

    def _encoded(self) -> Generator[Packet[AudioStream]]:
        resampler = AudioResampler("fltp", self._layout, AAC_RATE)
        heard = chain.from_iterable(map(resampler.resample, self._decoded()))
        silent = self._silence() if self._late_s >= LATE_S else iter(())
        for frame in chain(silent, heard):
            # Before 0 lies what the encoder needs to begin; it would push the pictures back.
            yield from (p for p in self._target.encode(frame) if p.pts is None or p.pts >= 0)
        yield from self._target.encode(None)

    def _silence(self) -> Generator[AudioFrame]:
        """Up to where the sound begins: without any, no player could open the MP4 before."""
        channels = self._target.codec_context.channels
        for start in range(0, floor(self._late_s * AAC_RATE) - SAMPLES, SAMPLES):
            silence = np.zeros((channels, SAMPLES), np.float32)
            frame = AudioFrame.from_ndarray(silence, "fltp", self._layout)
            frame.sample_rate, frame.pts, frame.time_base = AAC_RATE, start, Fraction(1, AAC_RATE)
            yield frame

    def _decoded(self) -> Generator[AudioFrame]:
        for packet in chain([self._first], self._packets):
            try:
                frames = packet.decode()
            except FFmpegError:
                self._passed += 1
                continue
            for frame in frames:
                if frame.pts is not None and frame.pts >= self._start:
                    # In the encoder's time, as PyAV takes the first frame's for that of all.
                    rate = frame.sample_rate
                    frame.pts = round((frame.pts - self._start) * (frame.time_base or 0) * rate)
                    frame.time_base = Fraction(1, rate)
                    yield frame


def _is_known(track: AudioStream) -> bool:
    # The stubs don't know, but PyAV has no context where FFmpeg has no decoder.
    context = track.codec_context
    return context is not None and bool(context.sample_rate and context.channels)
