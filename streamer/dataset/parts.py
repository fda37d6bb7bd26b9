"""Results of finished videos, kept beside the results file until all are there."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

from streamer.dataset.images import fingerprint
from streamer.errors import ConfigError, SinkError, SourceError
from streamer.json_file import read_json
from streamer.output_path import replacing, write_whole, writing
from streamer.printable import shortened
from streamer.wire.fields import MAX_FLOAT

RECORD = "run.json"

OWN_FILES = re.compile(r"(run|-?\d+)\.(json|jsonl|images)(\.part)?")
"""The names that this job gives to files in its folder; a kill leaves those that end in .part."""

log = logging.getLogger(__name__)


class PartsFolder:
    """The folder ``<save_path>.parts``, with a file for each finished video.

    It is made at once. One that an earlier job left is gone on with, if its results depend on the
    same settings; damaged results in it are removed. A file appears in it once it is whole. Beside
    a video's results lies a fingerprint of the images that they were made of.

    Args:
        save_path: The results file to be.
        settings: What the results depend on, by name; JSON values.
        restart: Whether to forget what an earlier job left.

    Attributes:
        folder: Where it is.

    Raises:
        ConfigError: Videos are finished with other settings; the message names one of them.
        SinkError: The folder cannot be made, or is somebody else's.
        SourceError: The record of its settings is damaged.
    """

    def __init__(self, save_path: str, settings: Mapping[str, Any], *, restart: bool) -> None:
        self.folder = Path(save_path + ".parts")
        self._target = Path(save_path)
        record = self.folder / RECORD
        with writing(self.folder):
            if self.folder.exists() and not record.exists() and self._is_foreign():
                raise SinkError(
                    f"{self.folder}: is none of this job's folders, as it has no {RECORD}; "
                    "move it away"
                )
            if restart and record.exists():
                self._remove()
            self.folder.mkdir(exist_ok=True)
            if record.exists() and any(self._results()):
                self._compare(settings)
                self._remove_damaged()
        write_whole(record, json.dumps(settings, indent=1).encode("ascii"))

    def path(self, video_id: int) -> Path:
        """Where a video's results belong, a JSON list as in the results file."""
        return self.folder / f"{video_id}.json"

    def finished(self, video_id: int) -> bool:
        """Whether a video's results are there."""
        return self.path(video_id).exists()

    def note_images(self, video_id: int, images: Iterable[Path]) -> None:
        """Note what a video's images are; to be called before they are read.

        Raises:
            SinkError: It cannot be written.
        """
        write_whole(self._images(video_id), fingerprint(images).encode("ascii"))

    def forget_changed(self, video_id: int, images: Iterable[Path]) -> bool:
        """Remove a video's results, if they are there, unless they are of just these images.

        Returns:
            Whether they were removed.

        Raises:
            SinkError: They cannot be removed.
        """
        if not self.finished(video_id):
            return False
        noted = self._images(video_id)
        with writing(noted):
            if noted.exists() and noted.read_bytes() == fingerprint(images).encode("ascii"):
                return False
            self.path(video_id).unlink()
        return True

    def write(self, video_id: int, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write a video's results.

        Raises:
            SinkError: They cannot be written.
        """
        with replacing(self.path(video_id)) as partial, partial.open("w", encoding="ascii") as file:
            _dump(entries, file)

    def collect(self, video_ids: Iterable[int]) -> int:
        """Write the results file, replacing an earlier one, and remove the folder if possible.

        Args:
            video_ids: Of the finished videos, in the order of the file.

        Returns:
            How many entries were written.

        Raises:
            SinkError: It cannot be written.
            SourceError: A video's results are damaged.
        """
        with replacing(self._target) as partial, partial.open("w", encoding="ascii") as file:
            count = _dump((entry for each in video_ids for entry in self._entries(each)), file)
        try:
            with writing(self.folder):
                self._remove()
        except SinkError as error:  # which takes nothing from the results
            log.warning("the results of single videos stay, as they cannot be removed: %s", error)
        return count

    def _remove(self) -> None:
        """Remove the folder, the record last, which says whose it is should this break off.

        Raises:
            SinkError: Something else lies in it; nothing was removed.
        """
        files = list(self.folder.iterdir())
        for path in files:
            if not _is_own(path):
                raise SinkError(f"{path}: is none of this job's files; move it away")
        for path in sorted(files, key=lambda path: path.name == RECORD):
            path.unlink()
        self.folder.rmdir()

    def _images(self, video_id: int) -> Path:
        return self.folder / f"{video_id}.images"

    def _entries(self, video_id: int) -> list[Mapping[str, Any]]:
        try:
            return _read_entries(self.path(video_id))
        except SourceError as error:
            raise SourceError(f"{error}; remove it, or use --restart") from error

    def _is_foreign(self) -> bool:
        """Whether it holds more than a kill may leave before there is a record."""
        return any(path.name != f"{RECORD}.part" for path in self.folder.iterdir())

    def _results(self) -> Iterator[Path]:
        return (
            path for path in self.folder.glob("*.json") if path.name != RECORD and _is_own(path)
        )

    def _remove_damaged(self) -> None:
        """Forget results that are no video's entries, so that their videos are segmented again."""
        for path in list(self._results()):
            try:
                _read_entries(path)
            except SourceError as error:
                log.warning("%s; its video is segmented again", error)
                path.unlink()

    def _compare(self, settings: Mapping[str, Any]) -> None:
        record = self.folder / RECORD
        try:
            before, _ = read_json(record)
        except SourceError as error:
            raise SourceError(f"{error}; use --restart") from error
        if not isinstance(before, dict):
            raise SourceError(f"{record}: is no record of a job; use --restart")
        for name, value in settings.items():
            if before.get(name) != value:
                raise ConfigError(
                    f"{_difference(name, value, before.get(name))} for the videos that are "
                    f"finished in {self.folder}; allowed: the same, or --restart"
                )


def _is_own(path: Path) -> bool:
    return OWN_FILES.fullmatch(path.name) is not None and not path.is_dir()


def _read_entries(path: Path) -> list[Mapping[str, Any]]:
    """A finished video's results.

    Raises:
        SourceError: They are not there, or are no list of this video's entries.
    """
    entries, _ = read_json(path)
    if not isinstance(entries, list):
        raise SourceError(f"{path}: is no list")
    for entry in entries:
        if not _is_entry(entry, path.stem):
            raise SourceError(f"{path}: has {entry!r:.50}, which is no entry of its video")
    return entries


def _is_entry(entry: object, video_id: str) -> bool:
    return (
        isinstance(entry, dict)
        # By its repr, as true equals 1 and 1.0 does.
        and repr(entry.get("video_id")) == video_id
        and type(entry.get("category_id")) is int
        and type(entry.get("score")) in (int, float)
        and abs(entry["score"]) <= MAX_FLOAT  # which NaN and 1e400 are not
        and isinstance(entry.get("segmentations"), list)
    )


def _difference(name: str, value: object, before: object) -> str:
    """How a setting differs; of lists the first place where they do."""
    if isinstance(value, list) and isinstance(before, list):
        for place, (now, then) in enumerate(zip_longest(value, before)):
            if now != then:
                return _difference(f"{name}[{place}]", now, then)
    return f"{name} is {shortened(repr(value))}, but {shortened(repr(before))}"


def _dump(entries: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    """Write a JSON list, an entry a line; returns how many there were."""
    count = 0
    for entry in entries:
        file.write(",\n" if count else "[\n")
        json.dump(entry, file, allow_nan=False)
        count += 1
    file.write("\n]\n" if count else "[]\n")
    return count
