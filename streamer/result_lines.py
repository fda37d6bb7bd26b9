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

from streamer.errors import SourceError, WireError
from streamer.frame import MAX_PIXELS
from streamer.wire.fields import MAX_SIDE, Fields
from streamer.wire.run_lengths import MAX_RLE_CHARACTERS, check_runs, run_lengths

SCHEMA = "vistr-results"
VERSION = 1

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class VideoLines:
    """A video entry: its frame size, whether it has masks, its run, and how many frames it has."""

    size: tuple[int, int]
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


def survey(
    lines: BufferedReader, name: str, *, are_own: bool = True
) -> tuple[dict[int, VideoLines], list[TrackLines]]:
    """Every video entry by its id, and every track, in the order of their first lines.

    A torn last line, as a kill may leave, is passed over with a warning.

    Args:
        lines: The file, at its beginning.
        name: Of the file, for messages.
        are_own: Whether this process wrote them: their run lengths are taken as they are.

    Raises:
        SourceError: A line is malformed; the message has its number.
    """
    videos: dict[int, VideoLines] = {}
    tracks: dict[tuple[int, int], TrackLines] = {}
    for line in _read(lines, name):
        try:
            kind = Fields(line.record, "message").choice("type", ("video", "frame", "gap", "end"))
            fields = Fields(line.record, kind)
            if kind == "video":
                _survey_video(fields, line, videos)
            elif kind == "frame":
                _survey_frame(fields, line, videos, tracks)
                if not are_own:
                    _check_run_lengths(line.record, videos)
        except (WireError, ValueError) as error:
            raise SourceError(f"{name}: line {line.number}: {error}") from error
    return videos, list(tracks.values())


def _survey_video(fields: Fields, line: Line, videos: dict[int, VideoLines]) -> None:
    fields.choice("schema", (SCHEMA,))
    if fields.integer("version") != VERSION:
        raise ValueError(f"version is {line.record['version']}; allowed: {VERSION}")
    video_id = _video_id(fields)
    if video_id in videos:
        raise ValueError(f"video_id {video_id!r} is announced twice: these are lines of two runs")
    run = line.record.get("run")
    first = next(iter(videos.values()), None)
    if first is not None and run != first.run:
        raise ValueError(f"run {run!r} comes after run {first.run!r}; allowed: lines of one")
    has_masks = "masks" not in line.record or fields.flag("masks")
    videos[video_id] = VideoLines(_size(fields), has_masks, run)


def _survey_frame(
    fields: Fields,
    line: Line,
    videos: dict[int, VideoLines],
    tracks: dict[tuple[int, int], TrackLines],
) -> None:
    video_id = _video_id(fields)
    if video_id not in videos:
        raise ValueError(f"video_id {video_id!r} was not announced")
    video = videos[video_id]
    for position, instance in enumerate(fields.objects("instances", most=MAX_SIDE)):
        key = (video_id, instance.integer("track_id"))
        track = tracks.get(key)
        if track is None:
            track = tracks[key] = TrackLines(*key, first_frame=video.frames, begin=line.begin)
        if track.last_frame == video.frames:
            raise ValueError(f"track_id {track.track_id} appears twice")
        if not video.masks:
            _check_box(line.record["instances"][position].get("bbox"), position)
        elif (size := _size(instance.member("segmentation"))) != video.size:
            raise ValueError(f"instance {position}: a mask of {size} in a video of {video.size}")
        track.last_frame = video.frames
        track.end = line.end
        track.scores += instance.number("score", low=0, high=1)
        track.appearances += 1
        track.categories[instance.integer("category_id")] += 1
    video.frames += 1


def _video_id(fields: Fields) -> int:
    """Of a data set's video it is that of its annotations: any whole number of 64 bits."""
    return fields.integer("video_id", -(2**63), 2**63 - 1)


def _size(fields: Fields) -> tuple[int, int]:
    """(height, width), also of frames that no message would take."""
    height, width = fields.integers("size", count=2, low=1)
    if height * width > MAX_PIXELS:
        raise ValueError(f"size is {[height, width]}; allowed: at most {MAX_PIXELS} pixels")
    return height, width


def _check_box(box: object, position: int) -> None:
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(type(each) in {int, float} and math.isfinite(each) for each in box)
    ):
        raise ValueError(f"instances[{position}]: bbox is {box!r:.60}; allowed: four numbers")


def _check_run_lengths(record: dict[str, Any], videos: dict[int, VideoLines]) -> None:
    """Refuse masks of a frame that COCO's tools would read, or write, beyond it."""
    video = videos[record["video_id"]]
    if not video.masks:
        return
    for position, instance in enumerate(record["instances"]):
        mask = Fields(instance["segmentation"], f"instance {position}")
        counts = mask.text("counts", most=MAX_RLE_CHARACTERS)
        check_runs(run_lengths(counts.encode()), video.size, position)


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


def _refuse(constant: str) -> None:
    """Stands in for NaN and the infinities, which JSON does not have but Python's parser takes."""
    raise ValueError(f"{constant} is not a number")
