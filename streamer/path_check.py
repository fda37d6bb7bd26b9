"""What a configuration reads and writes: refused while that is cheap, before PyTorch is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from streamer.config import StreamConfig
from streamer.errors import ConfigError
from streamer.output_path import check_apart, check_folder, check_writable
from streamer.sinks.results_sink import lines_path
from streamer.sinks.segments import segment_pattern
from streamer.sources.source_spec import IMAGE_SUFFIXES, SourceSpec


def _written_files(config: StreamConfig) -> list[str]:
    """The files that a run may write."""
    videos = [spec.path for spec in config.outputs("video") + config.outputs("preview")]
    lines = [lines_path(path) for path in config.results]
    annotations = [] if config.annotations is None else [config.annotations]
    return [*videos, *lines, *config.results, *annotations]


def check_paths(config: StreamConfig) -> None:
    """Refuse a source that is not there, and outputs that are unwritable or overwrite anything.

    Raises:
        SourceError: The source is a file or folder that does not exist.
        SinkError: An output's path cannot be written.
        ConfigError: An output is an input too, or another output.
    """
    local: Path | None = None
    if config.input is not None:
        source = SourceSpec.parse(config.input, config.source)
        source.check_exists()
        local = source.local_path
    read = {
        "the source": None if local is None else str(local),
        "the weights": config.weights,
        "the category file": config.category_file,
    }
    if local is not None and local.suffix.lower() in IMAGE_SUFFIXES:
        read["the folder of the source"] = str(local.parent)
    for path in config.results:
        check_writable(path)  # before asking where its lines go
    files = _written_files(config)
    folders = [spec.path for spec in config.outputs("images")]
    for path in files:
        check_writable(path)
    for path in folders:
        check_folder(path)
    check_apart(files + folders, read)
    if local is not None and local.is_dir():
        _check_no_later_source(local.resolve(), files)
    for spec in config.outputs("images"):
        if spec.style == "tracks":
            others = [("another output", other) for other in folders if other != spec.path]
            _check_track_folders(Path(spec.path).resolve(), [*read.items(), *others])
    # MP4s go on in numbered files, and so do an endless run's lines if segments are asked for.
    split = [spec.path for spec in config.outputs("video")]
    if config.mp4.segment_s is not None or config.mp4.segment_mb is not None:
        split += [lines_path(path) for path in config.results]
    for path in split:
        others = [("another output", other) for other in files if other != path]
        _check_later_segments(Path(path).resolve(), [*read.items(), *others])


def _check_no_later_source(folder: Path, files: Iterable[str]) -> None:
    """Refuse a file that the same command would read, too, when it is run again."""
    for path in files:
        place = Path(path).resolve()
        if place.parent == folder and place.suffix.lower() in IMAGE_SUFFIXES:
            raise ConfigError(
                f"{path} would be one of the source's images the next time; allowed: another folder"
            )


def _check_track_folders(folder: Path, taken: Iterable[tuple[str, str | None]]) -> None:
    """Refuse a folder of tracks that has one of its own folders, ``1``, ``2``, …, in a place."""
    for name, path in taken:
        place = None if path is None else Path(path).resolve()
        if place is not None and place.parent == folder and place.name.isdecimal():
            raise ConfigError(
                f"{folder} gets a folder for each track, such as {place.name}, which is {name}; "
                "allowed: another name"
            )


def _check_later_segments(output: Path, taken: Iterable[tuple[str, str | None]]) -> None:
    """Refuse an output that would go on, in its numbered files, in a place that is taken."""
    later = segment_pattern(output)
    for name, path in taken:
        place = None if path is None else Path(path).resolve()
        if place is not None and place.parent == output.parent and later.fullmatch(place.name):
            raise ConfigError(
                f"{output} would go on in {place.name}, as a new segment or where the frame size "
                f"changed, which is {name}; allowed: another name"
            )
