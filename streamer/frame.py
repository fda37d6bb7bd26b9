"""Decoded frames, as they travel from the source to the windows and on to the sinks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CaptureClock = Literal["camera", "arrival"]
EpochReason = Literal["start", "reconnect", "size", "loop"]


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """A stretch of frames of one size that belong together; nothing is tracked across two of them.

    Attributes:
        index: 0 for the first, counts up over the run.
        reason: Why it began: ``start``, ``reconnect``, ``size`` (the frame size changed), ``loop``.
        size: (height, width) of its frames, upright, in pixels.
        region: The part of the frame that the network sees; the whole frame unless the user asked.
        missing: Frames lost between the epoch before and this one; None where unknown.
    """

    index: int
    reason: EpochReason
    size: tuple[int, int]
    region: Region
    missing: int | None = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: Counts every decoded frame of the run from 0, dropped ones too, so a hole in the
            indices is a loss.
        epoch: The stretch that it belongs to.
        pts: Presentation timestamp as the container has it, in units of `time_base`, or None.
        time_base: Seconds per tick of `pts`.
        time_s: Presentation time in seconds since the run's first frame; strictly increasing.
        image: uint8 [H, W, 3], RGB, upright, at the source's own size.
        inputs: uint8 [h, w, 3], RGB, the region scaled to the network's input size.
        decoded_ns: `time.monotonic_ns` when it left the decoder, for latencies.
        capture_unix_ns: When it was captured (nanoseconds since 1970) for live sources, else None.
        capture_clock: Where that comes from: the camera's own clock, or its arrival here.
    """

    index: int
    epoch: Epoch
    pts: int | None
    time_base: Fraction
    time_s: float
    image: NDArray[np.uint8]
    inputs: NDArray[np.uint8]
    decoded_ns: int
    capture_unix_ns: int | None = None
    capture_clock: CaptureClock | None = None

    def __post_init__(self) -> None:
        if self.image.shape != (*self.epoch.size, 3) or self.image.dtype != np.uint8:
            raise ValueError(
                f"frame {self.index}: image is {self.image.dtype} {self.image.shape}, "
                f"expected uint8 {(*self.epoch.size, 3)}"
            )
        if self.inputs.ndim != 3 or self.inputs.shape[2] != 3 or self.inputs.dtype != np.uint8:
            raise ValueError(
                f"frame {self.index}: inputs are {self.inputs.dtype} {self.inputs.shape}, "
                "expected uint8 [h, w, 3]"
            )

    def __repr__(self) -> str:
        height, width = self.epoch.size
        return (
            f"Frame({self.index}, epoch {self.epoch.index}, {width}x{height}, {self.time_s:.3f}s)"
        )
