"""The frames of a run as a YouTube-VIS annotation file, which data-set tools take as input."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from streamer.errors import SinkError
from streamer.output import FrameResult, Output
from streamer.ring_buffer import RingBuffer
from streamer.sinks.images_sink import ImageFormat
from streamer.sinks.output_path import check_writable


class AnnotationSink:
    """Writes ``{"videos": [{"id", "width", "height", "file_names", "length"}]}``.

    File names are those of `ImagesSink`. A new frame size begins a new video entry, with the ids of
    the results file. The file appears under its name once the run has ended; one of an earlier run
    is removed at once.

    Args:
        path: The JSON file.
        image_format: Ending of the file names.

    Raises:
        SinkError: The file cannot be written.
    """

    def __init__(self, path: str, image_format: ImageFormat) -> None:
        check_writable(path)
        self._path = Path(path)
        # Written as the frames come, so that memory does not grow with the video.
        self._partial = self._path.with_name(self._path.name + ".part")
        self._image_format = image_format
        self._size: tuple[int, int] | None = None
        self._videos = 0
        self._length = 0
        try:
            self._path.unlink(missing_ok=True)
            self._file = self._partial.open("w", encoding="ascii")
            self._file.write('{"videos": [')
        except OSError as error:
            raise SinkError(f"{path}: {error.strerror}") from error

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Note the frames among the outputs until the buffer ends.

        Raises:
            SinkError: Something cannot be written.
        """
        try:
            for output in outputs:
                if isinstance(output, FrameResult):
                    self._add(output)
        except OSError as error:
            raise SinkError(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Finish the file.

        Raises:
            SinkError: It cannot be written.
        """
        try:
            with self._file:
                self._end_video()
                self._file.write("]}\n")
            self._partial.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                self._partial.unlink()
            raise SinkError(f"{self._path}: {error.strerror}") from error

    def _add(self, result: FrameResult) -> None:
        size = result.frame.epoch.size
        if size != self._size:
            self._end_video()
            self._begin_video(size)
        separator = ", " if self._length else ""
        self._file.write(f'{separator}"{result.frame.index}.{self._image_format}"')
        self._length += 1

    def _begin_video(self, size: tuple[int, int]) -> None:
        self._size = size
        self._videos += 1
        entry = json.dumps({"id": self._videos, "width": size[1], "height": size[0]})
        separator = ",\n" if self._videos > 1 else ""
        self._file.write(f'{separator}{entry[:-1]}, "file_names": [')

    def _end_video(self) -> None:
        if self._size is not None:
            self._file.write(f'], "length": {self._length}}}')
        self._length = 0
