"""From decoded frames to finished results: windows, network, stitching and merging in order."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass

from streamer.errors import SourceError
from streamer.frame import Epoch
from streamer.output import FrameResult, Gap
from streamer.predictor import Predictor
from streamer.scheduler import WindowScheduler
from streamer.sources.decoder_thread import DecoderThread
from streamer.stats import Counts, RunStats, Summary
from streamer.stitching.merger import FrameMerger
from streamer.stitching.stitcher import Stitcher
from streamer.stitching.untangling import untangle
from streamer.window import Window

DECODER_STOP_S = 15.0
"""Longest wait for the decoder thread at the end, in seconds."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The steps that a window goes through, each with its state for one run."""

    scheduler: WindowScheduler
    predictor: Predictor
    stitcher: Stitcher
    merger: FrameMerger


class Pipeline:
    """Runs the stages over the frames of a decoder.

    `outputs` belongs to one thread; `stop` may be called from any.

    Args:
        decoder: The decoder thread, not yet started.
        stages: What happens to its frames.
    """

    def __init__(self, decoder: DecoderThread, stages: Stages) -> None:
        self._decoder = decoder
        self._stages = stages
        self._stopped = False
        self._stats = RunStats()
        self._preparing_s = 0.0  # of the next window's time, already spent
        self._closed = False
        self._discarded = 0
        self._in_hand = 0  # frames that left the buffer before their epoch began

    def outputs(self) -> Generator[FrameResult | Gap]:
        """Results in the order of their frames: one for every decoded frame that was not dropped.

        A source that breaks midway raises its error after the results of what it gave.

        Raises:
            SourceError: The source failed.
            DeviceError: The network's device failed.
        """
        self._decoder.start()
        failure: SourceError | None = None
        try:
            yield from self._follow()
        except SourceError as error:
            failure = error
        yield from self._end_epoch()
        self._stats.end()
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """End early, from any thread: the window being computed is finished, no other begins."""
        self._stopped = True
        self._decoder.frames.close()
        self._decoder.frames.discard()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def close(self) -> None:
        """Stop the decoder and release the network's features; idempotent.

        Belongs to the thread of `outputs`.

        Raises:
            SourceError: The decoder did not return in time.
        """
        if self._closed:
            return
        self._closed = True
        self._stats.end()
        try:
            has_ended = self._decoder.stop(DECODER_STOP_S)
            # What a run that failed leaves behind is counted, too.
            self._decoder.frames.discard()
            self._discarded += self._stages.merger.pending + self._in_hand
        finally:
            self._stages.predictor.close()
        if not has_ended:
            raise SourceError(
                f"{self._decoder.source.name}: did not return from a read within {DECODER_STOP_S} s"
            )

    def summary(self) -> Summary:
        """What was done so far; complete once closed."""
        return self._stats.summary(self.counts())

    def counts(self) -> Counts:
        """What was counted so far; from any thread, and each by itself."""
        decoder, counted = self._decoder, self._decoder.source.counts
        skipped = counted.skipped  # once: it goes on
        return Counts(
            decoded=decoder.decoded + skipped,
            dropped=skipped + decoder.frames.dropped + decoder.refused + self._discarded,
            frames=self._stats.frames,
            corrupt=counted.corrupt,
            reconnects=counted.reconnects,
            windows=self._stats.windows,
            windows_s=self._stats.windows_s,
            tracks=self._stages.stitcher.births,
        )

    @property
    def waiting(self) -> int:
        """Decoded frames that no window has taken yet; from any thread."""
        return len(self._decoder.frames)

    @property
    def is_source_idle(self) -> bool:
        """Whether the source has nothing to do: there is no room, or it is at its end."""
        buffer = self._decoder.frames
        return buffer.closed or (buffer.overflow == "block" and len(buffer) >= buffer.capacity)

    def _follow(self) -> Generator[FrameResult | Gap]:
        epoch: Epoch | None = None
        for frame in self._decoder.frames.with_pauses():
            if frame is None:
                # The source is lost: what it gave shall not wait until it is back.
                yield from self._end_epoch()
                continue
            if frame.epoch is not epoch:
                if epoch is not None:
                    self._in_hand = 1
                    yield from self._end_epoch()
                    yield Gap(frame.epoch)
                    self._in_hand = 0
                epoch = frame.epoch
            self._stages.merger.add(frame)
            more = len(self._decoder.frames) > 0
            window = self._stages.scheduler.add(frame, more=more)
            if window is not None:
                yield from self._process(window)
            elif not more:  # or they go through the network together
                started = time.perf_counter()
                self._stages.predictor.encode_ahead(self._stages.scheduler.waiting)
                self._preparing_s += time.perf_counter() - started

    def _process(self, window: Window) -> Generator[FrameResult]:
        started = time.perf_counter() - self._preparing_s
        self._preparing_s = 0.0
        prediction = untangle(self._stages.predictor.predict(window), window.real)
        identities = self._stages.stitcher.identify(window, prediction)
        results = self._stages.merger.merge(window, prediction, identities)
        self._stats.count_window(time.perf_counter() - started)
        yield from self._count(results)

    def _end_epoch(self) -> Generator[FrameResult]:
        """Give out what waits; frames that no window holds yet get one, unless stopped."""
        window = self._stages.scheduler.finish()
        if self._stopped:
            self._discarded += self._stages.merger.discard()
        elif window is not None:
            yield from self._process(window)
        yield from self._count(self._stages.merger.flush())
        self._stages.stitcher.new_epoch()

    def _count(self, results: list[FrameResult]) -> Generator[FrameResult]:
        left = len(results)
        try:
            for result in results:
                self._stats.count_frame(result.frame.decoded_ns)
                left -= 1
                yield result
        finally:
            self._discarded += left  # where nobody takes the others
