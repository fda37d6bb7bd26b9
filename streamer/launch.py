"""From a configuration to a finished run: open everything in order, run, close everything."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from streamer.assembly import assemble, file_sinks, load, publishers
from streamer.config import StreamConfig
from streamer.errors import SinkError
from streamer.output import EndOfStream
from streamer.progress import Progress
from streamer.run import STOPPED_SINK_S, Run
from streamer.sinks.output_path import check_writable
from streamer.sinks.results_sink import lines_path
from streamer.sinks.sink import SinkThread


def launch(config: StreamConfig) -> int:
    """Do what a configuration asks for; returns 0, or 128 + the signal that stopped it.

    What is cheap to refuse is refused before the weights load; nothing is opened for writing
    before everything else is known to work.

    Raises:
        StreamError: The run could not begin or failed.
    """
    run_id = str(uuid.uuid4())
    for path in (*config.output, *config.results, *map(lines_path, config.results)):
        check_writable(path)
    with ExitStack() as opened:
        sinks = [_start(sink, opened) for sink in publishers(config, run_id)]
        assembly = assemble(config, load(config), run_id)
        opened.callback(assembly.pipeline.close)
        sinks += [_start(sink, opened) for sink in file_sinks(config, live=assembly.info.live)]
        progress = Progress(assembly.pipeline, assembly.expected_frames, quiet=config.quiet)
        whole = Run(assembly.pipeline, sinks, assembly.info, progress.show)
        with progress, _stopped_by_signals(whole) as signals:
            summary = whole.execute()
    if not config.quiet:
        print(summary)
        for path in (*config.output, *config.results):
            print(f"wrote {path}")
    return 128 + signals[0] if signals else 0


def _start(sink: SinkThread, opened: ExitStack) -> SinkThread:
    """Start a sink, to be ended should the run not come to it."""

    def abandon() -> None:
        with suppress(SinkError):  # the usual case: the run has ended it already
            sink.put(EndOfStream("failed", 0, 0))
        sink.finish(STOPPED_SINK_S)

    sink.start()
    opened.callback(abandon)
    return sink


@contextmanager
def _stopped_by_signals(whole: Run) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM end the run in order; a second one ends the process at once."""
    received: list[int] = []
    # Another thread stops the run: this handler runs between two bytecodes of the main thread,
    # which may be holding the very lock that stopping needs.
    stopper = threading.Thread(target=whole.stop, name="stop")

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each in previous:
            signal.signal(each, signal.SIG_DFL)
        stopper.start()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if received:
            stopper.join()
