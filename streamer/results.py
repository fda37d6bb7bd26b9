"""Assembles a YouTube-VIS results file from the JSON lines of a run, also after a kill.

``python -m streamer.results r.jsonl r.json``

Memory does not grow with the length of the video: a first pass keeps a few numbers per track, and
then the masks of one track at a time are read again from its stretch of the lines.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, TextIO

from streamer.errors import ConfigError, SinkError, SourceError, StreamError
from streamer.sinks.output_path import check_writable

SCHEMA = "vistr-results"
VERSION = 1

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Video:
    """A video entry: its frame size, whether it has masks, and how many frames there are."""

    size: list[int]
    masks: bool = True
    frames: int = 0


@dataclass(slots=True)
class _Track:
    """What the first pass keeps of a track: its sums, and the stretch of lines that it lives in.

    `first_frame` and `last_frame` are positions in the video entry, `begin` and `end` byte offsets
    of those frames' lines.
    """

    video_id: int
    track_id: int
    first_frame: int
    begin: int
    last_frame: int = -1
    end: int = 0
    scores: float = 0.0
    appearances: int = 0
    categories: Counter[int] = field(default_factory=Counter)

    @property
    def score(self) -> float:
        """Mean over its frames."""
        return self.scores / self.appearances

    @property
    def category_id(self) -> int:
        """The most frequent of its frames', the lowest of equals."""
        return min(self.categories, key=lambda category: (-self.categories[category], category))


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the record: its number from 1, its bytes' range in the file, its object."""

    number: int
    begin: int
    end: int
    record: dict[str, Any]


def assemble(lines_path: str, results_path: str, *, best: int | None = None) -> int:
    """Write the YouTube-VIS results of a run: one entry per track and video entry.

    An entry holds ``video_id``, ``track_id``, ``score`` (the mean over the track's frames),
    ``category_id`` (its most frequent, the lowest of equals) and ``segmentations``: for each frame
    of the video entry COCO's compressed RLE, or null. Without masks these are all null, and
    ``bboxes`` holds [left, top, width, height] in pixels, or null.

    The file appears under its name only once it is whole. A torn last line, as a kill may leave, is
    passed over with a warning.

    Args:
        lines_path: The JSON lines, as `streamer.sinks.results_sink.ResultsSink` writes them.
        results_path: The file to write; replaced if it exists.
        best: Write only so many tracks of each category in each video entry, those of the best
            score, and log how many were left out; None writes all.

    Returns:
        How many entries were written.

    Raises:
        SourceError: The lines cannot be read, or one is malformed; the message has its number.
        SinkError: The results cannot be written.
        ConfigError: Both paths are the same file.
    """
    target = Path(results_path)
    if target.resolve() == Path(lines_path).resolve():
        raise ConfigError(f"{results_path}: the results must not replace the lines they come from")
    check_writable(results_path)
    try:
        lines = Path(lines_path).open("rb")  # noqa: SIM115 - closed by the next with
    except OSError as error:
        raise SourceError(f"{lines_path}: {error.strerror}") from error
    partial = target.with_name(target.name + ".part")
    with lines:
        videos, tracks = _survey(lines, lines_path)
        kept = tracks if best is None else _best(tracks, best)
        if len(kept) < len(tracks):
            _log.info("%s: %d weaker tracks left out", results_path, len(tracks) - len(kept))
        try:
            with partial.open("w", encoding="ascii") as results:
                _write_entries(lines, results, videos, kept)
            partial.replace(target)
        except OSError as error:
            raise SinkError(f"{results_path}: {error.strerror}") from error
        finally:
            with suppress(OSError):  # gone already where all went well
                partial.unlink()
    return len(kept)


def _survey(lines: BufferedReader, name: str) -> tuple[dict[int, _Video], list[_Track]]:
    """The first pass: every video entry and every track, with what `_write_entries` needs."""
    videos: dict[int, _Video] = {}
    tracks: dict[tuple[int, int], _Track] = {}
    for line in _read(lines, name):
        try:
            match line.record["type"]:
                case "video":
                    _survey_video(line, videos)
                case "frame":
                    _survey_frame(line, videos, tracks)
                case "gap" | "end":
                    pass
                case other:
                    raise ValueError(f"type {other!r}; known: video, frame, gap, end")
        except KeyError as error:
            raise SourceError(f"{name}: line {line.number}: no key {error}") from error
        except (TypeError, ValueError) as error:
            raise SourceError(f"{name}: line {line.number}: {error}") from error
    return videos, list(tracks.values())


def _survey_video(line: _Line, videos: dict[int, _Video]) -> None:
    schema = (line.record["schema"], line.record["version"])
    if schema != (SCHEMA, VERSION):
        raise ValueError(f"schema {schema}; known: {(SCHEMA, VERSION)}")
    has_masks = line.record.get("masks", True)
    videos[line.record["video_id"]] = _Video(line.record["size"], has_masks)


def _survey_frame(
    line: _Line, videos: dict[int, _Video], tracks: dict[tuple[int, int], _Track]
) -> None:
    video_id = line.record["video_id"]
    if video_id not in videos:
        raise ValueError(f"video_id {video_id!r} was not announced")
    video = videos[video_id]
    for instance in line.record["instances"]:
        key = (video_id, instance["track_id"])
        track = tracks.get(key)
        if track is None:
            track = tracks[key] = _Track(*key, first_frame=video.frames, begin=line.begin)
        if track.last_frame == video.frames:
            raise ValueError(f"track_id {track.track_id} appears twice")
        segmentation = instance["segmentation"]
        if not video.masks:
            if not _is_box(instance["bbox"]):
                raise ValueError(f"track_id {track.track_id}: bbox is {instance['bbox']!r}")
        elif segmentation["size"] != video.size or not isinstance(segmentation["counts"], str):
            raise ValueError(f"track_id {track.track_id}: not an RLE of size {video.size}")
        track.last_frame = video.frames
        track.end = line.end
        track.scores += float(instance["score"])
        track.appearances += 1
        track.categories[int(instance["category_id"])] += 1
    video.frames += 1


def _best(tracks: Sequence[_Track], count: int) -> list[_Track]:
    """The `count` tracks of the best score in each category of each video entry, in order."""
    ranks: Counter[tuple[int, int]] = Counter()
    kept = set()
    for position in sorted(range(len(tracks)), key=lambda position: -tracks[position].score):
        group = (tracks[position].video_id, tracks[position].category_id)
        if ranks[group] < count:
            kept.add(position)
        ranks[group] += 1
    return [track for position, track in enumerate(tracks) if position in kept]


def _read(lines: BufferedReader, name: str) -> Iterator[_Line]:
    """Each line with its place; a last line that is torn is passed over with a warning."""
    end = 0
    for number, text in enumerate(lines, start=1):
        begin, end = end, end + len(text)
        try:
            record = json.loads(text, parse_constant=_refuse)
            if not isinstance(record, dict):
                raise ValueError("not an object")
        except ValueError as error:
            if lines.peek(1):
                raise SourceError(f"{name}: line {number} is not JSON: {error}") from error
            _log.warning("%s: the last line, %d, is torn and left out", name, number)
            return
        yield _Line(number, begin, end, record)


def _write_entries(
    lines: BufferedReader, results: TextIO, videos: dict[int, _Video], tracks: Sequence[_Track]
) -> None:
    """The second pass: write a JSON list with one entry per track."""
    results.write("[")
    for position, track in enumerate(tracks):
        entry = {
            "video_id": track.video_id,
            "track_id": track.track_id,
            "score": round(track.score, 6),
            "category_id": track.category_id,
        }
        results.write(",\n" if position else "\n")
        results.write(json.dumps(entry, allow_nan=False)[:-1])
        video = videos[track.video_id]
        for name, key in {"segmentations": "segmentation", "bboxes": "bbox"}.items():
            if key == "bbox" and video.masks:
                continue
            results.write(f', "{name}": [' + "null," * track.first_frame)
            results.writelines(_frame_by_frame(lines, track, key))
            results.write(",null" * (video.frames - 1 - track.last_frame) + "]")
        results.write("}")
    results.write("\n]\n" if tracks else "]\n")


def _frame_by_frame(lines: BufferedReader, track: _Track, key: str) -> Iterator[str]:
    """One thing about a track as JSON with commas between, from its stretch of the lines."""
    lines.seek(track.begin)
    separator = ""
    while lines.tell() < track.end:
        record = json.loads(lines.readline())
        if record["type"] != "frame" or record["video_id"] != track.video_id:
            continue
        found = (
            instance[key]
            for instance in record["instances"]
            if instance["track_id"] == track.track_id
        )
        yield separator + json.dumps(next(found, None), separators=(",", ":"))
        separator = ","


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(n) in (int, float) for n in box)


def _refuse(constant: str) -> None:
    """Stands in for NaN and the infinities, which JSON does not have but Python's parser takes."""
    raise ValueError(f"{constant} is not a number")


def main(arguments: Sequence[str] | None = None) -> int:
    """Assemble from the command line.

    Returns:
        The exit code: 0; 1 where a file cannot be read or written; 2 for wrong arguments.
    """
    parser = argparse.ArgumentParser(
        prog="python -m streamer.results",
        description="Assemble a YouTube-VIS results file from the JSON lines of a run.",
    )
    parser.add_argument("lines", help="JSON lines that a run wrote, such as r.jsonl")
    parser.add_argument("results", help="results file to write, such as r.json")
    asked = parser.parse_args(arguments)
    try:
        entries = assemble(asked.lines, asked.results)
    except StreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{asked.results}: {entries} tracks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
