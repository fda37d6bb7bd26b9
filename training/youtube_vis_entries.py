"""Reads the entries of a YouTube-VIS file for training, and says why one cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.masks import read_masks
from benchmarks.tubes import Tube
from streamer.dataset.annotations import Video
from streamer.frame import MAX_PIXELS
from streamer.printable import printable
from streamer.wire.fields import MAX_INTEGER

PER_FRAME_LISTS = ("segmentations", "bboxes", "areas")
"""An annotation's lists with an entry for each frame; only the first must be there."""

MALFORMED_VIDEO = "malformed video"
MALFORMED_ANNOTATION = "malformed annotation"
WRONG_LENGTH = "list of wrong length"


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


def read_video(record: Any, images: Path, ids: Counter[str]) -> Video:
    """A video whose images are all there; they are not opened.

    Args:
        record: The entry.
        images: The folder that ``file_names`` start from.
        ids: Of all videos, counted.

    Raises:
        UnusableError: It is malformed, its id is another's, too, or an image is missing.
    """
    video_id = _integer(record, "id", MALFORMED_VIDEO)
    if ids[repr(video_id)] > 1:
        raise UnusableError(MALFORMED_VIDEO, f"{ids[repr(video_id)]} videos have this id")
    height, width = (_integer(record, key, MALFORMED_VIDEO) for key in ("height", "width"))
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        message = f"{width}x{height} pixels, allowed are 1 to {MAX_PIXELS}"
        raise UnusableError(MALFORMED_VIDEO, message)
    names = record.get("file_names")
    if not isinstance(names, list) or not names:
        message = f"file_names is {names!r:.60}, expected a list of names"
        raise UnusableError(MALFORMED_VIDEO, message)
    if record.get("length", len(names)) != len(names):
        message = f"{len(names)} file_names, but length is {record['length']!r:.60}"
        raise UnusableError(WRONG_LENGTH, message)
    return Video(video_id, (height, width), tuple(_image(name, images) for name in names))


def read_object(
    record: Any, videos: Mapping[int, LabelledVideo], categories: int, taken: Container[int]
) -> tuple[int, Tube]:
    """An object's category and masks.

    Args:
        record: The entry.
        videos: The usable videos by id.
        categories: The category ids are 1 to this.
        taken: Ids of earlier entries.

    Raises:
        UnusableError: It is malformed, a crowd or empty, or does not fit its video.
    """
    annotation_id = _integer(record, "id", MALFORMED_ANNOTATION)
    if annotation_id in taken:
        message = f"id {annotation_id} is taken by an earlier entry"
        raise UnusableError(MALFORMED_ANNOTATION, message)
    video_id = _integer(record, "video_id", MALFORMED_ANNOTATION)
    category_id = _integer(record, "category_id", MALFORMED_ANNOTATION)
    if video_id not in videos:
        raise UnusableError("no such video", f"there is no usable video {video_id}")
    crowd = record.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise UnusableError(MALFORMED_ANNOTATION, f"iscrowd is {crowd!r:.60}, expected 0 or 1")
    if crowd:
        raise UnusableError("crowd region", "iscrowd is 1")
    if not 1 <= category_id <= categories:
        message = f"category_id is {category_id}, allowed are 1 to {categories}"
        raise UnusableError("category out of range", message)
    video = videos[video_id].video
    _check_lists(record, len(video.images))
    try:
        tube = Tube(*read_masks(record["segmentations"], video.size))
    except ValueError as error:
        raise UnusableError("unusable mask", str(error)) from error
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


def _image(name: Any, images: Path) -> Path:
    path = PurePosixPath(name) if isinstance(name, str) else None
    if path is None or path.is_absolute() or ".." in path.parts:
        message = f"file_names has {name!r:.60}, expected names of files in {images}"
        raise UnusableError(MALFORMED_VIDEO, message)
    image = images / path
    try:
        there = image.is_file()
    except OSError:  # a name too long, or a folder that may not be entered
        there = False
    if not there:
        raise UnusableError("missing image", f"{printable(image)}: no such file")
    return image


def _check_lists(record: Mapping[str, Any], frames: int) -> None:
    for key in PER_FRAME_LISTS:
        values = record.get(key)
        if values is None and key != "segmentations":
            continue
        if not isinstance(values, list):
            message = f"{key} is {values!r:.60}, expected a list"
            raise UnusableError(MALFORMED_ANNOTATION, message)
        if len(values) != frames:
            message = f"{len(values)} {key}, the video has {frames} frames"
            raise UnusableError(WRONG_LENGTH, message)


def _integer(record: Any, key: str, reason: str) -> int:
    if not isinstance(record, dict):
        raise UnusableError(reason, f"expected an object, found {record!r:.60}")
    value = record.get(key)
    if type(value) is not int or abs(value) > MAX_INTEGER:
        raise UnusableError(reason, f"{key} is {value!r:.60}, expected a whole number of 64 bits")
    return value
