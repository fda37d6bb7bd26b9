"""Clips of a data set in YouTube-VIS's layout: a JSON file, and folders of images."""

from __future__ import annotations

import logging
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from copy import copy
from pathlib import Path

import numpy as np
from torch.utils.data import get_worker_info

from streamer.dataset.entries import count_ids, named_entries, read_lists
from streamer.errors import SourceError
from training.clip import Clip
from training.youtube_vis_clip import draw_clip
from training.youtube_vis_entries import (
    LabelledVideo,
    UnusableError,
    named_video,
    read_object,
    read_video,
)

EMPTY = "no segmentation"
"""Why an annotation without any mask is left out: it takes nothing from its video."""

STRAY = "annotation of no known video, which stays without it"
"""Why an annotation is left out whose video cannot be."""

ALWAYS_SKIPPED = ("crowd region", EMPTY)
"""Reasons that are no error: the published data has such annotations."""

PLACES = 2**32
"""Of videos beside each other, the first of which are held out."""

log = logging.getLogger(__name__)


class YouTubeVis:
    """The videos of a YouTube-VIS 2019 or 2021 file, as clips to train on.

    Images are read when a clip is drawn; masks stay run lengths until then. A mask of a frame may
    be compressed or uncompressed RLE, or polygons; null or ``[]`` is "not visible".

    Bad entries are errors, or with `skip_bad` left out. ``skipped`` counts them by reason, and the
    log has one warning for each reason, with its first entry:

    - ``malformed video``, ``missing image``: the whole video; images are only seen to be there.
    - ``malformed annotation``, ``category out of range``, ``no such video`` (or one that is left
      out), ``unusable mask`` (malformed, or not of the video's size).
    - ``annotation of no known video, which stays without it``: it does not say which one.
    - ``unusable image`` (damaged, or not of the video's size): found when it is drawn; the clip
      then comes from the next video. Each image counts once.
    - ``crowd region``, ``no segmentation`` (no pixel in any frame): no error, always left out.
    - ``video without all labels``: an annotation of a video was bad, or all its objects were crowd
      regions. It would teach that what it shows is nothing. Videos without any annotation teach
      just that, and stay; so do those with a crowd region beside others.

    Args:
        annotations: The JSON file.
        images: The folder that the videos' ``file_names`` start from.
        categories: The category ids are 1 to this.
        skip_bad: Leave bad entries out; otherwise the first one is an error.

    Attributes:
        path: The JSON file.

    Raises:
        SourceError: The file or the folder cannot be read, an entry is bad, or no video is left.
    """

    def __init__(
        self,
        annotations: Path,
        images: Path,
        *,
        categories: int,
        skip_bad: bool = False,
    ) -> None:
        if not images.is_dir():
            raise SourceError(f"{images}: is not a folder")
        self.skipped: Counter[str] = Counter()
        self.path = annotations
        self._images = images
        self._skip_bad = skip_bad
        self._examples: dict[str, str] = {}
        self._unusable_images: dict[str, None] = {}  # a set in order
        self._kind = "video"
        self._videos = self._read(images, categories)
        for reason in self.skipped:
            self._warn(reason)
        if not self._videos:
            raise SourceError(f"{annotations}: there is no video to train on")

    def __len__(self) -> int:
        """How many videos there are."""
        return len(self._videos)

    def clip(
        self, index: int, frames: int, size: tuple[int, int] | None, rng: np.random.Generator
    ) -> Clip:
        """Draw a clip: consecutive frames from a random one on.

        A shorter video is repeated cyclically from any of its frames on. The clip depends on the
        arguments and the files alone.

        Args:
            index: Of the video, from 0, in the file's order.
            frames: Of the clip.
            size: (height, width) of the clip in pixels; None keeps the video's. A pixel belongs to
                a mask that is scaled down if at least half of its area does.
            rng: Decides where the clip starts.

        Returns:
            The clip, with the objects that have a pixel in it, in the file's order.

        Raises:
            SourceError: An image is damaged or not of its video's size; with `skip_bad`, in every
                video.
            IndexError: There is no such video.
        """
        first = range(len(self))[index]
        for position in (*range(first, len(self)), *range(first)):
            labelled = self._videos[position]
            try:
                return draw_clip(labelled, frames, size, rng)
            except SourceError as error:
                line = f"{self.path}: video {labelled.video.video_id}: {error}"
                if not self._skip_bad:
                    raise SourceError(line) from error
                self.leave_out(line)
        raise SourceError(f"{self.path}: no {self._kind} is left whose images can be read")

    def split(self, every: int) -> tuple[YouTubeVis, YouTubeVis]:
        """The videos to train on, and about one in `every` that is held out; one at least of each.

        Other videos and other ids change nothing of which part a video is in, unless that would be
        empty; more are held out of the same ones where `every` is smaller.

        Raises:
            SourceError: There is one video only.
        """
        if len(self) < 2:
            raise SourceError(f"{self.path}: one video only; val_annotations needs another")
        places = [self._place(video) for video in self._videos]
        count = sum(place * every < PLACES for place in places)
        held = np.argsort(places, kind="stable")[: min(max(count, 1), len(self) - 1)].tolist()
        parts = copy(self), copy(self)
        for is_held, part in enumerate(parts):
            part._videos = [
                video for i, video in enumerate(self._videos) if (i in held) == bool(is_held)
            ]
            part.skipped, part._examples = Counter(self.skipped), dict(self._examples)
            part._unusable_images = {}
            part._kind = "held-out video" if is_held else "video to train on"
        return parts

    def _place(self, labelled: LabelledVideo) -> int:
        """Where a video is among the `PLACES`, by the name of its first image."""
        return zlib.crc32(os.fsencode(labelled.video.images[0].relative_to(self._images)))

    def object_counts(self) -> dict[int, int]:
        """How many objects each video has, by its id."""
        return {each.video.video_id: len(each.objects) for each in self._videos}

    @property
    def left_out(self) -> Sequence[str]:
        """A line about each unusable image that was drawn, in the order of the first time."""
        return list(self._unusable_images)

    def leave_out(self, line: str) -> None:
        """Count an unusable image, here or where a copy of this object draws; each one once."""
        if line not in self._unusable_images:
            self._unusable_images[line] = None
            self._count("unusable image", line)
            # The process that trains says it, not those that draw for it.
            if len(self._unusable_images) == 1 and get_worker_info() is None:
                self._warn("unusable image")

    def _read(self, images: Path, categories: int) -> list[LabelledVideo]:
        content = read_lists(self.path, "videos", "annotations")
        videos: dict[int, LabelledVideo] = {}
        ids = count_ids(content["videos"])
        for entry in named_entries(f"{self.path}: videos", content["videos"]):
            try:
                video = read_video(entry, images, ids)
                videos[video.video_id] = LabelledVideo(video)
            except UnusableError as error:
                self._refuse(entry.name, error, error.reason)
        taken: set[int] = set()
        faulty: set[int | None] = set()  # ids of videos
        crowds: set[int | None] = set()
        for entry in named_entries(f"{self.path}: annotations", content["annotations"]):
            try:
                found = read_object(entry, videos, categories, taken)
                taken.add(entry.record["id"])
                videos[entry.record["video_id"]].objects.append(found)
            except UnusableError as error:
                video_id = named_video(entry.record)
                self._refuse(entry.name, error, STRAY if video_id is None else error.reason)
                if error.reason != EMPTY:
                    (crowds if error.reason in ALWAYS_SKIPPED else faulty).add(video_id)
        for video_id, labelled in list(videos.items()):
            if video_id in faulty or (video_id in crowds and not labelled.objects):
                self._count("video without all labels", f"{self.path}: video {video_id}")
                del videos[video_id]
        return list(videos.values())

    def _refuse(self, name: str, error: UnusableError, reason: str) -> None:
        """Count an entry that cannot be used, or raise where that is an error."""
        line = f"{name}: {error}"
        if reason not in ALWAYS_SKIPPED and not self._skip_bad:
            raise SourceError(line) from error
        self._count(reason, line)

    def _count(self, reason: str, line: str) -> None:
        self.skipped[reason] += 1
        self._examples.setdefault(reason, line)

    def _warn(self, reason: str) -> None:
        count, example = self.skipped[reason], self._examples[reason]
        log.warning("left out: %s, %d so far; the first is %s", reason, count, example)
