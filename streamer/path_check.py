"""What a configuration reads and writes: refused while that is cheap, before PyTorch is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from streamer.config import StreamConfig
from streamer.errors import ConfigError
from streamer.output_path import check_apart, check_folder, check_writable
from streamer.sinks.results_sink import lines_path
from streamer.sinks.segments import segment_pattern
from streamer.sources.source_spec import IMAGE_SUFFIXES, SourceSpec

READ_LATER = "would be read with {} the next time"


def check_paths(config: StreamConfig) -> None:
    """Refuse a source that is not there, and outputs that are unwritable or overwrite anything.

    Raises:
        SourceError: The source is a file or folder that does not exist.
        SinkError: An output's path cannot be written.
        ConfigError: An output is an input too, or another output, or would come to be one.
    """
    local = _local_source(config)
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
    taken = [(path, name) for name, path in read.items() if path is not None]
    taken += [(path, "an output") for path in files + folders]
    for claimant, folder, names, how in _claims(config, local):
        for path, name in taken:
            place = Path(path).resolve()
            is_read = path not in folders or how != READ_LATER  # folders within are not
            if is_read and place.parent == folder and names.fullmatch(place.name):
                raise ConfigError(
                    f"{claimant} {how.format(place.name)}, which is {name}; allowed: another name"
                )


def _local_source(config: StreamConfig) -> Path | None:
    if config.input is None:
        return None
    source = SourceSpec.parse(config.input, config.source)
    source.check_exists()
    return source.local_path


def _written_files(config: StreamConfig) -> list[str]:
    """The files that a run may write."""
    videos = [spec.path for spec in config.outputs("video") + config.outputs("preview")]
    lines = [lines_path(path) for path in config.results]
    annotations = [] if config.annotations is None else [config.annotations]
    return [*videos, *lines, *config.results, *annotations]


def _claims(
    config: StreamConfig, source: Path | None
) -> Iterator[tuple[str, Path, re.Pattern[str], str]]:
    """Each path that comes to use more files: of which folder, of which names, and how."""
    if source is not None and source.is_dir():
        images = re.compile(rf".*({'|'.join(map(re.escape, IMAGE_SUFFIXES))})", re.I | re.S)
        yield str(source), source.resolve(), images, READ_LATER
    for spec in config.outputs("images"):
        if spec.style == "tracks":
            folder, numbers = Path(spec.path).resolve(), re.compile(r"\d+")
            yield spec.path, folder, numbers, "gets a folder for each track, such as {}"
    # MP4s go on in numbered files, and so do an endless run's lines if segments are asked for.
    split = [spec.path for spec in config.outputs("video")]
    if config.mp4.segment_s is not None or config.mp4.segment_mb is not None:
        split += [lines_path(path) for path in config.results]
    for path in split:
        place = Path(path).resolve()
        how = "would go on in {}, as a new segment or where the frame size changed"
        yield path, place.parent, segment_pattern(place), how
