"""Frames made of nothing, for tests that need no decoder."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from streamer.frame import Epoch, EpochReason, Frame, Region


def make_epoch(
    index: int = 0, size: tuple[int, int] = (48, 64), reason: EpochReason = "start"
) -> Epoch:
    return Epoch(index, reason, size, Region(0, 0, *size))


def make_frame(index: int, epoch: Epoch, fps: int = 10) -> Frame:
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (*epoch.size, 3), dtype=np.uint8)
    return Frame(
        index=index,
        epoch=epoch,
        pts=index,
        time_base=Fraction(1, fps),
        time_s=index / fps,
        pixels=image,
        inputs=image[::2, ::2].copy(),
        decoded_ns=0,
    )
