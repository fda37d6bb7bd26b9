"""A short animated preview, GIF or WebP, for web pages and chats."""

from __future__ import annotations

from pathlib import Path

from streamer.output import FrameResult, Output
from streamer.output_path import check_writable
from streamer.ring_buffer import RingBuffer
from streamer.sink_config import PreviewConfig
from streamer.sinks.animation import TICKS_PER_S, Animation
from streamer.sinks.drawing import render
from streamer.sinks.output_spec import PictureStyle


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
        self._animation: Animation | None = None
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
            self._animation = Animation(self._path, self._config)
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
