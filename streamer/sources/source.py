"""The source of a run: its media as an iterator of frames."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from threading import Event

from streamer.errors import SourceError, UnfitError
from streamer.frame import Frame
from streamer.source_config import SourceConfig
from streamer.sources.frame_assembler import FrameAssembler
from streamer.sources.media import Media
from streamer.sources.reconnection import Reconnection
from streamer.sources.selection import Selection, as_written, expected_frames

NOMINAL_INTERVAL_S = Fraction(1, 25)
"""From frame to frame, where neither the container nor its timestamps tell."""


class Source:
    """Frames of one input, in order; made by `open_source`, iterated once.

    A file ends cleanly, also one that is treated as live (``source.live true``); an input that is
    live by nature, or a URL that the user says is, never should, so its end is a loss unless
    ``source.live`` is false. Lost after a frame, it is tried again, and an epoch begins with its
    next frame.

    Args:
        media: Where the pictures come from; closed with the source.
        config: How to read it.
        selection: What part of it.
        short_side: Of the network's input, in pixels.

    Attributes:
        name: For messages, without credentials.
        live: Whether frames come as they happen and may be dropped.
        expected_frames: How many there will be, about; None where unknown.
        counts: What was lost so far.
    """

    def __init__(
        self, media: Media, config: SourceConfig, selection: Selection, short_side: int
    ) -> None:
        self.name = media.name
        self.live = media.live if config.live == "auto" else config.live
        self.expected_frames = expected_frames(media, config.loop, selection)
        self.counts = media.counts
        self._media = media
        self._selection = selection
        self._start_s = as_written(selection.start_s)
        duration_s = selection.duration_s
        self._end_s = None if duration_s is None else as_written(duration_s)
        self._loop = config.loop
        self._is_paced = config.realtime and not media.live  # a device paces itself
        self._pace_origin_ns: int | None = None
        self._assembler = FrameAssembler(
            media.name,
            self.live,
            selection.roi,
            short_side,
            1 / media.rate if media.rate else NOMINAL_INTERVAL_S,
        )
        self._waits = config.wait
        self._interrupted = Event()
        self._reconnection = Reconnection(media.name, config, self._interrupted)
        self._frames = self._read()
        self._first: Frame | None = None

    def __repr__(self) -> str:
        return f"Source({self.name!r}, live={self.live})"

    @property
    def _may_end(self) -> bool:
        return not (self.live and self._media.live)

    def read_ahead(self) -> None:
        """Read the first frame now, so that an input without any fails before the run begins.

        Raises:
            SourceError: There is no frame, or the region of interest does not fit it.
            DeviceError: What must decode it does not, or is out of memory.
        """
        self._first = next(self._frames, None)

    def __iter__(self) -> Iterator[Frame | None]:
        """The frames; ends early, without an error, after `interrupt`.

        None where a live input is lost, and is tried again.

        Raises:
            SourceError: The input holds no frame, breaks off, or is lost for good.
            DeviceError: As in `read_ahead`; that ends a live input too.
        """
        if self._first is not None:
            # it did not wait on purpose: its latency counts from here
            yield replace(self._first, decoded_ns=time.monotonic_ns())
            self._first = None
        yield from self._frames

    def interrupt(self) -> None:
        """End the iteration soon, also while it waits; from any thread."""
        self._interrupted.set()
        self._media.interrupt()

    def close(self) -> None:
        """Release the input, on the thread that iterates, or before any does; idempotent."""
        self._frames.close()
        self._media.close()

    def _read(self) -> Generator[Frame | None]:
        while (lost := (yield from self._attempt())) is not None:
            if self._may_end or not (self._assembler.count or self._waits):
                raise lost
            yield None
            self._reconnection.wait(lost)
            lost = None  # its traceback keeps the decoder that failed
            if self._interrupted.is_set():  # the media learns of it only later
                return
            if self._assembler.count:
                self._assembler.pass_over(self.counts.skipped)
                self._assembler.begin_epoch("reconnect")

    def _attempt(self) -> Generator[Frame, None, SourceError | None]:
        """The frames up to the input's end; returns why it was lost, if it was."""
        try:
            is_complete = yield from self._passes()
        except SourceError as error:
            if self._interrupted.is_set():
                return None
            if isinstance(error, UnfitError) and not self._assembler.count:
                raise  # they never fitted; later, a camera may come back to its size
            lost = type(error)(f"{error}{self._progress()}")
            lost.__cause__ = error.__cause__
            return lost
        return None if is_complete or self._interrupted.is_set() else self._end()

    def _end(self) -> SourceError | None:
        """What is wrong with the input's end, if anything."""
        if not self._assembler.count:
            after = f" after the first {self._selection.start_s:g} s" if self._start_s else ""
            return SourceError(f"{self.name}: no frame that can be decoded{after}")
        if not self._may_end:
            return SourceError(f"{self.name}: the live source ended{self._progress()}")
        return None

    def _passes(self) -> Generator[Frame, None, bool]:
        """The frames of all passes; returns whether the selection is complete, not the input."""
        passed = -1
        while passed < self._assembler.count:
            passed = self._assembler.count
            for picture in self._media.pictures(self._start_s):
                time_s = self._assembler.next_time_s(picture)
                if self._is_past_end(time_s):
                    return True
                self._pace(time_s)
                if self._interrupted.is_set():
                    return True
                frame = self._assembler.assemble(picture, time_s, self._end_s)
                self.counts.reconnects += self._reconnection.reached()
                yield frame
                if self._is_all():
                    return True
                if self._pace_origin_ns is None:
                    # only now: the first frame may have been read long before the run
                    self._pace_origin_ns = time.monotonic_ns()
            if not self._loop:
                break
            self._assembler.begin_epoch("loop")
        return False

    def _is_all(self) -> bool:
        most = self._selection.max_frames
        return most is not None and self._assembler.count - self._assembler.skipped >= most

    def _is_past_end(self, time_s: Fraction) -> bool:
        return self._end_s is not None and time_s >= self._end_s

    def _pace(self, time_s: Fraction) -> None:
        if self._is_paced and self._pace_origin_ns is not None:
            due_s = float(time_s) - (time.monotonic_ns() - self._pace_origin_ns) / 1e9
            if due_s > 0:
                self._interrupted.wait(due_s)

    def _progress(self) -> str:
        if not self._assembler.count:
            return ""
        total = "" if self.expected_frames is None else f" of {self.expected_frames}"
        return f" after {self._assembler.count}{total} frames"
