"""Writes finished frames into MP4 files that stay readable whatever ends the process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from streamer.errors import SourceError
from streamer.frame import Frame
from streamer.output import FrameResult, Output
from streamer.output_path import check_writable
from streamer.ring_buffer import RingBuffer
from streamer.sink_config import Mp4Config
from streamer.sinks.drawing import render
from streamer.sinks.mp4_file import Mp4File
from streamer.sinks.output_spec import PictureStyle
from streamer.sinks.segments import Segments, segment_path

log = logging.getLogger(__name__)

BACK_S = 0.5
"""By so many seconds a file's timestamps may fall behind the run's time, as where frames have the
same one."""


class Mp4Sink:
    """An MP4 of the results, in one of the styles of `streamer.sinks.drawing`.

    Each segment has a file: ``out.mp4``, ``out.1.mp4``, …; a frame of another size always begins
    one. A run without frames writes none.

    Args:
        path: The file; an existing one is replaced when the first frame comes.
        style: How frames are shown.
        config: Encoding.
        open_source: Opens the file that the frames come from, whose sound goes with them; None for
            silence.
        segments: The run's, which number the files.

    Attributes:
        written: The files so far, without those that were moved meanwhile.

    Raises:
        SinkError: The file cannot be written.
    """

    def __init__(
        self,
        path: str,
        style: PictureStyle,
        config: Mp4Config,
        open_source: Callable[[], InputContainer] | None = None,
        segments: Segments | None = None,
    ) -> None:
        check_writable(path)
        self._path = Path(path)
        self._style = style
        self._config = config
        self._open_source = open_source
        self._segments = segments or Segments()
        self._number = 0
        self._file: Mp4File | None = None
        self._offset_s: float | None = None  # of the first timestamp from the run's time
        self.written: list[Path] = []

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Write the frames among the outputs until the buffer ends.

        Raises:
            SinkError: A file cannot be opened or written; what was written stays readable.
        """
        for output in outputs:
            if isinstance(output, FrameResult):
                image = render(output, self._style)
                file = self._file_for(image, output.frame)
                file.write(image, output.frame.time_s, output.frame.duration_s)
                self._segments.report(self._number, file.written_bytes)

    def close(self) -> None:
        """Finish the file that is open.

        Raises:
            SinkError: Its end cannot be written.
        """
        file, self._file = self._file, None
        if file is not None:
            if not file.is_in_place():
                self.written.remove(Path(file.path))
            file.close()

    def _file_for(self, image: NDArray[np.uint8], frame: Frame) -> Mp4File:
        number = self._segments.number(frame)
        if self._file is None or number != self._number:
            self.close()
            self._number = number
            path = segment_path(self._path, number)
            size, aspect = (image.shape[0], image.shape[1]), frame.epoch.pixel_aspect
            self._file = Mp4File(str(path), size, self._config, aspect)
            self.written.append(path)
            self._add_sound(self._file, frame)
        return self._file

    def _add_sound(self, file: Mp4File, first: Frame) -> None:
        if self._open_source is None or first.pts is None:
            return
        start_s = first.pts * first.time_base
        offset_s = float(start_s) - first.time_s
        if self._offset_s is None:
            self._offset_s = offset_s
        try:
            if offset_s < self._offset_s - BACK_S:  # the sound would be that of the time before
                raise LookupError("its timestamps begin anew")
            if not file.add_audio(self._open_source(), start_s):
                self._open_source = None  # nor is there any for the next
        except (SourceError, LookupError) as error:
            log.warning("%s: without sound: %s", file.path, error)
