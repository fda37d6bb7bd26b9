"""A run: the pipeline's outputs into every sink, and an orderly end whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing

from streamer.errors import StreamError
from streamer.exit_codes import describe
from streamer.output import EndOfStream, EndReason, FrameResult, Gap, Output, StreamInfo
from streamer.pipeline import Pipeline
from streamer.sinks.sink import SinkThread
from streamer.stats import Summary

STOPPED_SINK_S = 10.0
"""Longest time for which a sink may take nothing once the run was stopped or failed, in seconds."""

log = logging.getLogger(__name__)


class Run:
    """Feeds sinks, started by the caller, from a pipeline that is not started yet.

    Args:
        pipeline: Where results come from.
        sinks: Where they go.
        info: What the sinks are told first.
        observers: Called on the main thread with every result handed over (progress, metrics).
    """

    def __init__(
        self,
        pipeline: Pipeline,
        sinks: Sequence[SinkThread],
        info: StreamInfo,
        observers: Sequence[Callable[[FrameResult], None]] = (),
    ) -> None:
        self._pipeline = pipeline
        self._sinks = sinks
        self._info = info
        self._observers = observers

    def execute(self) -> Summary:
        """Run to the end; every thread is joined and every sink closed on return.

        Raises:
            Exception: The first thing that failed, a StreamError if it was foreseen; the others are
                logged.
        """
        errors: list[BaseException] = []
        try:
            self._follow()
        except BaseException as error:  # whatever it is, everything is closed before it goes on
            errors.append(error)
        try:
            self._pipeline.close()
        except Exception as error:
            errors.append(error)
        late = self._finish_sinks("failed" if errors else self._reason())
        # A sink that failed during the run has its error raised by `put` and returned here.
        errors += [error for error in late if error not in errors]
        for later in errors[1:]:
            log.error("then also: %s", describe(later))
        if errors:
            raise errors[0]
        return self._pipeline.summary()

    def stop(self) -> None:
        """End early, from any thread: what is finished goes out, nothing new is begun."""
        # Sinks first: the main thread may be waiting for room in the queue of one that is stuck.
        for sink in self._sinks:
            sink.lift_limit()
        self._pipeline.stop()

    def _follow(self) -> None:
        self._give(self._info)
        with closing(self._pipeline.outputs()) as outputs:
            for output in outputs:
                self._give(output)

    def _give(self, output: StreamInfo | FrameResult | Gap) -> None:
        failed: StreamError | None = None
        for sink in self._sinks:
            try:
                sink.put(output)
            except StreamError as error:
                failed = failed or error  # once the others have what counts as handed over
        if failed is not None:
            raise failed
        if isinstance(output, FrameResult):
            for observe in self._observers:
                observe(output)

    def _reason(self) -> EndReason:
        return "stopped" if self._pipeline.stopped else "end"

    def _finish_sinks(self, reason: EndReason) -> list[StreamError]:
        """Send the end to every sink and close it; returns what went wrong."""
        summary = self._pipeline.summary()
        end: Output = EndOfStream(reason, summary.frames, summary.dropped)
        for sink in self._sinks:
            if reason != "end":
                sink.lift_limit()
            try:
                sink.put(end)
            except StreamError:
                continue  # it has failed already: `finish` returns its error
        for sink in self._sinks:
            sink.seal()  # so that they wait for their readers side by side

        def is_urgent() -> bool:
            return reason != "end" or self._pipeline.stopped  # it may be stopped even now

        errors = [sink.finish(STOPPED_SINK_S, is_urgent) for sink in self._sinks]
        return [error for error in errors if error is not None]
