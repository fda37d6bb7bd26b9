"""Working through the videos of a data set, several at once, up to the first failure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from math import prod

import torch

from streamer.dataset.annotations import Video
from streamer.dataset.memory import MemoryGauge
from streamer.dataset.progress import DatasetProgress
from streamer.errors import DeviceError, SourceError, StreamError, UnforeseenError

log = logging.getLogger(__name__)


class _Stopped(Exception):  # noqa: N818 - an event, not an error
    """Raised in a video that is given up, because the job ends early."""


class DatasetJob:
    """Runs a function on videos; threads share the network.

    Args:
        segment: Called with a video and what it has to call for each frame that is done.
        device: Where the network runs.
        progress: Told of frames and videos.
        skip_bad: Whether a video that cannot be read is left out, and does not end the job.

    Attributes:
        skipped: A line about each video that was left out.
        signal: What `stop` was called with, or None.
    """

    def __init__(
        self,
        segment: Callable[[Video, Callable[[], None]], None],
        device: torch.device,
        progress: DatasetProgress,
        *,
        skip_bad: bool,
    ) -> None:
        self.skipped: list[str] = []
        self.signal: int | None = None
        self._segment = segment
        self._device = device
        self._progress = progress
        self._skip_bad = skip_bad
        self._stopping = False

    def run(self, videos: Sequence[Video], parallel: int | None, window: int) -> None:
        """Segment videos; returns when all are finished, or early after `stop`.

        Args:
            videos: What to segment.
            parallel: Videos at once; None takes what fits into memory, judged by the largest one.
            window: Frames in the network's window, which bound what a video needs at a time.

        Raises:
            SourceError: A video cannot be read, or failed in an unforeseen way.
            DeviceError: The device failed, or ran out of memory.
            SinkError: Results cannot be written.
        """
        remaining = list(videos)
        while parallel is None and remaining:
            largest = max(
                remaining, key=lambda video: prod(video.size) * min(window, len(video.images))
            )
            remaining.remove(largest)
            gauge, skipped = MemoryGauge(self._device), len(self.skipped)
            self._work([largest], 1)
            if len(self.skipped) == skipped:  # one that was left out says nothing of the others
                parallel = gauge.fitting()
                log.info("up to %d videos at once", parallel)
        self._work(remaining, parallel or 1)

    def stop(self, number: int) -> None:
        """End early: no video is begun, those under way end with their next frame or window.

        Takes no lock, so that a signal may call it.

        Args:
            number: Of the signal.
        """
        self.signal = number
        self._stopping = True

    def _work(self, videos: Sequence[Video], parallel: int) -> None:
        with ThreadPoolExecutor(parallel, "video") as pool:
            futures = [pool.submit(self._one, video) for video in videos]
            wait(futures)
        errors = [error for future in futures if (error := future.exception()) is not None]
        failures = [error for error in errors if not isinstance(error, _Stopped)]
        for later in failures[1:]:
            log.error("then also: %s", later)
        if failures:
            raise failures[0]

    def _one(self, video: Video) -> None:
        try:
            self._check_stopping()
            self._attempt(video)
        except BaseException:
            self._stopping = True  # here already, so that this thread begins no other
            raise
        self._progress.count_video()

    def _attempt(self, video: Video) -> None:
        name = f"video {video.video_id}"
        done = 0

        def count_frame() -> None:
            nonlocal done
            self._check_stopping()
            done += 1
            self._progress.count_frames()

        try:
            self._segment(video, count_frame)
        except UnforeseenError:
            raise  # by the decoder, which names the video
        except SourceError as error:
            line = f"{name}: {error}"
            if not self._skip_bad:
                raise SourceError(f"{line}; --skip_bad leaves such videos out") from error
            self.skipped.append(line)
            self._progress.count_frames(len(video.images) - done)
        except DeviceError as error:
            raise DeviceError(f"{name}: {error}") from error
        except (StreamError, _Stopped):
            raise
        except Exception as error:  # such as no memory for an image
            raise UnforeseenError(f"{name}: {type(error).__name__}: {error}") from error

    def _check_stopping(self) -> None:
        if self._stopping:
            raise _Stopped
