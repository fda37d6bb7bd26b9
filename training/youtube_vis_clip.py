"""Clips of one video of a YouTube-VIS data set: its images and masks, scaled."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from model.preprocess import resize
from streamer.dataset.images import read_image
from streamer.mask import Rle
from training.clip import Clip
from training.youtube_vis_entries import LabelledVideo


def draw_clip(
    labelled: LabelledVideo, frames: int, size: tuple[int, int] | None, rng: np.random.Generator
) -> Clip:
    """Consecutive frames of a video from a random one on; see `YouTubeVis.clip`.

    Raises:
        SourceError: An image is damaged or not of the video's size.
    """
    video = labelled.video
    length = len(video.images)
    start = int(rng.integers(length - frames + 1 if frames <= length else length))
    shown = [(start + offset) % length for offset in range(min(frames, length))]
    target = size or video.size
    images = np.stack([resize(read_image(video.images[i], video.size), target) for i in shown])
    objects = [each for each in labelled.objects if each[1].areas[shown].any()]
    masks = np.zeros((len(objects), *images.shape[:3]), dtype=np.bool_)
    for row, (_, tube) in enumerate(objects):
        for column, frame in enumerate(shown):
            rle = tube.masks[frame]
            if rle is not None:
                masks[row, column] = _scaled(rle, target)
    visible = masks.any(axis=(1, 2, 3))  # the smallest objects vanish when they are scaled
    category_ids = np.array([category_id for category_id, _ in objects], dtype=np.int64)
    masks = masks[visible]
    if len(shown) < frames:
        repeated = np.arange(frames) % len(shown)
        images, masks = images[repeated], masks[:, repeated]
    return Clip(images, masks, category_ids[visible])


def _scaled(rle: Rle, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at `size` (height, width): bool [height, width]."""
    mask = coco_mask.decode(cast("Any", rle))
    if mask.shape == size:
        return mask.astype(np.bool_)
    share: NDArray[Any] = mask.astype(np.float32)
    # OpenCV averages only where no side grows.
    for height, width in (np.minimum(mask.shape, size).tolist(), size):
        share = cv2.resize(share, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= 0.5)
