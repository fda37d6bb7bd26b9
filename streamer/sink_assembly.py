"""The sinks of a run, as its configuration asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from av.container import InputContainer

from streamer.config import StreamConfig
from streamer.output_path import check_unwritten
from streamer.sinks.annotation_sink import AnnotationSink
from streamer.sinks.images_sink import ImagesSink, image_format
from streamer.sinks.mp4_sink import Mp4Sink
from streamer.sinks.preview_sink import PreviewSink
from streamer.sinks.results_sink import ResultsSink, lines_path
from streamer.sinks.segments import Segments, next_segment, segment_path
from streamer.sinks.sink import Sink, SinkThread
from streamer.sinks.zmq_sink import ZmqSink
from streamer.sources.container_opening import open_container
from streamer.sources.source_spec import SourceSpec


def publishers(config: StreamConfig, run_id: str) -> list[SinkThread]:
    """The ZeroMQ sinks asked for, not started; each has a name of its own."""
    sinks = []
    for number, endpoint in enumerate(config.publish, 1):
        # Only those on ports of the system's choice can be equal.
        again = f" ({number})" if config.publish.index(endpoint) + 1 < number else ""
        opener = partial(ZmqSink, endpoint, config.stream, run_id, config.zmq)
        sinks.append(SinkThread(f"zmq {endpoint}{again}", opener))
    return sinks


def file_sinks(config: StreamConfig, *, endless: bool) -> list[SinkThread]:
    """The sinks that write files and folders, as asked for, not started.

    Args:
        config: What the user asked for.
        endless: Whether the source is (`Assembly`): results then stay JSON lines.
    """
    return [SinkThread(name, open_sink) for name, open_sink in _file_sinks(config, endless=endless)]


def _file_sinks(config: StreamConfig, *, endless: bool) -> Iterator[tuple[str, Callable[[], Sink]]]:
    """The name of each, and what opens it."""
    open_sound = _sound_source(config, endless=endless)
    segments = _segments(config, endless=endless)
    for spec in config.outputs("video"):
        path, style = spec.path, spec.picture_style
        yield f"mp4 {path}", partial(Mp4Sink, path, style, config.mp4, open_sound, segments)
    for spec in config.outputs("preview"):
        path, style = spec.path, spec.picture_style
        yield f"preview {path}", partial(PreviewSink, path, style, config.preview)
    cleaned = {Path(folder) for folder in config.cleaned_folders}
    for spec in config.outputs("images"):
        path, clean = spec.path, Path(spec.path) in cleaned
        yield f"images {path}", partial(ImagesSink, path, spec.style, config.images, clean=clean)
    for path in config.results:
        opener = partial(ResultsSink, path, lines_only=endless, segments=segments)
        yield f"results {path}", opener
    if config.annotations is not None:
        path, ending = config.annotations, image_format("frame", config.images)
        yield f"annotations {path}", partial(AnnotationSink, path, ending)


def _segments(config: StreamConfig, *, endless: bool) -> Segments:
    """What numbers the files; where they go on for ever, behind those of the run before.

    Raises:
        SinkError: That run goes on, or a folder cannot be listed.
    """
    limits = config.mp4.segment_s, config.mp4.segment_mb
    segments = Segments(*limits)
    if not (endless and segments.is_limited):
        return segments
    lines = [lines_path(path) for path in config.results]
    paths = [spec.path for spec in config.outputs("video")] + lines
    numbers = {Path(path): next_segment(Path(path)) for path in paths}
    for path, number in numbers.items():
        check_unwritten(segment_path(path, max(0, number - 1)))
    return Segments(*limits, first=max(numbers.values(), default=0))


def _sound_source(config: StreamConfig, *, endless: bool) -> Callable[[], InputContainer] | None:
    """Opens an input a second time, for its sound, if it is a file that is read once."""
    spec = SourceSpec.parse(config.input_or_shipped(), config.source)
    # A pipe, too, may be given by a path; whoever opens it again takes from the pictures.
    is_file = spec.local_path is not None and spec.local_path.is_file()
    is_endless_playlist = endless and spec.live is None
    if not (config.mp4.audio and is_file) or config.source.loop or is_endless_playlist:
        return None
    return partial(open_container, spec, config.source, None)
