"""Reads YouTube-VIS ground truth and results, and refuses what is wrong in them by its entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, TypeGuard

from benchmarks.masks import read_masks
from benchmarks.tubes import Tube, mean_area
from streamer.dataset.entries import Entry, count_ids, named_entries, read_lists
from streamer.errors import SourceError
from streamer.json_file import read_json
from streamer.wire.fields import MAX_FLOAT

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
    parts = read_lists(path, "videos", "categories", "annotations")
    videos: dict[int, Video] = {}
    ids = count_ids(parts["videos"])
    for entry in named_entries(f"{path}: videos", parts["videos"]):
        with _checked(entry, bad):
            videos[entry.video_id(ids)] = _video(entry)
    if not videos:
        raise SourceError(f"{path}: there is no video to evaluate")
    categories: dict[int, str] = {}
    for entry in named_entries(f"{path}: categories", parts["categories"]):
        with _checked(entry, bad):
            category_id = entry.new_id(categories)
            categories[category_id] = str(entry.record.get("name", category_id))
    truths: dict[int, Truth] = {}
    for entry in named_entries(f"{path}: annotations", parts["annotations"]):
        with _checked(entry, bad):
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
    found, _ = read_json(path)
    if not isinstance(found, list):
        raise SourceError(f"{path}: expected a list, found {type(found).__name__}")
    results: list[Result] = []
    for entry in named_entries(f"{path}: results", found):
        with _checked(entry, bad):
            results.append(_result(entry, videos))
    return results


@contextmanager
def _checked(entry: Entry, bad: list[str] | None) -> Iterator[None]:
    """Turn a ValueError into a line that names the entry, raised or added to `bad`."""
    try:
        yield
    except ValueError as error:
        line = f"{entry.name}: {error}"
        if bad is None:
            raise SourceError(line) from error
        bad.append(line)


def _known(entry: Entry, key: str, known: Mapping[int, object]) -> int:
    value = entry.integer(key)
    if value not in known:
        raise ValueError(f"the ground truth lists no such {key.removesuffix('_id')}")
    return value


def _video(entry: Entry) -> Video:
    size = entry.frame_size()
    if "length" in entry.record:
        frames = entry.integer("length")
    else:
        names = entry.record.get("file_names")
        frames = len(names) if isinstance(names, list) else 0
    if frames < 1:
        raise ValueError(f"{frames} frames, expected 1 or more")
    return Video(size, frames)


def _truth(entry: Entry, videos: Mapping[int, Video], categories: Mapping[int, str]) -> Truth:
    video_id = _known(entry, "video_id", videos)
    category_id = _known(entry, "category_id", categories)
    crowd = entry.is_crowd()
    tube = _tube(entry, videos[video_id])
    area = tube.mean_area
    if "areas" in entry.record:
        areas = entry.per_frame("areas", videos[video_id].frames)
        pixels = prod(videos[video_id].size)
        for value in areas:
            if value is None or (_is_finite(value) and 0 <= value <= AREA_TOLERANCE * pixels):
                continue
            raise ValueError(f"areas hold {value!r:.60}, expected null or 0 to {pixels} pixels")
        area = mean_area(areas)
    return Truth(video_id, category_id, tube, area, crowd)


def _result(entry: Entry, videos: Mapping[int, Video]) -> Result:
    video_id = _known(entry, "video_id", videos)
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


def _tube(entry: Entry, video: Video) -> Tube:
    return Tube(*read_masks(entry.per_frame("segmentations", video.frames), video.size))
