"""A short animated preview, GIF or WebP, for web pages and chats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as NothingMore
from av.error import FFmpegError
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamer.errors import SinkError
from streamer.output import FrameResult, Output
from streamer.ring_buffer import RingBuffer
from streamer.sink_options import PreviewConfig
from streamer.sinks.drawing import render
from streamer.sinks.output_path import check_writable
from streamer.sinks.output_spec import PictureStyle

TICKS_PER_S = 100
"""Resolution of the timestamps: GIF's own."""


class PreviewSink:
    """The beginning of the results as an animation that repeats for ever.

    Frames of another size than the first are fitted into it. A GIF has one palette for all its
    frames: they are kept, scaled, until the end. A run without frames writes none.

    Args:
        path: The file, ``.gif`` or ``.webp``; an existing one is replaced.
        style: How frames are shown.
        config: Size, rate and duration.

    Raises:
        SinkError: The file cannot be written.
    """

    def __init__(self, path: str, style: PictureStyle, config: PreviewConfig) -> None:
        check_writable(path)
        self._path = path
        self._style = style
        self._config = config
        self._start_s = 0.0
        self._due_s = 0.0
        self._animation: _Animation | None = None

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Draw frames until the preview is long enough; takes the others until the buffer ends.

        Raises:
            SinkError: A frame cannot be encoded or written.
        """
        for output in outputs:
            if isinstance(output, FrameResult):
                self._add(output)

    def close(self) -> None:
        """Finish the file.

        Raises:
            SinkError: It cannot be written.
        """
        if self._animation is not None:
            self._animation.close()

    def _add(self, result: FrameResult) -> None:
        time_s = result.frame.time_s
        if self._animation is None:
            self._start_s = self._due_s = time_s
        early_s = self._due_s - time_s
        if early_s > 0.5 / TICKS_PER_S or time_s - self._start_s >= self._config.duration_s:
            return
        # Due times don't drift with the frames that happen to come a little late.
        self._due_s = max(self._due_s + 1 / self._config.fps, time_s - 1 / self._config.fps)
        picture = render(result, self._style)
        if self._animation is None:
            height, width = picture.shape[:2]
            scaled = min(width, self._config.width)
            size = (max(1, round(height * scaled / width)), scaled)
            self._animation = _Animation(self._path, size)
        self._animation.add(picture, round((time_s - self._start_s) * TICKS_PER_S))


class _Animation:
    """One animated file.

    Args:
        path: The file; its ending decides the format.
        size: (height, width) in pixels.
    """

    def __init__(self, path: str, size: tuple[int, int]) -> None:
        self._path = path
        self._size = size
        self._is_gif = Path(path).suffix.lower() == ".gif"
        name, codec, pix_fmt = (
            ("gif", "gif", "pal8") if self._is_gif else ("webp", "libwebp_anim", "yuv420p")
        )
        with self._translating():
            self._file = Path(path).open("wb")  # noqa: SIM115 - closed by close
            self._container = av.open(self._file, "w", format=name, options={"loop": "0"})
            self._stream = cast(VideoStream, self._container.add_stream(codec, rate=TICKS_PER_S))
            self._stream.height, self._stream.width = size
            self._stream.pix_fmt = pix_fmt
            self._stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
            self._palette = _palette_graph(size) if self._is_gif else None

    def add(self, picture: NDArray[np.uint8], pts: int) -> None:
        """Append a uint8 [H, W, 3] RGB picture of any size, shown from `pts` ticks on."""
        height, width = self._size
        scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        with self._translating():
            frame = VideoFrame.from_ndarray(np.asarray(scaled, np.uint8), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, TICKS_PER_S)
            if self._palette is None:
                self._container.mux(self._stream.encode(frame))
            else:
                self._palette.push(frame)

    def close(self) -> None:
        """Write what is kept, and close the file."""
        with self._translating(), self._file, self._container:
            if self._palette is not None:
                self._palette.push(None)
                for frame in _pull(self._palette):
                    self._container.mux(self._stream.encode(frame))
            self._container.mux(self._stream.encode(None))

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (FFmpegError, OSError) as error:
            raise SinkError(f"{self._path}: {error.strerror or error}") from error


def _palette_graph(size: tuple[int, int]) -> Graph:
    """A filter that maps frames to the 256 colours that suit them best.

    Source: FFmpeg's documentation of the filters ``palettegen`` and ``paletteuse``.
    """
    graph = Graph()
    source = graph.add_buffer(
        width=size[1],
        height=size[0],
        format=VideoFormat("rgb24"),
        time_base=Fraction(1, TICKS_PER_S),
    )
    split, sink = graph.add("split"), graph.add("buffersink")
    choose = graph.add("palettegen", "stats_mode=full")
    use = graph.add("paletteuse", "dither=none:diff_mode=rectangle")
    source.link_to(split)
    split.link_to(choose, 0, 0)
    split.link_to(use, 1, 0)
    choose.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph


def _pull(graph: Graph) -> Iterator[VideoFrame]:
    """The frames that a filter has ready."""
    while True:
        try:
            frame = graph.pull()
        except (NothingYet, NothingMore):
            return
        if isinstance(frame, VideoFrame):
            yield frame
