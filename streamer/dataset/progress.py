"""What a terminal shows while a data set is worked through."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Self

from tqdm import tqdm

from streamer.dataset.annotations import Video


class DatasetProgress:
    """A bar over the frames of all videos, with the count of videos behind it.

    Args:
        finished: Videos that are finished already.
        remaining: Videos still to come.
        quiet: Show nothing; nor is anything shown where standard error is no terminal.
    """

    def __init__(self, finished: Sequence[Video], remaining: Sequence[Video], quiet: bool) -> None:
        before = sum(len(video.images) for video in finished)
        self._videos = len(finished)
        self._all_videos = len(finished) + len(remaining)
        self._lock = threading.Lock()
        self._bar = tqdm(
            total=before + sum(len(video.images) for video in remaining),
            initial=before,
            unit="frame",
            disable=quiet or None,
            dynamic_ncols=True,
            mininterval=0.5,
        )
        self._show_videos()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def count_frames(self, count: int = 1) -> None:
        """Count frames that are done with, from any thread."""
        with self._lock:
            self._bar.update(count)

    def count_video(self) -> None:
        """Count a video that is done with, from any thread."""
        with self._lock:
            self._videos += 1
            self._show_videos()

    def _show_videos(self) -> None:
        self._bar.set_postfix_str(f"{self._videos}/{self._all_videos} videos", refresh=False)
