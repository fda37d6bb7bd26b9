"""The videos that a YouTube-VIS style annotation file lists, checked before any work begins."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from streamer.dataset.images import check_header, shortened
from streamer.errors import SourceError
from streamer.json_file import count_ids, read_json
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
    for position, entry in enumerate(entries):
        try:
            videos.append(_video(entry, ids, folder))
        except SourceError as error:
            bad.append(f"videos[{position}]{_id_of(entry)}: {error}")
    categories = _categories(ann_path, content.get("categories"))
    return Annotations(tuple(videos), tuple(bad), categories, hashlib.sha256(data).hexdigest())


def _video(entry: object, ids: Counter[str], folder: Path) -> Video:
    if not isinstance(entry, dict):
        raise SourceError(f"is {entry!r:.50}, expected an object")
    video_id = _whole(entry, "id", least=None)
    if ids[repr(video_id)] > 1:
        raise SourceError(f"{ids[repr(video_id)]} videos have this id")
    height, width, length = (_whole(entry, key, least=1) for key in ("height", "width", "length"))
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise SourceError(f"{width}x{height} is more elongated than {MAX_ASPECT:g}:1, the limit")
    names = entry.get("file_names")
    if not isinstance(names, list) or len(names) != length:
        found = f"{len(names)} names" if isinstance(names, list) else f"{names!r:.50}"
        raise SourceError(f"length is {length}, but file_names has {found}")
    images = tuple(folder / _relative(name) for name in names)
    for image in images:
        check_header(image, (height, width))
    return Video(video_id, (height, width), images)


def _whole(entry: Mapping[str, Any], key: str, *, least: int | None) -> int:
    value = entry.get(key)
    # type() and not isinstance: JSON's true is an int in Python.
    too_large = type(value) is int and abs(value) >= 2**63
    if type(value) is not int or too_large or (least is not None and value < least):
        allowed = "a whole number" if least is None else f"a whole number from {least} on"
        raise SourceError(f"{key} is {value!r:.50}, expected {allowed}, of 64 bits")
    return value


def _relative(name: object) -> str:
    """A file name, if it is one that stays in its folder."""
    if not isinstance(name, str) or not name:
        raise SourceError(f"file_names has {name!r:.50}, expected names of files")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        found = shortened(repr(name))
        raise SourceError(f"file_names has {found}, which is absolute or has '..'")
    return name


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


def _id_of(entry: object) -> str:
    return f" (id {entry['id']!r:.50})" if isinstance(entry, dict) and "id" in entry else ""
