"""One animation, GIF or WebP, that is written picture by picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
from streamer.output_path import replacing
from streamer.sink_config import PreviewConfig

TICKS_PER_S = 100
"""Resolution of the timestamps: GIF's own."""

SHORTEST_TICKS = 2
"""Shortest time for a frame: browsers show what lasts a tick for ten."""


class Animation:
    """One animated file that repeats for ever; it appears, or is replaced, once it is closed.

    Args:
        path: The file; its ending decides the format.
        config: Its width, and its rate, for how long the last frame is shown if that is not known.

    Raises:
        SinkError: It cannot be opened.
    """

    def __init__(self, path: str, config: PreviewConfig) -> None:
        self._path = Path(path)
        self._width = config.width
        self._is_gif = self._path.suffix.lower() == ".gif"
        self._palette: Graph | None = None
        self._last_pts = -SHORTEST_TICKS
        self._final_ticks = round(TICKS_PER_S / config.fps)
        self._stream: VideoStream | None = None
        name, options = "gif" if self._is_gif else "webp", {"loop": "0"}
        with self._translating(), ExitStack() as opened:
            partial = opened.enter_context(replacing(self._path))
            # Absolute: FFmpeg takes what precedes a colon for a protocol.
            self._container = av.open(str(partial.absolute()), "w", format=name, options=options)
            opened.enter_context(self._container)
            self._opened = opened.pop_all()

    def add(self, picture: NDArray[np.uint8], aspect: float, pts: int) -> None:
        """Append a uint8 [H, W, 3] RGB picture, shown from `pts` ticks on, unless it is too early.

        The first one decides the size. Pixels become square: `aspect` is their width by height.

        Raises:
            SinkError: It cannot be encoded or written.
        """
        if pts - self._last_pts < SHORTEST_TICKS:
            return
        self._last_pts = pts
        with self._translating():
            if self._stream is None:
                height, width = picture.shape[0], picture.shape[1] * aspect
                scale = min(1.0, self._width / width)
                self._stream = self._begin((_pixels(height * scale), _pixels(width * scale)))
            scaled = _fitted(picture, aspect, (self._stream.height, self._stream.width))
            frame = VideoFrame.from_ndarray(scaled, format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, TICKS_PER_S)
            if self._palette is None:
                self._mux(frame)
            else:
                self._palette.push(frame)

    def close(self, end_pts: int | None) -> None:
        """Write what is kept, and give the file its name.

        Args:
            end_pts: When the last picture's time is over; None where that is unknown.

        Raises:
            SinkError: It cannot be written.
        """
        with self._translating(), self._opened:
            if self._palette is not None:
                if end_pts is not None:
                    self._final_ticks = max(SHORTEST_TICKS, end_pts - self._last_pts)
                # In time: all pictures are kept until now, and so is the header.
                self._container.options["final_delay"] = str(self._final_ticks)
                self._palette.push(None)
                for frame in _pull(self._palette):
                    self._mux(frame)
            self._mux(None)

    def give_up(self) -> None:
        """Leave nothing of it, and an earlier file as it is."""
        with suppress(SinkError, FFmpegError), self._opened:
            raise SinkError(f"{self._path}: is not whole")

    def _begin(self, size: tuple[int, int]) -> VideoStream:
        codec, pix_fmt = ("gif", "pal8") if self._is_gif else ("libwebp_anim", "yuv420p")
        stream = cast(VideoStream, self._container.add_stream(codec, rate=TICKS_PER_S))
        stream.height, stream.width = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        self._palette = _palette_graph(size) if self._is_gif else None
        return stream

    def _mux(self, frame: VideoFrame | None) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(frame))

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (FFmpegError, OSError) as error:
            raise SinkError(f"{self._path}: {error.strerror or error}") from error


def _pixels(length: float) -> int:
    return max(1, round(length))


def _fitted(picture: NDArray[np.uint8], aspect: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture scaled to (height, width), in the middle of black where its shape is another."""
    height, width = picture.shape[0], picture.shape[1] * aspect
    scale = min(size[0] / height, size[1] / width)
    free = (size[0] - _pixels(height * scale), size[1] - _pixels(width * scale))
    # Rounding leaves at most one odd line for the same shape, which `// 2` ignores.
    top, left = (length // 2 for length in free)
    inner = (size[1] - 2 * left, size[0] - 2 * top)
    scaled = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    bordered = cv2.copyMakeBorder(scaled, top, top, left, left, cv2.BORDER_CONSTANT)
    return np.asarray(bordered, np.uint8)


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
