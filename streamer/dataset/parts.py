"""Results of finished videos, kept beside the results file until all are there."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from streamer.errors import ConfigError, SinkError, SourceError
from streamer.json_file import read_json
from streamer.output_path import replacing, write_whole, writing

RECORD = "run.json"

log = logging.getLogger(__name__)


class PartsFolder:
    """The folder ``<save_path>.parts``, with a file for each finished video.

    It is made at once. One that an earlier job left is gone on with, if its results depend on the
    same settings; damaged results in it are removed. A file appears in it once it is whole.

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
            if record.exists() and self._any_finished():
                self._compare(settings)
                self._remove_damaged()
        write_whole(record, json.dumps(settings, indent=1).encode("ascii"))

    def path(self, video_id: int) -> Path:
        """Where a video's results belong, a JSON list as in the results file."""
        return self.folder / f"{video_id}.json"

    def finished(self, video_id: int) -> bool:
        """Whether a video's results are there."""
        return self.path(video_id).exists()

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
            self._remove()
        except OSError as error:  # which takes nothing from the results
            log.warning("%s: cannot be removed: %s", self.folder, error.strerror or error)
        return count

    def _remove(self) -> None:
        """Remove the folder, the record last, which says whose it is should this break off."""
        for path in self.folder.iterdir():
            if path.name != RECORD:
                path.unlink()
        shutil.rmtree(self.folder)

    def _entries(self, video_id: int) -> list[Mapping[str, Any]]:
        return list(_load(self.path(video_id), "remove it, or use --restart"))

    def _is_foreign(self) -> bool:
        """Whether it holds more than a kill may leave before there is a record."""
        return any(path.name != f"{RECORD}.part" for path in self.folder.iterdir())

    def _any_finished(self) -> bool:
        return any(self._results())

    def _results(self) -> Iterator[Path]:
        return (path for path in self.folder.glob("*.json") if path.name != RECORD)

    def _remove_damaged(self) -> None:
        """Forget results that are no JSON list, so that their videos are segmented again."""
        for path in list(self._results()):
            try:
                reason = None if isinstance(read_json(path)[0], list) else f"{path}: is no list"
            except SourceError as error:
                reason = str(error)
            if reason is not None:
                log.warning("%s; its video is segmented again", reason)
                path.unlink()

    def _compare(self, settings: Mapping[str, Any]) -> None:
        before = _load(self.folder / RECORD, "use --restart")
        if not isinstance(before, dict):
            raise SourceError(f"{self.folder / RECORD}: is no record of a job; use --restart")
        for name, value in settings.items():
            if before.get(name) != value:
                raise ConfigError(
                    f"{name} is {value!r:.80}, but {before.get(name)!r:.80} for the videos that "
                    f"are finished in {self.folder}; allowed: the same, or --restart"
                )


@contextmanager
def only_job(save_path: str) -> Iterator[None]:
    """Keep other jobs away from a results file and its parts.

    Raises:
        SinkError: Another job is at work there, or the lock beside the file cannot be made, or is
            a file with a content, of somebody else.
    """
    lock = Path(save_path + ".lock")
    with ExitStack() as held:
        with writing(lock):
            file = held.enter_context(lock.open("a"))
            while not _locked(file, save_path):
                file = held.enter_context(lock.open("a"))
            if os.fstat(file.fileno()).st_size:
                raise SinkError(f"{lock}: is no lock of this job, it has a content; move it away")
        try:
            yield
        finally:
            with writing(lock):
                lock.unlink(missing_ok=True)


def _locked(file: TextIO, save_path: str) -> bool:
    """Lock it; returns whether it still is what others would find under its name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SinkError(f"{save_path}: another job is at work on it") from None
    except OSError as error:  # this file system has no locks
        log.warning(
            "%s: cannot be locked: %s; see that no other job writes the same results",
            *(file.name, error.strerror),
        )
    # A job that was ending may have removed it since it was opened.
    return os.fstat(file.fileno()).st_nlink > 0


def _load(path: Path, advice: str) -> Any:
    try:
        return read_json(path)[0]
    except SourceError as error:
        raise SourceError(f"{error}; {advice}") from error


def _dump(entries: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    """Write a JSON list, an entry a line; returns how many there were."""
    count = 0
    for entry in entries:
        file.write(",\n" if count else "[\n")
        json.dump(entry, file, allow_nan=False)
        count += 1
    file.write("\n]\n" if count else "[]\n")
    return count
