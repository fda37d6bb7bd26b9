"""Batches for the steps of a training run, composed in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process, resource_tracker, set_forkserver_preload
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from streamer.errors import StreamError
from streamer.signals import SIGNALS
from training.clip import Clip
from training.targets import Batch

AHEAD = 4
"""Batches that each process has ready before they are asked for."""


class FeedError(StreamError):
    """A process that makes the batches failed, as for want of memory."""


class ClipSource(Protocol):
    """Where clips come from."""

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        """A clip of `size` (height, width) that shows some frames of what happens.

        `times`, ascending, says which; `rng` decides everything else.
        """
        ...


@runtime_checkable
class LeavingOut(Protocol):
    """A source that leaves out what it cannot use."""

    @property
    def left_out(self) -> Sequence[str]:
        """A line about each, in the order in which they were found."""
        ...

    def leave_out(self, line: str) -> None:
        """Count one that a copy of this source has found, unless it is known."""
        ...


@dataclass(frozen=True, slots=True)
class BatchShape:
    """Sizes of the batches.

    Attributes:
        frames: Frames T of a clip.
        window: Frames of the network's full window, T or more.
        pixels: Pixels of all frames of a batch together: as many clips as fit, at least one.
        short_sides: Shorter sides of the frames in pixels, one of them for each batch.
        aspects: Ratios of width to height, one of them for each batch.
        consecutive: Whether a clip's frames follow each other, from a random place of the window
            on; otherwise each has a place of its own, in order.
    """

    frames: int
    window: int
    pixels: int
    short_sides: Sequence[int]
    aspects: Sequence[float]
    consecutive: bool = False

    def places(self, rng: np.random.Generator) -> list[int]:
        """Places in the window, ascending, of a clip's frames."""
        if self.consecutive:
            first = int(rng.integers(self.window - self.frames + 1))
            return list(range(first, first + self.frames))
        return sorted(rng.choice(range(self.window), self.frames, replace=False).tolist())


def frame_size(short_side: int, aspect: float) -> tuple[int, int]:
    """(height, width) in pixels of frames whose width is `aspect` times their height."""
    long_side = round(short_side * max(aspect, 1 / aspect))
    return (short_side, long_side) if aspect >= 1 else (long_side, short_side)


class StepBatches(Dataset[Batch]):
    """The batch of each step: the same for the same seed and step, whatever came before.

    Args:
        source: Of the clips.
        shape: Of the batches.
        seed: Any integer from 0 on.
        steps: How many there are.

    Attributes:
        source: Of the clips.
    """

    def __init__(self, source: ClipSource, shape: BatchShape, seed: int, steps: int) -> None:
        self.source = source
        self._shape, self._seed, self._steps = shape, seed, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        shape = self._shape
        rng = np.random.default_rng((self._seed, step))
        size = frame_size(int(rng.choice(shape.short_sides)), float(rng.choice(shape.aspects)))
        count = max(1, shape.pixels // (shape.frames * size[0] * size[1]))
        times = [shape.places(rng) for _ in range(count)]
        clips = [self.source.draw(rng, [t - each[0] for t in each], size) for each in times]
        return Batch.of(clips, torch.from_numpy(np.array(times)))


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """What a process sends for a step.

    Attributes:
        batch: The batch, or why there is none.
        left_out: What this process has left out since it sent the one before.
    """

    batch: Batch | StreamError
    left_out: Sequence[str]


class _Sender(Dataset[_Sent]):
    """The batches as another process sends them: what it raised would arrive as a traceback."""

    def __init__(self, steps: StepBatches) -> None:
        self._steps = steps
        self._told = 0

    def __getitem__(self, step: int) -> _Sent:
        batch: Batch | StreamError
        try:
            batch = self._steps[step]
        except StreamError as error:
            batch = error
        except (RuntimeError, MemoryError, cv2.error) as error:
            batch = _failed(error)
        source = self._steps.source
        found = source.left_out if isinstance(source, LeavingOut) else ()
        new, self._told = found[self._told :], len(found)
        return _Sent(batch, new)


def batches(dataset: StepBatches, first: int, workers: int = 1) -> Iterator[Batch]:
    """The batches of the steps from `first` on, in order, composed by some processes.

    What these leave out, `dataset.source` counts here.

    Raises:
        StreamError: The next batch cannot be made.
        FeedError: A process failed.
    """
    # Forked off a process that has done the imports, which take seconds: forked off this one they
    # would wait for ever for the threads that OpenCV had before. That process imports from the
    # current folder first; a run that does not may find something else there of the same name.
    if sys.path[0] in ("", str(Path.cwd())):
        set_forkserver_preload(["training.sources"])
    loader = DataLoader(
        _Sender(dataset),
        batch_size=None,
        sampler=range(first, len(dataset)),
        num_workers=workers,
        prefetch_factor=AHEAD,
        worker_init_fn=_prepare,
        multiprocessing_context="forkserver",
    )
    # Closed, or the traceback of an error would keep the processes.
    with closing(_received(loader)) as received:
        for sent in received:
            for line in sent.left_out:
                cast("LeavingOut", dataset.source).leave_out(line)
            if isinstance(sent.batch, StreamError):
                raise sent.batch
            yield sent.batch


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Start processes that Ctrl-C and a closing terminal do not reach.

    The step that the run is at still needs them. SIGTERM, which PyTorch ends them by, reaches them
    once they have started.

    Told by themselves they would be late, and so would be the one that they are forked off, which
    takes seconds to start. What comes meanwhile reaches this thread at the end.
    """
    # To be started with the first process otherwise: it unblocks them for good (Python 3.11).
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _received(loader: DataLoader[_Sent]) -> Generator[_Sent]:
    try:
        with _signals_kept():
            sending = iter(loader)
        yield from sending
    # Of PyTorch, for a process that is gone, or of the connection to one that is just going.
    except (RuntimeError, OSError, EOFError) as error:
        raise _failed(error) from error


def _failed(error: Exception) -> FeedError:
    """The same in one line: PyTorch's may go on with a stack."""
    reason = (str(error).strip() or repr(error)).splitlines()[0]
    return FeedError(f"a process that makes the batches failed: {reason}")


def _prepare(_: int) -> None:
    # A killed run could not end it, and PyTorch sees only that the one it is forked off lives on.
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # The network's threads need the cores.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _end_with_the_run() -> None:
    run = parent_process()
    assert run is not None
    run.join()
    os._exit(1)
