"""A short animated preview, GIF or WebP, for web pages and chats."""

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
from streamer.output import FrameResult, Output
from streamer.output_path import check_writable, replacing
from streamer.ring_buffer import RingBuffer
from streamer.sink_config import PreviewConfig
from streamer.sinks.drawing import render
from streamer.sinks.output_spec import PictureStyle

TICKS_PER_S = 100
"""Resolution of the timestamps: GIF's own."""

SHORTEST_TICKS = 2
"""Shortest time for a frame: browsers show what lasts a tick for ten."""


class PreviewSink:
    """The beginning of the results as an animation that repeats for ever.

    Frames of another shape than the first have black beside them. A GIF has one palette for all its
    frames: they are kept, scaled, until it is complete. libwebp shows the last picture of a WebP
    for the mean time of the others. A run without frames writes none.

    Args:
        path: The file, ``.gif`` or ``.webp``; it appears, or is replaced, once it is complete.
        style: How frames are shown.
        config: Size, rate and duration.

    Attributes:
        written: The file, once it is complete.

    Raises:
        SinkError: The file cannot be written.
    """

    def __init__(self, path: str, style: PictureStyle, config: PreviewConfig) -> None:
        check_writable(path)
        self._path = path
        self._style = style
        self._config = config
        self._start_s: float | None = None
        self._due_s = 0.0
        self._end_s: float | None = None  # of the newest frame, as far as it is known
        self._animation: _Animation | None = None
        self.written: list[Path] = []

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Draw frames until the preview is long enough, and finish it; take the others, too.

        Raises:
            SinkError: A frame cannot be encoded or written.
        """
        try:
            for output in outputs:
                if isinstance(output, FrameResult):
                    self._add(output)
        except BaseException:
            if self._animation is not None:
                self._animation.give_up()
                self._animation = None
            raise

    def close(self) -> None:
        """Finish the file, where the run ended before it was long enough.

        Raises:
            SinkError: It cannot be written.
        """
        animation, self._animation = self._animation, None
        if animation is not None:
            end_s = None if self._end_s is None else min(self._end_s, self._config.duration_s)
            animation.close(None if end_s is None else round(end_s * TICKS_PER_S))
            self.written.append(Path(self._path))

    def _add(self, result: FrameResult) -> None:
        if self._start_s is None:
            self._start_s = result.frame.time_s
            self._animation = _Animation(self._path, self._config)
        if self._animation is None:
            return  # long enough already
        time_s, shown_s = result.frame.time_s - self._start_s, result.frame.duration_s
        self._end_s = None if shown_s is None else time_s + shown_s
        if time_s >= self._config.duration_s:
            self.close()
        elif self._due_s - time_s <= 0.5 / TICKS_PER_S:
            # Due times don't drift with frames that come a little late, and don't catch up on
            # those that never came.
            interval_s = 1 / self._config.fps
            self._due_s += interval_s
            if self._due_s <= time_s:
                self._due_s = time_s + interval_s
            epoch = result.frame.epoch
            aspect = float(epoch.pixel_aspect)
            width = epoch.size[1] * aspect * (2 if self._style == "side_by_side" else 1)
            picture = render(result, self._style, min(1.0, self._config.width / width))
            self._animation.add(picture, aspect, round(time_s * TICKS_PER_S))


class _Animation:
    """One animated file.

    Args:
        path: The file; its ending decides the format.
        config: Its width, and its rate, for how long the last frame is shown if that is not known.
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
