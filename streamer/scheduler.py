"""When a window is due, and which frames it holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import cycle, islice

from streamer.errors import ConfigError
from streamer.frame import Frame
from streamer.window import Window


class WindowScheduler:
    """Turns frames of one epoch into overlapping windows that cover every key frame.

    A window holds the newest `size` key frames. The first is due when `size` key frames are there
    (or after `stride` of them with `warm_up`, filled up cyclically as VisTR fills short clips),
    then one every `stride` key frames; `finish` gives one for what remains. With `grows`, a window
    that is due still takes the frames that wait already, up to `size` new ones: who is behind
    catches up by larger steps, before any frame has to be dropped, and by small ones again later.

    Args:
        size: Frames in a window.
        stride: New frames per window, from 1 to `size`.
        frame_step: Every how many-th frame of an epoch is a key frame.
        warm_up: Don't wait for a full window at the start (live sources).
        grows: Whether the stride grows up to `size` under load.

    Attributes:
        stride: New frames per window, without load.
        longest_stride: New frames per window at most.

    Raises:
        ConfigError: `stride` is larger than `size`.
    """

    def __init__(
        self,
        size: int,
        stride: int,
        frame_step: int = 1,
        *,
        warm_up: bool = False,
        grows: bool = False,
    ) -> None:
        if not 1 <= stride <= size:
            raise ConfigError(f"window.stride is {stride}; allowed: from 1 to {size}")
        self.stride = stride
        self.longest_stride = size if grows else stride
        self._size = size
        self._frame_step = frame_step
        self._first_due = stride if warm_up else size
        self._indices: deque[int] = deque(maxlen=size)
        self._new: list[Frame] = []
        self._frames = 0
        self._due = self._first_due

    @property
    def waiting(self) -> Sequence[Frame]:
        """The key frames that no window has held yet, oldest first."""
        return self._new

    def add(self, frame: Frame, *, more: bool = False) -> Window | None:
        """Take the epoch's next frame; returns a window if one is due with it.

        Args:
            frame: The frame.
            more: Whether another one waits already.
        """
        key = self._frames % self._frame_step == 0
        self._frames += 1
        if key:
            self._indices.append(frame.index)
            self._new.append(frame)
        # Also at frames in between: a window that `more` put off is due once nothing waits.
        if len(self._new) < self._due or (more and len(self._new) < self.longest_stride):
            return None
        return self._window(closing=False)

    def finish(self) -> Window | None:
        """End the epoch; returns the window of the key frames that none has held yet, if any."""
        window = self._window(closing=True) if self._new else None
        self._indices.clear()
        self._frames = 0
        self._due = self._first_due
        return window

    def _window(self, *, closing: bool) -> Window:
        real = tuple(self._indices)
        staying = 0 if closing else min(len(real), self._size - self.stride)
        window = Window(
            indices=tuple(islice(cycle(real), self._size)),
            length=len(real),
            new=tuple(self._new),
            leaving=len(real) - staying,
        )
        self._new.clear()
        self._due = self.stride
        return window
