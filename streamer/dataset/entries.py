"""The entries of YouTube-VIS files, checked alike by everyone who reads such files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from streamer.errors import SourceError
from streamer.frame import MAX_PIXELS
from streamer.json_file import read_json
from streamer.printable import shortened
from streamer.wire.fields import MAX_INTEGER

NAMING_KEYS = ("id", "video_id", "category_id")
"""What a message about an entry repeats of it."""


def read_lists(path: str | Path, *keys: str) -> dict[str, Any]:
    """The object in a JSON file, with a list under each of some keys.

    Raises:
        SourceError: The file cannot be read, is no object, or one of these is no list.
    """
    content, _ = read_json(path)
    if not isinstance(content, dict):
        raise SourceError(f"{path}: expected an object, found {type(content).__name__}")
    for key in keys:
        if not isinstance(content.get(key), list):
            raise SourceError(f"{path}: {key} is {content.get(key)!r:.60}, expected a list")
    return content


def named_entries(name: str, records: list[Any]) -> Iterator[Entry]:
    """The entries of a list; `name` is that of the list in messages."""
    for position, record in enumerate(records):
        keys = NAMING_KEYS if isinstance(record, dict) else ()
        naming = ", ".join(f"{key} {record[key]!r:.20}" for key in keys if key in record)
        yield Entry(f"{name}[{position}]" + f" ({naming})" * bool(naming), record)


def count_ids(records: list[Any]) -> Counter[str]:
    """How many objects of a list have each ``id``, by its repr, as 1, 1.0 and true are equal."""
    return Counter(repr(record.get("id")) for record in records if isinstance(record, dict))


@dataclass(frozen=True, slots=True)
class Entry:
    """A video, an annotation, a category or a result.

    Every method raises a ValueError, which does not name the entry, where what it reads is not
    there or not as it must be. The first to be called must be `integer` or one of the ids, which
    see that the entry is an object at all.

    Attributes:
        name: Its list and position, and its ids, for messages.
        record: What the file has.
    """

    name: str
    record: Any

    def integer(self, key: str) -> int:
        """A whole number."""
        if not isinstance(self.record, dict):
            raise ValueError(f"expected an object, found {self.record!r:.60}")
        value = self.record.get(key)
        # type() and not isinstance: JSON's true is an int in Python.
        if type(value) is not int or abs(value) > MAX_INTEGER:
            raise ValueError(f"{key} is {value!r:.60}, expected a whole number of 64 bits")
        return value

    def video_id(self, ids: Counter[str]) -> int:
        """The id of a video, which no other has: whose their objects are cannot be known.

        Args:
            ids: Of all videos, by `count_ids`.
        """
        value = self.integer("id")
        if ids[repr(value)] > 1:
            raise ValueError(f"{ids[repr(value)]} videos have this id")
        return value

    def new_id(self, taken: Container[int]) -> int:
        """The id of another entry, which none before it has."""
        value = self.integer("id")
        if value in taken:
            raise ValueError(f"id {value} is taken by an earlier entry")
        return value

    def frame_size(self) -> tuple[int, int]:
        """The (height, width) of a video's frames in pixels."""
        height, width = self.integer("height"), self.integer("width")
        if min(height, width) < 1 or height * width > MAX_PIXELS:
            raise ValueError(f"{width}x{height} pixels, allowed are 1 to {MAX_PIXELS}")
        return height, width

    def file_names(self) -> list[str]:
        """The names of a video's images; none leads out of the folder that they start from."""
        names = self.record.get("file_names")
        if not isinstance(names, list) or not names:
            raise ValueError(f"file_names is {names!r:.60}, expected a list of names")
        length = self.integer("length") if "length" in self.record else len(names)
        if length != len(names):
            raise ValueError(f"{len(names)} file_names, but length is {length}")
        for name in names:
            if not isinstance(name, str) or not name:
                raise ValueError(f"file_names has {name!r:.60}, expected names of files")
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                found = shortened(repr(name))
                raise ValueError(f"file_names has {found}, which is absolute or has '..'")
        return names

    def per_frame(self, key: str, frames: int) -> list[Any]:
        """A list of an object that has an element for each frame of its video."""
        values = self.record.get(key)
        if not isinstance(values, list):
            raise ValueError(f"{key} is {values!r:.60}, expected a list")
        if len(values) != frames:
            raise ValueError(f"{len(values)} {key}, the video has {frames} frames")
        return values

    def is_crowd(self) -> bool:
        """Whether an object is a group, not counted one by one."""
        crowd = self.record.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise ValueError(f"iscrowd is {crowd!r:.60}, expected 0 or 1")
        return bool(crowd)
