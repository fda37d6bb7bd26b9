"""From a configuration to a finished run: open everything in order, run, close everything."""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from streamer.assembly import assemble, file_sinks, load, publishers
from streamer.config import StreamConfig
from streamer.errors import ConfigError, SinkError, StreamError
from streamer.metrics import Metrics
from streamer.output import EndOfStream
from streamer.progress import Progress
from streamer.run import STOPPED_SINK_S, Run
from streamer.signals import handled, interrupt
from streamer.sinks.output_path import check_apart, check_folder, check_writable
from streamer.sinks.results_sink import lines_path
from streamer.sinks.sink import SinkThread
from streamer.sources.source_spec import IMAGE_SUFFIXES, SourceSpec
from streamer.watchdog import Watchdog

T = TypeVar("T")

log = logging.getLogger(__name__)


def launch(config: StreamConfig) -> int:
    """Do what a configuration asks for; returns 0, or 128 + the signal that stopped it.

    What is cheap to refuse is refused before the weights load; nothing is opened for writing
    before everything else is known to work.

    Raises:
        StreamError: The run could not begin or failed.
        KeyboardInterrupt: SIGINT or SIGTERM (the argument) came before the run began.
    """
    if config.input is not None:
        SourceSpec.parse(config.input, config.source).check_exists()
    _check_paths(config)
    run_id = str(uuid.uuid4())
    with ExitStack() as opened:
        opened.enter_context(handled(interrupt))
        metrics = None if config.metrics.port is None else Metrics(config.metrics, config.stream)
        if metrics is not None:
            opened.callback(metrics.close)
        sinks = [_start(sink, opened) for sink in publishers(config, run_id)]
        net = load(config)
        assembly = _on_another_thread(lambda: assemble(config, net, run_id))
        opened.callback(assembly.pipeline.close)
        live = assembly.info.live
        sinks += [_start(sink, opened) for sink in file_sinks(config, live=live)]
        quiet = config.quiet or config.log == "json"
        progress = Progress(assembly.pipeline, assembly.expected_frames, quiet=quiet)
        watchdog = Watchdog(assembly.pipeline, sinks, config.metrics.stall_s)
        observers = [progress.show]
        if metrics is not None:
            metrics.watch(assembly.pipeline, sinks, watchdog)
            observers.append(metrics.observe)
        whole = Run(assembly.pipeline, sinks, assembly.info, observers)
        with progress, watchdog, _stopped_by_signals(whole) as signals:
            try:
                whole.execute()
            except StreamError as error:
                if not signals:
                    raise
                log.error("%s", error)
    if corrupt := assembly.pipeline.summary().corrupt:
        log.warning("%d packets or images could not be decoded and were left out", corrupt)
    if not config.quiet:
        print(assembly.pipeline.summary())
        for path in _written_files(config, live=live) + _written_folders(config):
            if Path(path).exists():  # not so for a video without frames
                print(f"wrote {path}")
    return 128 + signals[0] if signals else 0


def _written_files(config: StreamConfig, *, live: bool) -> list[str]:
    """The files that a run writes; a live one leaves its results as JSON lines."""
    videos = [spec.path for spec in config.outputs("video") + config.outputs("preview")]
    lines = [lines_path(path) for path in config.results]
    annotations = [] if config.annotations is None else [config.annotations]
    return [*videos, *lines, *([] if live else config.results), *annotations]


def _written_folders(config: StreamConfig) -> list[str]:
    """The folders that a run fills with images."""
    return [spec.path for spec in config.outputs("images")]


def _check_paths(config: StreamConfig) -> None:
    """Refuse outputs that cannot be written, or that would overwrite an input or each other.

    Raises:
        SinkError: A path cannot be written.
        ConfigError: Two of them are one file or folder.
    """
    # The file that a `file:` URL means.
    local = None if config.input is None else re.sub("^file:(//)?", "", config.input)
    read = {
        "the source": local,
        "the weights": config.weights,
        "the category file": config.category_file,
    }
    if local is not None and Path(local).suffix.lower() in IMAGE_SUFFIXES:
        read["the folder of the source"] = str(Path(local).parent)
    for path in config.results:
        check_writable(path)  # before asking where its lines go
    files, folders = _written_files(config, live=False), _written_folders(config)
    for path in files:
        check_writable(path)
    for path in folders:
        check_folder(path)
    check_apart(files + folders, read)
    for video in config.outputs("video"):
        _check_later_parts(Path(video.path).resolve(), read)


def _check_later_parts(video: Path, read: Mapping[str, str | None]) -> None:
    """Refuse an MP4 that would go on, after a change of size, where something is read from."""
    later = re.compile(rf"{re.escape(video.stem)}\.[0-9]+{re.escape(video.suffix)}")
    for name, path in read.items():
        place = None if path is None else Path(path).resolve()
        if place is not None and place.parent == video.parent and later.fullmatch(place.name):
            raise ConfigError(
                f"{video} would go on in {place.name} if the frame size changed, which is {name}; "
                "allowed: another name"
            )


def _start(sink: SinkThread, opened: ExitStack) -> SinkThread:
    """Start a sink, to be ended should the run not come to it."""

    def abandon() -> None:
        with suppress(SinkError):  # the usual case: the run has ended it already
            sink.put(EndOfStream("failed", 0, 0))
        sink.finish(STOPPED_SINK_S)

    sink.start()
    opened.callback(abandon)
    return sink


def _on_another_thread(function: Callable[[], T]) -> T:
    """Call a function that may wait in FFmpeg, which would hold up or swallow a KeyboardInterrupt.

    Interrupted, it stays behind on its daemon thread while the process ends.
    """
    future: Future[T] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name="open", daemon=True).start()
    return future.result()


@contextmanager
def _stopped_by_signals(whole: Run) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM end the run in order; a second one ends the process at once."""
    received: list[int] = []
    wake = threading.Event()

    def wait_and_stop() -> None:
        wake.wait()
        if received:
            whole.stop()

    # Another thread stops the run: the handler runs between two bytecodes of the main thread,
    # which may be holding the very lock that stopping needs. It is started here and not by the
    # handler, since starting a thread takes locks too.
    stopper = threading.Thread(target=wait_and_stop, name="stop")

    def stop(number: int) -> None:
        received.append(number)
        wake.set()

    stopper.start()
    try:
        with handled(stop):
            yield received
    finally:
        wake.set()
        stopper.join()
