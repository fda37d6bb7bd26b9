"""Where a run's clips come from, as its configuration says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from model.categories import MAX_NAME, YOUTUBE_VIS_2019
from streamer.errors import ConfigError, SourceError
from streamer.json_file import read_json
from training.assets import Assets
from training.clip import Clip
from training.composer import Composer
from training.effects import Effects
from training.feed import ClipSource, LeavingOut
from training.library import load_library
from training.run_config import DataConfig
from training.youtube_vis import YouTubeVis

VAL_SEED = 10**6
"""Seed of the evaluation's clips: apart from those of training, unless that has the same."""

MOST_LISTED = 20
"""Videos that a line of the log names."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Clips to learn from, clips to evaluate on, and the names of their category ids from 1 on."""

    train: ClipSource
    val: ClipSource
    categories: tuple[str, ...]

    def held_out(self, position: int, times: Sequence[int], size: tuple[int, int]) -> Clip:
        """The evaluation's clip of a position, from 0: always the same; see `ClipSource.draw`.

        Those of a data set take its videos in turn.
        """
        rng = np.random.default_rng((VAL_SEED, position))
        if isinstance(self.val, DrawnVideos):
            return self.val.clip(position % len(self.val.videos), rng, len(times), size)
        return self.val.draw(rng, times, size)

    def say_left_out(self) -> None:
        """Warn of images that could not be read when they were drawn."""
        for source in (self.train, self.val):
            if isinstance(source, LeavingOut) and source.left_out:
                count, example = len(source.left_out), source.left_out[0]
                log.warning("left out: %d unusable images; the first is %s", count, example)


def open_sources(config: DataConfig, slots: int) -> Sources:
    """Open what a run trains and evaluates on.

    Args:
        config: Where it is.
        slots: Objects that a clip to learn from has at most: those with the fewest pixels are left
            out. An evaluation asks for all.

    Raises:
        ConfigError: Options contradict each other.
        SourceError: Something cannot be read.
    """
    if config.annotations is None:
        if config.composition.objects[1] > slots:
            raise ConfigError(
                f"objects are {config.composition.objects}, the network has {slots} slots"
            )
        assets = Assets(config.assets)
        composers = [
            Composer(load_library(assets, split, drawings=config.drawings), config.composition)
            for split in ("train", "val")
        ]
        return Sources(composers[0], composers[1], YOUTUBE_VIS_2019)
    names = category_names(config.annotations)

    def videos(annotations: Path, images: Path | None) -> YouTubeVis:
        folder = cast("Path", images)  # `DataConfig` has seen to it
        return YouTubeVis(annotations, folder, categories=len(names), skip_bad=config.skip_bad)

    train = videos(config.annotations, config.images)
    if config.val_annotations is None:
        train, val = train.split(config.val_every)
        message = "%d videos to train on, %d to evaluate on, with the ids %s"
        log.info(message, len(train), len(val), _listed(list(val.object_counts())))
    elif category_names(config.val_annotations) == names:
        val = videos(config.val_annotations, config.val_images)
        if config.val_annotations.samefile(config.annotations):
            log.warning(
                "data.val_annotations is %s, which is trained on: figures are of known videos",
                config.val_annotations,
            )
    else:
        raise ConfigError(
            f"{config.val_annotations} has other categories than {config.annotations}"
        )
    if not any(train.object_counts().values()):
        raise SourceError(f"{train.path}: no video to train on has an object")
    if not any(val.object_counts().values()):
        message = "%s: no video to evaluate on has an object, so there will be no figures"
        log.warning(message, val.path)
    return Sources(
        DrawnVideos(train, slots, augment=True), DrawnVideos(val, slots, augment=False), names
    )


def _listed(ids: Sequence[int]) -> str:
    more = f" and {len(ids) - MOST_LISTED} more" if len(ids) > MOST_LISTED else ""
    return ", ".join(map(str, ids[:MOST_LISTED])) + more


def category_names(annotations: Path) -> tuple[str, ...]:
    """Names of the category ids from 1 on that a YouTube-VIS file lists.

    Raises:
        SourceError: The file cannot be read, its ids are not 1, 2, 3 and on, or a name is none or
            that of another.
    """
    content, _ = read_json(annotations)
    listed = content.get("categories") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise SourceError(f"{annotations}: there is no list of categories")
    if not listed:
        raise SourceError(f"{annotations}: there are no categories")
    entries = [entry for entry in listed if isinstance(entry, dict)]
    names = {repr(entry.get("id")): entry.get("name") for entry in entries}
    expected = [str(category_id) for category_id in range(1, len(listed) + 1)]
    if missing := [category_id for category_id in expected if category_id not in names]:
        raise SourceError(
            f"{annotations}: no category has the id {missing[0]}; the ids are "
            f"{', '.join(names):.60}, expected 1 to {len(listed)}, each once"
        )
    found: list[str] = []
    for category_id in expected:
        name = names[category_id]
        if (
            not isinstance(name, str)
            or not 0 < len(name) <= MAX_NAME
            or not name.isprintable()
            or name in found
        ):
            raise SourceError(
                f"{annotations}: the name of category {category_id} is {name!r:.60}, expected a "
                f"printable text of up to {MAX_NAME} characters, and another one for each"
            )
        found.append(name)
    return tuple(found)


@dataclass(slots=True)
class DrawnVideos:
    """Clips of random videos of a YouTube-VIS data set.

    Args:
        videos: The data set.
        slots: Most objects of a clip to learn from.
        augment: Whether clips are to learn from: mirrored at random, as other cameras would show
            them, and with the largest objects alone where there are too many.
    """

    videos: YouTubeVis
    slots: int
    augment: bool

    def __post_init__(self) -> None:
        counts = self.videos.object_counts()
        crowded = [video_id for video_id, count in counts.items() if count > self.slots]
        if self.augment and crowded:
            log.warning(
                "%s: %d videos have more objects than the network's %d slots; of their clips only "
                "the largest are learnt; the first is video %d",
                *(self.videos.path, len(crowded), self.slots, crowded[0]),
            )

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        """A clip of consecutive frames, as many as `times` are; see `YouTubeVis.clip`.

        The published data has every fifth frame of its videos only, and most of them are shorter
        than a window.
        """
        return self.clip(int(rng.integers(len(self.videos))), rng, len(times), size)

    def clip(
        self, index: int, rng: np.random.Generator, frames: int, size: tuple[int, int]
    ) -> Clip:
        """The same of the video at `index`."""
        clip = self.videos.clip(index, frames, size, rng)
        if not self.augment:
            return clip
        clip = self._with_room(clip)
        pixels, masks = clip.frames, clip.masks
        if rng.random() < 0.5:
            pixels, masks = pixels[:, :, ::-1], np.ascontiguousarray(masks[..., ::-1])
        effects = Effects.draw(rng)
        seen = np.stack([effects.apply(np.ascontiguousarray(frame), rng) for frame in pixels])
        return Clip(seen, masks, clip.category_ids)

    @property
    def left_out(self) -> Sequence[str]:
        """A line about each image that could not be used."""
        return self.videos.left_out

    def leave_out(self, line: str) -> None:
        """Count one that a copy of this source has found, unless it is known."""
        self.videos.leave_out(line)

    def _with_room(self, clip: Clip) -> Clip:
        if len(clip.masks) <= self.slots:
            return clip
        largest = np.sort(np.argsort(-clip.masks.sum(axis=(1, 2, 3)))[: self.slots])
        return Clip(clip.frames, clip.masks[largest], clip.category_ids[largest])
