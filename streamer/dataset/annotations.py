"""The videos that a YouTube-VIS style annotation file lists, checked before any work begins."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamer.dataset.entries import Entry, count_ids, named_entries
from streamer.dataset.images import check_header
from streamer.errors import SourceError
from streamer.json_file import read_json
from streamer.source_config import MAX_ASPECT


@dataclass(frozen=True, slots=True)
class Video:
    """A video to be segmented.

    Attributes:
        video_id: As the annotations have it.
        size: (height, width) of its frames in pixels.
        images: Its frames' files, in order; at least one.
    """

    video_id: int
    size: tuple[int, int]
    images: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Annotations:
    """What an annotation file asks for.

    Attributes:
        videos: Those that can be segmented, in the file's order.
        bad: A line about each of the others.
        categories: Names by category id; empty where the file names none.
        sha256: Of the file.
    """

    videos: tuple[Video, ...]
    bad: tuple[str, ...]
    categories: Mapping[int, str]
    sha256: str


def read_annotations(ann_path: str, img_path: str) -> Annotations:
    """Read an annotation file and check every video that it lists, its images' headers too.

    Args:
        ann_path: JSON with ``videos`` and, where it has them, ``categories``.
        img_path: Folder that the videos' ``file_names`` start from.

    Raises:
        SourceError: The file or the folder cannot be read, or lists no videos. A single bad video
            is no error: see `Annotations.bad`.
    """
    folder = Path(img_path)
    if not folder.is_dir():
        raise SourceError(f"img_path {img_path}: is not a folder")
    content, data = read_json(ann_path)
    entries = content.get("videos") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise SourceError(f"{ann_path}: has no list of videos, expected a YouTube-VIS JSON")
    ids = count_ids(entries)
    videos, bad = [], []
    for entry in named_entries("videos", entries):
        try:
            videos.append(_video(entry, ids, folder))
        except (SourceError, ValueError) as error:
            bad.append(f"{entry.name}: {error}")
    categories = _categories(ann_path, content.get("categories"))
    return Annotations(tuple(videos), tuple(bad), categories, hashlib.sha256(data).hexdigest())


def _video(entry: Entry, ids: Counter[str], folder: Path) -> Video:
    video_id = entry.video_id(ids)
    height, width = entry.frame_size()
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(f"{width}x{height} is more elongated than {MAX_ASPECT:g}:1, the limit")
    images = tuple(folder / name for name in entry.file_names())
    for image in images:
        check_header(image, (height, width))
    return Video(video_id, (height, width), images)


def _categories(ann_path: str, entries: object) -> dict[int, str]:
    if entries is None:
        return {}
    try:
        if not isinstance(entries, list):
            raise TypeError
        categories = {entry["id"]: entry["name"] for entry in entries}
        if not all(type(key) is int and isinstance(name, str) for key, name in categories.items()):
            raise TypeError
    except (KeyError, TypeError) as error:
        raise SourceError(
            f"{ann_path}: categories: expected a list of objects with an id and a name"
        ) from error
    for category_id, count in Counter(entry["id"] for entry in entries).items():
        if count > 1:
            raise SourceError(f"{ann_path}: categories: {count} have the id {category_id}")
    return categories
