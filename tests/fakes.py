"""Stand-ins at the project's Protocols: a source of made frames, a predictor, a sink."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from streamer.errors import SourceError
from streamer.frame import Epoch, Frame
from streamer.output import Output
from streamer.ring_buffer import RingBuffer
from streamer.sources.media import SourceCounts
from streamer.window import Prediction, Window
from tests.frames import make_epoch, make_frame
from tests.waits import PATIENCE_S


class FakeSource:
    """Gives frames; then ends, raises, or blocks until interrupted.

    Args:
        count: Frames before that.
        then: What happens after them.
        epochs: Epoch of each frame; None is one epoch.
        lost_before: Frames before which it is lost, until `found` is set.
    """

    def __init__(
        self,
        count: int,
        then: str = "finishes",
        epochs: Callable[[int], Epoch] | None = None,
        lost_before: Collection[int] = (),
    ) -> None:
        self.name = "fake"
        self.live = False
        self.expected_frames: int | None = count
        self.counts = SourceCounts()
        self.given = 0
        self.closed = threading.Event()
        self.blocked = threading.Event()
        self.interrupted = threading.Event()
        self._count = count
        self._then = then
        self._lost_before = lost_before
        self.found = threading.Event()
        epoch = make_epoch()
        self._epochs = epochs or (lambda _: epoch)

    def __iter__(self) -> Iterator[Frame | None]:
        for index in range(self._count):
            if index in self._lost_before:
                yield None
                assert self.found.wait(PATIENCE_S)
                self.found.clear()
            self.given += 1
            yield make_frame(index, self._epochs(index))
        if self._then == "raises":
            raise SourceError("fake: the camera caught fire")
        if self._then == "blocks":
            self.blocked.set()
            assert self.interrupted.wait(PATIENCE_S), "nobody interrupted the source"

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed.set()


class StuckSource:
    """A device whose read returns only when told to; never closed by anyone else.

    Args:
        error: What the read raises instead.
    """

    name = "stuck"
    counts = SourceCounts()

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.reading, self.unplugged = threading.Event(), threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        self.reading.set()
        if self.error is not None:
            raise self.error
        assert self.unplugged.wait(PATIENCE_S)
        yield from ()

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed.set()


class OneObject:
    """Predicts one object that fills the left half, in every window; raises or blocks if told to.

    Args:
        then: ``raises`` or ``blocks`` in the window number `at`.
    """

    def __init__(self, then: str = "finishes", at: int = 0) -> None:
        self.windows: list[Window] = []
        self.prepared: list[list[int]] = []
        self.closed = False
        self.blocked = threading.Event()
        self.release = threading.Event()
        self._then = then
        self._at = at

    def encode_ahead(self, waiting: Sequence[Frame]) -> None:
        self.prepared.append([frame.index for frame in waiting])

    def predict(self, window: Window) -> Prediction:
        self.windows.append(window)
        if len(self.windows) == self._at + 1:
            if self._then == "raises":
                raise RuntimeError("the network fell over")
            if self._then == "blocks":
                self.blocked.set()
                assert self.release.wait(PATIENCE_S), "nobody released the predictor"
        frames = window.length
        masks = np.full((frames, 1, 12, 16), -4, np.float32)
        masks[..., :8] = 4
        return Prediction(
            scores=np.array([0.9], np.float32),
            class_votes=np.array([[0, 1]], np.float32),
            embeddings=np.array([[1, 0]], np.float32),
            boxes=np.tile(np.array([0.25, 0.5, 0.5, 1], np.float32), (frames, 1, 1)),
            presence=np.ones((frames, 1), np.bool_),
            masks=masks,
            colours=np.zeros((frames, 1, 0), np.float32),
        )

    def close(self) -> None:
        self.closed = True


class FakeSink:
    """Keeps outputs; raises or blocks at the first frame if told to."""

    def __init__(self, then: str = "finishes") -> None:
        self.got: list[Output] = []
        self.closed = False
        self.blocked = threading.Event()
        self.release = threading.Event()
        self._then = then

    def drain(self, outputs: RingBuffer[Output]) -> None:
        for output in outputs:
            if self._then == "raises" and self.got:
                raise OSError("disk full")
            if self._then == "blocks" and self.got:
                self.blocked.set()
                assert self.release.wait(PATIENCE_S), "nobody released the sink"
            self.got.append(output)

    def close(self) -> None:
        self.closed = True
