"""Finished frames with masks of the test's own, for everything that takes results."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from streamer.frame import Epoch, EpochReason, Frame, Region
from streamer.mask import CroppedMask
from streamer.output import FrameResult, Instance, StreamInfo

RUN = "6f1c9f5e-0b0f-4a53-9d5c-0a3f8a1f2b11"
CATEGORIES = ("", "person", "dog")


def stream_info(stream: str = "default", run: str = RUN, *, live: bool = False) -> StreamInfo:
    return StreamInfo(
        stream=stream, categories=CATEGORIES, window=36, stride=18, live=live, run=run
    )


def epoch(
    size: tuple[int, int] = (12, 16),
    index: int = 0,
    reason: EpochReason = "start",
    missing: int | None = 0,
) -> Epoch:
    return Epoch(index=index, reason=reason, size=size, region=Region(0, 0, *size), missing=missing)


def box_mask(
    size: tuple[int, int], top: int, left: int, height: int, width: int
) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def frame_result(
    index: int,
    size: tuple[int, int] = (12, 16),
    masks: Mapping[int, NDArray[np.bool_]] | None = None,
    *,
    within: Epoch | None = None,
    interpolated: bool = False,
    dropped: int = 0,
    scores: Mapping[int, float] | None = None,
    category_ids: Mapping[int, int] | None = None,
    fps: int = 10,
    image: NDArray[np.uint8] | None = None,
) -> FrameResult:
    """A result whose instances are `masks` (track id to bool [H, W]), in that order.

    `within` is its epoch (which then decides the size); without masks it has one box of track 1.
    Unless told, scores are 0.9 and categories person (1).
    """
    within = within or epoch(size)
    size = within.size
    if masks is None:
        masks = {1: box_mask(size, 0, 0, max(1, size[0] // 2), max(1, size[1] // 2))}
    instances = []
    for track_id, mask in masks.items():
        segment = CroppedMask.from_array(mask)
        assert segment is not None, f"track {track_id} has an empty mask"
        category_id = (category_ids or {}).get(track_id, 1)
        score = (scores or {}).get(track_id, 0.9)
        instances.append(Instance(track_id, category_id, CATEGORIES[category_id], score, segment))
    if image is None:
        image = np.full((*size, 3), index % 256, dtype=np.uint8)
    frame = Frame(
        index=index,
        epoch=within,
        pts=index,
        time_base=Fraction(1, fps),
        time_s=index / fps,
        pixels=image,
        inputs=np.zeros((8, 8, 3), dtype=np.uint8),
        decoded_ns=0,
    )
    return FrameResult(frame, tuple(instances), interpolated=interpolated, dropped=dropped)
