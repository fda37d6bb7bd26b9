"""Reads the entries of a YouTube-VIS file for training, and says why one cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.masks import read_masks
from benchmarks.tubes import Tube
from streamer.dataset.annotations import Video
from streamer.dataset.entries import Entry
from streamer.printable import printable

PER_FRAME_LISTS = ("segmentations", "bboxes", "areas")
"""An annotation's lists with an entry for each frame; only the first must be there."""


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """A video and its objects: the category and the masks of each."""

    video: Video
    objects: list[tuple[int, Tube]] = field(default_factory=list)


class UnusableError(ValueError):
    """An entry cannot be used.

    Args:
        reason: One of a few, under which such entries are counted.
        message: What is wrong with this one.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@contextmanager
def counted_as(reason: str) -> Iterator[None]:
    """Turn another ValueError into an UnusableError."""
    try:
        yield
    except UnusableError:
        raise
    except ValueError as error:
        raise UnusableError(reason, str(error)) from error


def read_video(entry: Entry, images: Path, ids: Counter[str]) -> Video:
    """A video whose images are all there; they are not opened.

    Args:
        entry: The video's.
        images: The folder that ``file_names`` start from.
        ids: Of all videos, counted.

    Raises:
        UnusableError: It is malformed, its id is another's, too, or an image is missing.
    """
    with counted_as("malformed video"):
        video_id, size, names = entry.video_id(ids), entry.frame_size(), entry.file_names()
    return Video(video_id, size, tuple(_image(images / name) for name in names))


def read_object(
    entry: Entry, videos: Mapping[int, LabelledVideo], categories: int, taken: Container[int]
) -> tuple[int, Tube]:
    """An object's category and masks.

    Args:
        entry: The annotation's.
        videos: The usable videos by id.
        categories: The category ids are 1 to this.
        taken: Ids of earlier entries.

    Raises:
        UnusableError: It is malformed, a crowd or empty, or does not fit its video.
    """
    with counted_as("malformed annotation"):
        entry.new_id(taken)
        video_id, category_id = entry.integer("video_id"), entry.integer("category_id")
        if video_id not in videos:
            raise UnusableError("no such video", f"there is no usable video {video_id}")
        if entry.is_crowd():
            raise UnusableError("crowd region", "iscrowd is 1")
        if not 1 <= category_id <= categories:
            message = f"category_id is {category_id}, allowed are 1 to {categories}"
            raise UnusableError("category out of range", message)
        video = videos[video_id].video
        for key in PER_FRAME_LISTS:
            if key == "segmentations" or entry.record.get(key) is not None:
                entry.per_frame(key, len(video.images))
    with counted_as("unusable mask"):
        tube = Tube(*read_masks(entry.record["segmentations"], video.size))
    if not tube.areas.any():
        raise UnusableError("no segmentation", "there is no pixel in any frame")
    return category_id, tube


def named_video(record: Any) -> int | None:
    """The id of the video that a bad annotation names, as a text of digits maybe; None for none."""
    value: Any = record.get("video_id") if isinstance(record, dict) else None
    if isinstance(value, bool):
        return None
    try:
        return int(value) if isinstance(value, str) or value == int(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _image(path: Path) -> Path:
    try:
        there = path.is_file()
    except OSError:  # a name too long, or a folder that may not be entered
        there = False
    if not there:
        raise UnusableError("missing image", f"{printable(path)}: no such file")
    return path
