"""Running sinks on the test's own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from streamer.output import FrameResult, Output
from streamer.ring_buffer import RingBuffer
from streamer.sink_config import Mp4Config
from streamer.sinks.mp4_sink import Mp4Sink
from streamer.sinks.sink import Sink
from streamer.source_config import SourceConfig
from streamer.sources.container_opening import open_container
from streamer.sources.selection import Selection
from streamer.sources.source_spec import SourceSpec
from tests.sources import read


def filled(outputs: Iterable[Output]) -> RingBuffer[Output]:
    """A buffer that holds some outputs and gets no more."""
    waiting = list(outputs)
    buffer: RingBuffer[Output] = RingBuffer(max(1, len(waiting)))
    for output in waiting:
        buffer.put(output)
    buffer.close()
    return buffer


def run_sink(sink: Sink, outputs: Iterable[Output]) -> None:
    """Let a sink take some outputs, and close it."""
    try:
        sink.drain(filled(outputs))
    finally:
        sink.close()


def carry_over(
    source: Path,
    target: Path,
    selection: Selection | None = None,
    change: Callable[[int, FrameResult], FrameResult] = lambda _, result: result,
    sound: Path | None = None,
) -> Mp4Sink:
    """Write a file's frames, and its sound (or that of another one), into an MP4 to be closed."""
    frames = read(source, selection)
    results = [change(index, FrameResult(frame, ())) for index, frame in enumerate(frames)]
    config = SourceConfig()
    spec = SourceSpec.parse(str(sound or source), config)
    opener = partial(open_container, spec, config, None)
    sink = Mp4Sink(str(target), "frame", Mp4Config(), opener)
    sink.drain(filled(results))
    return sink
