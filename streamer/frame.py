"""Decoded frames, as they travel from the source to the windows and on to the sinks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from streamer.sources.lazy_image import LazyImage

CaptureClock = Literal["camera", "arrival"]
EpochReason = Literal["start", "reconnect", "size", "loop"]

MAX_PIXELS = 2**27
"""Most pixels of a frame (16,384 x 8,192), in a message as in a source: a mask of it is decoded
into as many bytes, and a small message or file can claim more."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts it out of an image [H, W, ...]."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """A stretch of frames of one size that belong together; nothing is tracked across two of them.

    Attributes:
        index: 0 for the first, counts up over the run.
        reason: Why it began: ``start``, ``reconnect``, ``size`` (of frames, or the shape of
            their pixels, changed), ``loop``.
        size: (height, width) of its frames, upright, in pixels.
        region: The part of the frame that the network sees; the whole frame unless the user asked.
        missing: Frames lost between the epoch before and this one, beside those that the indices
            show: 0 after ``size`` and ``loop``, None (unknown) after ``reconnect``.
        pixel_aspect: Width of a pixel by its height, as the source says; also of the upright frame.
    """

    index: int
    reason: EpochReason
    size: tuple[int, int]
    region: Region
    missing: int | None = 0
    pixel_aspect: Fraction = Fraction(1)

    @property
    def shape(self) -> tuple[tuple[int, int], Fraction]:
        """`size` and `pixel_aspect`: where these change, outputs begin another video."""
        return self.size, self.pixel_aspect


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: Counts the run's frames from 0, also those that were dropped, or left undecoded to
            catch up, so a hole in the indices is a loss.
        epoch: The stretch that it belongs to.
        pts: Presentation timestamp as the container has it, in units of `time_base`, or None.
        time_base: Seconds per tick of `pts`.
        time_s: Presentation time in seconds since the run's first frame; strictly increasing.
        pixels: uint8 [H, W, 3], RGB, upright, at the source's own size; or the image of a frame
            that NVDEC decoded, still on the device.
        inputs: uint8 [h, w, 3], RGB, the region scaled to the network's input size; a tensor where
            it was decoded on the network's device, and lies there.
        decoded_ns: `time.monotonic_ns` when it left the decoder, for latencies.
        capture_unix_ns: When it was captured (nanoseconds since 1970) for live sources, else None.
        capture_clock: Where that comes from: the camera's own clock, or its arrival here.
        duration_s: How long the source shows it, in seconds; None where that is unknown.
    """

    index: int
    epoch: Epoch
    pts: int | None
    time_base: Fraction
    time_s: float
    pixels: NDArray[np.uint8] | LazyImage
    inputs: NDArray[np.uint8] | Tensor
    decoded_ns: int
    capture_unix_ns: int | None = None
    capture_clock: CaptureClock | None = None
    duration_s: float | None = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        dtype = pixels.dtype if isinstance(pixels, np.ndarray) else np.dtype(np.uint8)
        if pixels.shape != (*self.epoch.size, 3) or dtype != np.uint8:
            raise ValueError(
                f"frame {self.index}: image is {dtype} {pixels.shape}, "
                f"expected uint8 {(*self.epoch.size, 3)}"
            )
        shape, kind = tuple(self.inputs.shape), str(self.inputs.dtype).removeprefix("torch.")
        if len(shape) != 3 or shape[2] != 3 or kind != "uint8":
            raise ValueError(
                f"frame {self.index}: inputs are {kind} {shape}, expected uint8 [h, w, 3]"
            )

    @property
    def image(self) -> NDArray[np.uint8]:
        """uint8 [H, W, 3], RGB, upright, at the source's own size; fetched if it is held elsewhere.

        Raises:
            DeviceError: The device that holds it failed.
        """
        return self.pixels if isinstance(self.pixels, np.ndarray) else self.pixels.rgb()

    def __repr__(self) -> str:
        height, width = self.epoch.size
        return (
            f"Frame({self.index}, epoch {self.epoch.index}, {width}x{height}, {self.time_s:.3f}s)"
        )
