"""When the outputs of a run go on in other files: all of them at the same frame."""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from pathlib import Path

from streamer.frame import Frame
from streamer.output_path import writing

LONGEST_GAP_S = 6 * 3600.0
"""Longest time without a frame within a file, in seconds.

From one frame to the next an MP4 holds less than 2^31 ticks, which are 6.6 hours at 90 kHz.
"""


class Segments:
    """Numbers the files of outputs that go on for ever; one for all outputs of a run.

    A file ends where the size of frames or the shape of their pixels changes, where no frame came
    for `LONGEST_GAP_S`, after a time, and when one of them is full. The output that comes to a
    frame first decides; the others, on threads of their own, follow it at that frame. So the files
    with the same number hold the same frames, and a full one goes on up to where the output that is
    furthest ahead has come.

    Args:
        segment_s: Seconds of the run; the boundaries are its multiples, whatever else ends a file.
        segment_mb: Megabytes (10^6 bytes) that a file has when it is full.
        first: Number of the first file.
    """

    def __init__(
        self, segment_s: float | None = None, segment_mb: float | None = None, first: int = 0
    ) -> None:
        self.first = first
        self._segment_s = segment_s
        self._most_bytes = None if segment_mb is None else segment_mb * 1e6
        self._lock = threading.Lock()
        self._firsts: list[int] = []  # indices of the frames that begin another file
        self._latest = -1  # index of a frame
        self._latest_s = 0.0  # its time
        self._kind: tuple[object, ...] = ()  # what frames of one file have in common
        self._is_full = False

    @property
    def is_limited(self) -> bool:
        """Whether anything ends a file that is not a matter of its frames alone."""
        return self._segment_s is not None or self._most_bytes is not None

    def number(self, frame: Frame) -> int:
        """Which file a frame belongs into; each output asks for its frames in order."""
        with self._lock:
            if frame.index > self._latest:
                epoch = frame.epoch
                kind = (epoch.shape, self._time_segment(frame))
                is_late = frame.time_s - self._latest_s > LONGEST_GAP_S
                if self._latest >= 0 and (self._is_full or is_late or kind != self._kind):
                    self._firsts.append(frame.index)
                    self._is_full = False
                self._latest, self._latest_s, self._kind = frame.index, frame.time_s, kind
            return self.first + bisect_right(self._firsts, frame.index)

    def report(self, number: int, written_bytes: int) -> None:
        """Say how large the file with a number is by now."""
        if self._most_bytes is not None and written_bytes >= self._most_bytes:
            with self._lock:
                # What is ahead of this output has begun another one already, or is about to.
                self._is_full |= number == self.first + len(self._firsts)

    def _time_segment(self, frame: Frame) -> int:
        return 0 if self._segment_s is None else int(frame.time_s // self._segment_s)


def segment_path(path: Path, number: int) -> Path:
    """A segment of an output that goes on in other files: 2 of ``out.mp4`` is ``out.2.mp4``."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}") if number else path


def segment_pattern(path: Path) -> re.Pattern[str]:
    """The names of an output's numbered segments, the number as the first group."""
    return re.compile(rf"{re.escape(path.stem)}\.([0-9]+){re.escape(path.suffix)}")


def next_segment(path: Path) -> int:
    """The number behind those of an output's segments that are there; 0 where there is none.

    Raises:
        SinkError: The folder cannot be listed.
    """
    with writing(path.parent):
        names = [segment_pattern(path).fullmatch(other.name) for other in path.parent.iterdir()]
    numbers = [int(name[1]) for name in names if name]
    return max([*numbers, 0 if path.exists() else -1]) + 1
