"""Results of finished videos, kept beside the results file until all are there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from streamer.errors import ConfigError, SinkError, SourceError

RECORD = "run.json"


class PartsFolder:
    """The folder ``<save_path>.parts``, with a file for each finished video.

    It is made at once. One that an earlier job left is gone on with, if its results depend on the
    same settings. A file appears in it once it is whole.

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
        with _written(self.folder):
            if self.folder.exists() and not record.exists() and any(self.folder.iterdir()):
                raise SinkError(
                    f"{self.folder}: is none of this job's folders, as it has no {RECORD}; "
                    "move it away"
                )
            if restart and record.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(exist_ok=True)
            if record.exists() and self._any_finished():
                self._compare(settings)
        with _replacing(record) as file:
            json.dump(settings, file, indent=1)

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
        with _replacing(self.path(video_id)) as file:
            _dump(entries, file)

    def collect(self, video_ids: Iterable[int]) -> int:
        """Write the results file, replacing an earlier one, and remove the folder.

        Args:
            video_ids: Of the finished videos, in the order of the file.

        Returns:
            How many entries were written.

        Raises:
            SinkError: It cannot be written.
            SourceError: A video's results are damaged.
        """
        with _replacing(self._target) as file:
            count = _dump((entry for each in video_ids for entry in self._entries(each)), file)
        with _written(self.folder):
            shutil.rmtree(self.folder)
        return count

    def _entries(self, video_id: int) -> list[Mapping[str, Any]]:
        return list(_load(self.path(video_id)))

    def _any_finished(self) -> bool:
        return any(path.name != RECORD for path in self.folder.glob("*.json"))

    def _compare(self, settings: Mapping[str, Any]) -> None:
        before = dict(_load(self.folder / RECORD))
        for name, value in settings.items():
            if before.get(name) != value:
                raise ConfigError(
                    f"{name} is {value!r:.80}, but {before.get(name)!r:.80} for the videos that "
                    f"are finished in {self.folder}; allowed: the same, or --restart"
                )


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{path}: is damaged: {error}; remove it, or use --restart") from error


def _dump(entries: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    """Write a JSON list, an entry a line; returns how many there were."""
    count = 0
    for entry in entries:
        file.write(",\n" if count else "[\n")
        json.dump(entry, file, allow_nan=False)
        count += 1
    file.write("\n]\n" if count else "[]\n")
    return count


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A text file that gets its name only when it was written to the end."""
    partial = path.with_name(path.name + ".part")
    with _written(path):
        try:
            with partial.open("w", encoding="ascii") as file:
                yield file
            partial.replace(path)
        finally:
            with suppress(OSError):  # gone already where all went well
                partial.unlink()


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkError(f"{path}: {error.strerror}") from error
