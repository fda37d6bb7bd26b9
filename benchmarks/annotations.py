"""Reads YouTube-VIS ground truth and results, and refuses what is wrong in them by its entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import starmap
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

from benchmarks.masks import read_masks
from benchmarks.tubes import Tube, mean_area
from streamer.errors import SourceError
from streamer.frame import MAX_PIXELS
from streamer.json_file import count_ids, read_json
from streamer.wire.fields import MAX_FLOAT, MAX_INTEGER

NAMING_KEYS = ("id", "video_id", "category_id")
"""What a message about an entry repeats of it."""

AREA_TOLERANCE = 1.01
"""Stated areas may be over the frame's by so much: some are those of polygons, or rounded."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video: its frames' size (height, width) in pixels, and how many it has."""

    size: tuple[int, int]
    frames: int


@dataclass(frozen=True, slots=True)
class Truth:
    """An annotated object.

    Attributes:
        video_id: The video that it is in.
        category_id: Its category.
        tube: Its masks.
        area: The area that decides its size class, in pixels.
        crowd: Whether it is a group that results may match any number of times at no cost.
    """

    video_id: int
    category_id: int
    tube: Tube
    area: float
    crowd: bool


@dataclass(frozen=True, slots=True)
class Result:
    """A found object: what it is said to be, how surely, and its masks."""

    video_id: int
    category_id: int
    score: float
    tube: Tube


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Everything that results are held against: videos and category names by id, and objects."""

    videos: Mapping[int, Video]
    categories: Mapping[int, str]
    truths: tuple[Truth, ...]


def read_ground_truth(path: str, bad: list[str] | None = None) -> GroundTruth:
    """Read a YouTube-VIS annotation file.

    Args:
        path: A JSON object with the lists videos, categories and annotations.
        bad: Takes a line for each bad entry, which is then left out; None refuses the first one.

    Raises:
        SourceError: The file cannot be read, has no usable video, or an entry of it is bad.
    """
    parts = _load(path, dict)
    for key in ("videos", "categories", "annotations"):
        if not isinstance(parts.get(key), list):
            raise SourceError(f"{path}: {key} is {parts.get(key)!r:.60}, expected a list")
    videos: dict[int, Video] = {}
    ids = count_ids(parts["videos"])
    for entry in starmap(_Entry, named_entries(path, "videos", parts["videos"])):
        with entry.checked(bad):
            videos[entry.own_id(ids)] = _video(entry)
    if not videos:
        raise SourceError(f"{path}: there is no video to evaluate")
    categories: dict[int, str] = {}
    for entry in starmap(_Entry, named_entries(path, "categories", parts["categories"])):
        with entry.checked(bad):
            category_id = entry.new_id(categories)
            categories[category_id] = str(entry.record.get("name", category_id))
    truths: dict[int, Truth] = {}
    for entry in starmap(_Entry, named_entries(path, "annotations", parts["annotations"])):
        with entry.checked(bad):
            truths[entry.new_id(truths)] = _truth(entry, videos, categories)
    return GroundTruth(videos, categories, tuple(truths.values()))


def read_results(
    path: str, videos: Mapping[int, Video], bad: list[str] | None = None
) -> list[Result]:
    """Read a YouTube-VIS results file.

    Args:
        path: A JSON list; each entry has video_id, category_id, score and segmentations.
        videos: The videos of the ground truth by id.
        bad: Takes a line for each bad entry, which is then left out; None refuses the first one.

    Raises:
        SourceError: The file cannot be read, or an entry of it is bad.
    """
    results: list[Result] = []
    for entry in starmap(_Entry, named_entries(path, "results", _load(path, list))):
        with entry.checked(bad):
            results.append(_result(entry, videos))
    return results


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a list in a file, and the name that it has in messages.

    Every reading of one begins with `integer`, which sees that it is an object at all.
    """

    name: str
    record: Any

    @contextmanager
    def checked(self, bad: list[str] | None) -> Iterator[None]:
        """Turn a ValueError into a line that names the entry, raised or added to `bad`."""
        try:
            yield
        except ValueError as error:
            line = f"{self.name}: {error}"
            if bad is None:
                raise SourceError(line) from error
            bad.append(line)

    def integer(self, key: str) -> int:
        if not isinstance(self.record, dict):
            raise ValueError(f"expected an object, found {self.record!r:.60}")
        value = self.record.get(key)
        if type(value) is not int or abs(value) > MAX_INTEGER:
            raise ValueError(f"{key} is {value!r:.60}, expected a whole number of 64 bits")
        return value

    def own_id(self, ids: Counter[str]) -> int:
        """The id of a video, which no other has: whose their objects are cannot be known."""
        value = self.integer("id")
        if ids[repr(value)] > 1:
            raise ValueError(f"{ids[repr(value)]} videos have this id")
        return value

    def new_id(self, taken: Mapping[int, object]) -> int:
        value = self.integer("id")
        if value in taken:
            raise ValueError(f"id {value} is taken by an earlier entry")
        return value

    def known(self, key: str, known: Mapping[int, object]) -> int:
        value = self.integer(key)
        if value not in known:
            raise ValueError(f"the ground truth lists no such {key.removesuffix('_id')}")
        return value

    def per_frame(self, key: str, video: Video) -> list[Any]:
        values = self.record.get(key)
        if not isinstance(values, list):
            raise ValueError(f"{key} is {values!r:.60}, expected a list")
        if len(values) != video.frames:
            raise ValueError(f"{len(values)} {key}, the video has {video.frames} frames")
        return values


def _load(path: str, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    content, _ = read_json(path)
    if not isinstance(content, kind):
        expected = {dict: "an object", list: "a list"}[kind]
        raise SourceError(f"{path}: expected {expected}, found {type(content).__name__}")
    return content


def named_entries(path: str | Path, part: str, records: list[Any]) -> Iterator[tuple[str, Any]]:
    """The entries of a list in a file, each with its name in messages."""
    for position, record in enumerate(records):
        keys = NAMING_KEYS if isinstance(record, dict) else ()
        naming = ", ".join(f"{key} {record[key]!r:.20}" for key in keys if key in record)
        yield f"{path}: {part}[{position}]" + f" ({naming})" * bool(naming), record


def _video(entry: _Entry) -> Video:
    size = (entry.integer("height"), entry.integer("width"))
    if min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"{size[1]}x{size[0]} pixels, allowed are 1 to {MAX_PIXELS}")
    if "length" in entry.record:
        frames = entry.integer("length")
    else:
        names = entry.record.get("file_names")
        frames = len(names) if isinstance(names, list) else 0
    if frames < 1:
        raise ValueError(f"{frames} frames, expected 1 or more")
    return Video(size, frames)


def _truth(entry: _Entry, videos: Mapping[int, Video], categories: Mapping[int, str]) -> Truth:
    video_id = entry.known("video_id", videos)
    category_id = entry.known("category_id", categories)
    crowd = entry.record.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise ValueError(f"iscrowd is {crowd!r:.60}, expected 0 or 1")
    tube = _tube(entry, videos[video_id])
    area = tube.mean_area
    if "areas" in entry.record:
        areas = entry.per_frame("areas", videos[video_id])
        pixels = prod(videos[video_id].size)
        for value in areas:
            if value is None or (_is_finite(value) and 0 <= value <= AREA_TOLERANCE * pixels):
                continue
            raise ValueError(f"areas hold {value!r:.60}, expected null or 0 to {pixels} pixels")
        area = mean_area(areas)
    return Truth(video_id, category_id, tube, area, bool(crowd))


def _result(entry: _Entry, videos: Mapping[int, Video]) -> Result:
    video_id = entry.known("video_id", videos)
    category_id = entry.integer("category_id")
    score = entry.record.get("score")
    if not _is_finite(score):
        raise ValueError(f"score is {score!r:.60}, expected a finite number")
    tube = _tube(entry, videos[video_id])
    if entry.record.get("bboxes") and not any(tube.masks):
        raise ValueError("has bboxes, but no segmentations; boxes alone cannot be scored")
    return Result(video_id, category_id, float(score), tube)


def _is_finite(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a number that a float can hold; Python's parser lets NaN pass."""
    return type(value) in (int, float) and abs(value) <= MAX_FLOAT


def _tube(entry: _Entry, video: Video) -> Tube:
    return Tube(*read_masks(entry.per_frame("segmentations", video), video.size))
