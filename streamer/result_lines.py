"""The first pass over the JSON lines of a run: what is in them, and where.

Memory does not grow with the length of the video: a few numbers per track are kept, and the stretch
of lines that it lives in.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any

from streamer.errors import SourceError

SCHEMA = "vistr-results"
VERSION = 1

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class VideoLines:
    """A video entry: its frame size, whether it has masks, its run, and how many frames it has."""

    size: list[int]
    masks: bool = True
    run: str | None = None
    frames: int = 0


@dataclass(slots=True)
class TrackLines:
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
class Line:
    """One line of the record: its number from 1, its bytes' range in the file, its object."""

    number: int
    begin: int
    end: int
    record: dict[str, Any]


def survey(lines: BufferedReader, name: str) -> tuple[dict[int, VideoLines], list[TrackLines]]:
    """Every video entry by its id, and every track, in the order of their first lines.

    A torn last line, as a kill may leave, is passed over with a warning.

    Args:
        lines: The file, at its beginning.
        name: Of the file, for messages.

    Raises:
        SourceError: A line is malformed; the message has its number.
    """
    videos: dict[int, VideoLines] = {}
    tracks: dict[tuple[int, int], TrackLines] = {}
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
        except (TypeError, ValueError, OverflowError) as error:
            raise SourceError(f"{name}: line {line.number}: {error}") from error
    return videos, list(tracks.values())


def _survey_video(line: Line, videos: dict[int, VideoLines]) -> None:
    schema = (line.record["schema"], line.record["version"])
    if schema != (SCHEMA, VERSION):
        raise ValueError(f"schema {schema}; known: {(SCHEMA, VERSION)}")
    video_id = line.record["video_id"]
    if video_id in videos:
        raise ValueError(f"video_id {video_id!r} is announced twice: these are lines of two runs")
    run = line.record.get("run")
    first = next(iter(videos.values()), None)
    if first is not None and run != first.run:
        raise ValueError(f"run {run!r} comes after run {first.run!r}; allowed: lines of one")
    videos[video_id] = VideoLines(line.record["size"], line.record.get("masks", True), run)


def _survey_frame(
    line: Line, videos: dict[int, VideoLines], tracks: dict[tuple[int, int], TrackLines]
) -> None:
    video_id = line.record["video_id"]
    if video_id not in videos:
        raise ValueError(f"video_id {video_id!r} was not announced")
    video = videos[video_id]
    for instance in line.record["instances"]:
        key = (video_id, instance["track_id"])
        track = tracks.get(key)
        if track is None:
            track = tracks[key] = TrackLines(*key, first_frame=video.frames, begin=line.begin)
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
        score = float(instance["score"])
        if not math.isfinite(track.scores + score):
            raise ValueError(f"track_id {track.track_id}: score is {score}")
        track.scores += score
        track.appearances += 1
        track.categories[int(instance["category_id"])] += 1
    video.frames += 1


def _read(lines: BufferedReader, name: str) -> Iterator[Line]:
    """Each line with its place; a last line that is torn is passed over with a warning."""
    end = 0
    for number, text in enumerate(lines, start=1):
        begin, end = end, end + len(text)
        try:
            record = json.loads(text, parse_constant=_refuse)
            if not isinstance(record, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:
            if number == 1 or text.endswith(b"\n"):  # a kill takes the newline too
                raise SourceError(f"{name}: line {number} is not JSON: {error}") from error
            _log.warning("%s: the last line, %d, is torn and left out", name, number)
            return
        yield Line(number, begin, end, record)


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(type(n) in (int, float) and math.isfinite(n) for n in box)
    )


def _refuse(constant: str) -> None:
    """Stands in for NaN and the infinities, which JSON does not have but Python's parser takes."""
    raise ValueError(f"{constant} is not a number")
