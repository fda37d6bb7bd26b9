"""Writes results as JSON lines while they come, and as a YouTube-VIS results file at the end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal, TextIO

from streamer.errors import SinkError
from streamer.mask import rle_as_json
from streamer.output import EndOfStream, FrameResult, Gap, Instance, Output, StreamInfo
from streamer.output_path import behind_link, check_writable, is_in_place, open_alone, writing
from streamer.result_lines import SCHEMA, VERSION
from streamer.results import write_results
from streamer.ring_buffer import RingBuffer
from streamer.sinks.segments import Segments, segment_path


def lines_path(path: str) -> str:
    """Where the JSON lines of a results file lie: beside it, as ``.jsonl``.

    Raises:
        SinkError: That would be the results file itself, or standard output.
    """
    if path == "-":
        raise SinkError(
            "-: results do not go to standard output; name a file r.json, and follow r.jsonl "
            "(tail -F)"
        )
    lines = str(Path(path).with_suffix(".jsonl"))
    if lines == str(Path(path)):
        raise SinkError(f"{path}: is where the JSON lines go; name the results file otherwise")
    return lines


class ResultsSink:
    """A record of the results: JSON lines, one per frame, and the file assembled from them.

    The lines, which ``docs/wire-format.md`` describes, are flushed as they are written.

    Args:
        path: The YouTube-VIS results file. One left by an earlier run is removed when this run
            begins (its `StreamInfo` comes), so that it cannot be taken for this run's.
        lines_only: Whether to leave it at the JSON lines, and assemble nothing from them.
        first_video_id: Of the first video entry.
        segments: The run's: where they are limited, the lines go on in other files with the
            numbers of the segments, ``.1.jsonl``, ``.2.jsonl``, …, each of which begins with a
            ``video``; None for never. Not where the results file is assembled from them.

    Attributes:
        written: The files of lines so far, without those that were moved meanwhile, and the
            results file once it is complete.

    Raises:
        SinkError: A file cannot be written.
    """

    def __init__(
        self,
        path: str,
        *,
        lines_only: bool,
        first_video_id: int = 1,
        segments: Segments | None = None,
    ) -> None:
        check_writable(path)
        self._path = path
        self._lines_only = lines_only
        is_split = segments is not None and segments.is_limited and lines_only
        self._segments = segments if is_split else None
        self._number = 0 if self._segments is None else self._segments.first
        self._info: StreamInfo | None = None
        self._shape: tuple[object, ...] = ()  # of the frames of the newest video entry
        self._video_id = first_video_id - 1
        self.written: list[Path] = []
        self._lines = self._open("a")  # what an earlier run wrote stays until this one begins

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Write outputs until the buffer ends.

        Raises:
            SinkError: Something cannot be written; the lines before it stay.
        """
        for output in outputs:
            match output:
                case StreamInfo():
                    self._begin(output)
                case FrameResult():
                    self._write_frame(output)
                case Gap(epoch):
                    self._write(
                        type="gap",
                        epoch=epoch.index,
                        reason=epoch.reason,
                        missing=epoch.missing,
                    )
                case EndOfStream() if self._info is not None:
                    self._write(
                        type="end",
                        reason=output.reason,
                        frames=output.frames,
                        dropped=output.dropped,
                    )

    def close(self) -> None:
        """Close the JSON lines, and assemble the results file from them, if there is to be one.

        Of a run that did not begin nothing is written.

        Raises:
            SinkError: Something cannot be written; the lines before it stay.
        """
        try:
            with writing(self._lines_path):
                self._lines.flush()
            if self._info is not None and not self._lines_only:
                # Before the lines are another run's to write.
                write_results(str(self._lines_path), self._path)
                self.written.append(Path(self._path))
        finally:
            self._close()

    def _open(self, mode: Literal["a", "w"]) -> TextIO:
        self._lines_path = segment_path(Path(lines_path(self._path)), self._number)
        with writing(self._lines_path):
            return open(self._lines_path, mode, encoding="utf-8", newline="\n", opener=open_alone)

    def _begin(self, info: StreamInfo) -> None:
        if not self._number:
            with writing(self._path):
                behind_link(Path(self._path)).unlink(missing_ok=True)
        with writing(self._lines_path):
            if self._lines.seekable() and self._lines.tell():  # a pipe has nothing to empty
                self._lines.truncate(0)
        self._info = info
        self.written.append(self._lines_path)

    def _close(self) -> None:
        if self._info is not None and not is_in_place(self._lines.fileno(), self._lines_path):
            self.written.remove(self._lines_path)
        with writing(self._lines_path):
            self._lines.close()

    def _go_on(self, number: int) -> None:
        self._close()
        self._number = number
        self._lines = self._open("w")
        self.written.append(self._lines_path)
        self._shape = ()  # for a new video entry

    def _write_frame(self, result: FrameResult) -> None:
        frame = result.frame
        number = self._number if self._segments is None else self._segments.number(frame)
        if number != self._number:
            self._go_on(number)
        if frame.epoch.shape != self._shape:
            self._shape = frame.epoch.shape
            self._begin_video(frame.epoch.size)
        self._write(
            type="frame",
            video_id=self._video_id,
            frame=frame.index,
            epoch=frame.epoch.index,
            pts=frame.pts,
            time_base=[frame.time_base.numerator, frame.time_base.denominator],
            time_s=round(frame.time_s, 6),
            capture_unix_ns=frame.capture_unix_ns,
            capture_clock=frame.capture_clock,
            interpolated=result.interpolated,
            dropped=result.dropped,
            instances=[self._as_json(instance) for instance in result.instances],
        )
        if self._segments is not None:
            self._segments.report(number, os.fstat(self._lines.fileno()).st_size)

    def _begin_video(self, size: tuple[int, int]) -> None:
        if self._info is None:
            raise ValueError("the stream's info comes before its first frame")
        self._video_id += 1
        self._write(
            type="video",
            schema=SCHEMA,
            version=VERSION,
            video_id=self._video_id,
            size=list(size),
            stream=self._info.stream,
            run=self._info.run,
            categories=list(self._info.categories),
            masks=self._info.masks,
        )

    def _write(self, **fields: Any) -> None:
        line = json.dumps(fields, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        with writing(self._lines_path):
            self._lines.write(line + "\n")
            self._lines.flush()

    def _as_json(self, instance: Instance) -> dict[str, Any]:
        has_mask = self._info is not None and self._info.masks
        return {
            "track_id": instance.track_id,
            "category_id": instance.category_id,
            "category": instance.category,
            "score": round(float(instance.score), 6),
            "bbox": list(instance.bbox_xywh),
            "area": instance.segment.area,
            "segmentation": rle_as_json(instance.segment.rle()) if has_mask else None,
        }
