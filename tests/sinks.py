"""Running sinks on the test's own thread."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from streamer.output import Output
from streamer.ring_buffer import RingBuffer
from streamer.sink_config import Mp4Config
from streamer.sinks.mp4_sink import Mp4Sink
from streamer.sinks.sink import Sink
from streamer.source_config import SourceConfig
from streamer.sources.container_opening import open_container
from streamer.sources.source_spec import SourceSpec


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


def sounding_sink(sound: Path, target: Path) -> Mp4Sink:
    """An MP4 of frames that gets the sound of a file; without PyTorch, which takes seconds."""
    config = SourceConfig()
    opener = partial(open_container, SourceSpec.parse(str(sound), config), config, None)
    return Mp4Sink(str(target), "frame", Mp4Config(), opener)
