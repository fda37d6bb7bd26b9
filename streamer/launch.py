"""From a configuration to a finished run: open everything in order, run, close everything."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from streamer.assembly import Assembly, assemble, load
from streamer.config import StreamConfig
from streamer.errors import StreamError
from streamer.exit_codes import describe
from streamer.metrics import Metrics
from streamer.output import EndOfStream
from streamer.pipeline import Pipeline
from streamer.progress import Progress
from streamer.run import STOPPED_SINK_S, Run
from streamer.signals import deferred, stopping_in_order
from streamer.sink_assembly import file_sinks, publishers
from streamer.sinks.sink import SinkThread
from streamer.standard_output import say, say_written
from streamer.watchdog import Watchdog

log = logging.getLogger(__name__)


def launch(config: StreamConfig) -> int:
    """Do what a configuration asks for; returns 0, or 128 + the signal that stopped it.

    The caller has checked the paths (`streamer.path_check`); a signal raises KeyboardInterrupt
    (`streamer.signals`). Nothing is opened for writing before everything else is known to work.

    Raises:
        StreamError: The run could not begin or failed.
        KeyboardInterrupt: A signal (the argument) came before the run began.
    """
    run_id = str(uuid.uuid4())
    _warn_of_defaults(config)
    with ExitStack() as opened:
        metrics = None
        if config.metrics.port is not None:
            metrics = opened.enter_context(Metrics(config.metrics, config.stream))
        sinks = [_start(sink, opened) for sink in publishers(config, run_id)]
        with deferred():
            net = load(config)
        assembly = assemble(config, net, run_id)
        opened.callback(assembly.pipeline.close)
        _say_what_begins(assembly, config.window.frame_step)
        paced = assembly.info.live or config.source.realtime or config.input == "-"
        sinks += [_start(sink, opened) for sink in file_sinks(config, endless=assembly.endless)]
        quiet = config.quiet or config.log == "json"
        progress = Progress(assembly.pipeline, assembly.expected_frames, quiet=quiet, latency=paced)
        watchdog = Watchdog(assembly.pipeline, sinks, config.metrics.stall_s)
        observers = [progress.show]
        if metrics is not None:
            metrics.watch(assembly.pipeline, sinks, watchdog)
            observers.append(metrics.observe)
        run = Run(assembly.pipeline, sinks, assembly.info, observers)
        with progress, watchdog, stopping_in_order(run.stop) as signals:
            try:
                run.execute()
            except Exception as error:
                if not signals:
                    raise
                log.error("%s", describe(error))
    _report(assembly.pipeline, sinks, quiet=config.quiet, latency=paced)
    return 128 + signals[0] if signals else 0


def _warn_of_defaults(config: StreamConfig) -> None:
    if config.input is None:
        log.warning("no SOURCE is given: the clip that ships with the project is read")
    if not (config.publish or config.output or config.results or config.annotations):
        log.warning("no output (--output, --results, --publish) is asked for: nothing is kept")
    if config.zmq.wait_subscribers and not config.publish:
        count = config.zmq.wait_subscribers
        log.warning("zmq.wait_subscribers is %d, which does nothing without --publish", count)


def _say_what_begins(assembly: Assembly, frame_step: int) -> None:
    log.info("reading %s", assembly.source_name)
    if not assembly.info.live:  # on a small machine, that takes a while
        first = (assembly.info.window - 1) * frame_step + 1
        log.info("the first masks come after %d frames, or at the end", first)


def _report(pipeline: Pipeline, sinks: Sequence[SinkThread], *, quiet: bool, latency: bool) -> None:
    """Say what was done; unpaced, a latency only tells how far decoding ran ahead."""
    summary = pipeline.summary()
    if summary.corrupt:
        text = "%d packets or images were damaged: left out, or shown with the rest made up"
        log.warning(text, summary.corrupt)
    if not quiet:
        say(summary.describe(latency=latency))
        for sink in sinks:
            say_written(sink.written)


def _start(sink: SinkThread, opened: ExitStack) -> SinkThread:
    """Start a sink, to be ended should the run not come to it."""

    def abandon(kind: type[BaseException] | None, *_: object) -> None:
        is_stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
        with suppress(StreamError):  # the usual case: the run has ended it already
            sink.put(EndOfStream("stopped" if is_stopped else "failed", 0, 0))
        sink.finish(STOPPED_SINK_S)

    opened.push(abandon)  # first: a signal may come while it opens
    sink.start()
    return sink
