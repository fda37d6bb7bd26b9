"""The frames of a run as a YouTube-VIS annotation file, which data-set tools take as input."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from pathlib import Path

from streamer.errors import SinkError
from streamer.output import FrameResult, Output, StreamInfo
from streamer.output_path import behind_link, check_writable, replacing, writing
from streamer.ring_buffer import RingBuffer
from streamer.sinks.images_sink import ImageFormat


class AnnotationSink:
    """Writes ``{"videos": [{"id", "width", "height", "file_names", "length"}]}``.

    File names are those of `ImagesSink`. A new frame size or pixel shape begins a new video entry,
    with the ids of the results file (of a live source whose JSON lines are split, each part has
    entries of its own besides). The file appears under its name once the run has ended, if all
    could be written; one of an earlier run is removed when this one begins, with its `StreamInfo`.

    Args:
        path: The JSON file.
        image_format: Ending of the file names.

    Attributes:
        written: The file, once it is complete.

    Raises:
        SinkError: The file cannot be written.
    """

    def __init__(self, path: str, image_format: ImageFormat) -> None:
        check_writable(path)
        self._path = Path(path)
        self._image_format = image_format
        self._shape: tuple[object, ...] = ()  # of the frames of the newest video entry
        self._videos = 0
        self._length = 0
        self._is_kept = False  # once the run has begun, unless a part is lost
        self.written: list[Path] = []
        with ExitStack() as opened:
            # Written as the frames come, so that memory does not grow with the video.
            partial = opened.enter_context(replacing(self._path))
            self._file = opened.enter_context(partial.open("w", encoding="ascii"))
            self._file.write('{"videos": [')
            self._opened = opened.pop_all()

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Note the frames among the outputs until the buffer ends.

        Raises:
            SinkError: Something cannot be written.
        """
        try:
            with writing(self._path):
                for output in outputs:
                    if isinstance(output, StreamInfo):
                        behind_link(self._path).unlink(missing_ok=True)
                        self._is_kept = True
                    elif isinstance(output, FrameResult):
                        self._add(output)
        except BaseException:
            self._is_kept = False
            raise

    def close(self) -> None:
        """Finish the file, or leave none where a part of it is lost or the run did not begin.

        Raises:
            SinkError: It cannot be written.
        """
        if not self._is_kept:
            with suppress(SinkError), self._opened:
                raise SinkError(f"{self._path}: is not whole")  # as `drain` has told
            return
        with self._opened:
            self._end_video()
            self._file.write("]}\n")
        self.written.append(self._path)

    def _add(self, result: FrameResult) -> None:
        epoch = result.frame.epoch
        if epoch.shape != self._shape:
            self._end_video()
            self._shape = epoch.shape
            self._begin_video(epoch.size)
        separator = ", " if self._length else ""
        self._file.write(f'{separator}"{result.frame.index}.{self._image_format}"')
        self._length += 1

    def _begin_video(self, size: tuple[int, int]) -> None:
        self._videos += 1
        entry = json.dumps({"id": self._videos, "width": size[1], "height": size[0]})
        separator = ",\n" if self._videos > 1 else ""
        self._file.write(f'{separator}{entry[:-1]}, "file_names": [')

    def _end_video(self) -> None:
        if self._videos:
            self._file.write(f'], "length": {self._length}}}')
        self._length = 0
