"""Decoded pictures become the frames of a run: numbered, timed, converted, scaled."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from torch import Tensor

from model.preprocess import network_size, resize, resize_tensor
from streamer.device import CPU, CUDA, default_stream, device_errors
from streamer.errors import UnfitError
from streamer.frame import MAX_PIXELS, CaptureClock, Epoch, EpochReason, Frame, Region
from streamer.source_config import MAX_ASPECT
from streamer.sources.frame_clock import MAX_FILE_JUMP_S, FrameClock
from streamer.sources.lazy_image import LazyImage
from streamer.sources.picture import Orientation, Picture, RgbConverter
from streamer.sources.yuv_planes import copy_planes


class FrameAssembler:
    """Makes frames out of pictures, on the decoder thread.

    Args:
        name: Of the source, for messages.
        live: Whether arrival times are capture times.
        roi: Left, top, width and height of the part to look at, in pixels; None for all.
        short_side: Of the network's input, in pixels.
        interval_s: Nominal seconds from frame to frame.

    Attributes:
        count: Frames so far, skipped ones too.
        skipped: Those of them that were not decoded, to catch up with a live source.
    """

    def __init__(
        self,
        name: str,
        live: bool,
        roi: tuple[int, int, int, int] | None,
        short_side: int,
        interval_s: Fraction,
    ) -> None:
        self._name = name
        self._live = live
        self._roi = roi
        self._short_side = short_side
        self._converter = RgbConverter()
        self._clock = FrameClock(live, interval_s)
        self._epoch: Epoch | None = None
        self._pending_reason: EpochReason | None = "start"
        self.count = 0
        self.skipped = 0

    def pass_over(self, skipped: int) -> None:
        """Count what was skipped before a source was lost, so many from the run's beginning on."""
        self.count += skipped - self.skipped
        self.skipped = skipped

    def begin_epoch(self, reason: EpochReason) -> None:
        """The next picture begins a new epoch, with timestamps of their own."""
        self._pending_reason = reason
        self._clock.restart()

    def next_time_s(self, picture: Picture) -> Fraction:
        """Time of the next picture since the run's first; to be asked once for each."""
        stamp_s = None if picture.pts is None else picture.pts * picture.time_base
        if stamp_s is not None and self._clock.lies_behind(stamp_s) and self._is_reshaped(picture):
            self._clock.restart()  # another recording, joined to the one before
        return self._clock.next(stamp_s, time.monotonic_ns())

    def assemble(self, picture: Picture, time_s: Fraction, end_s: Fraction | None = None) -> Frame:
        """Convert and scale a picture, where it was decoded.

        Args:
            picture: The picture.
            time_s: As `next_time_s` gave it.
            end_s: When the run ends, if that is known: nothing is shown for longer.

        Raises:
            UnfitError: The region of interest lies outside, or is too elongated, or the picture
                is too large.
            DeviceError: The device that decoded it failed, or ran out of memory.
        """
        # Before the conversion, which takes its time.
        decoded_ns = time.monotonic_ns()
        capture_unix_ns, capture_clock = self._capture(picture)
        width, height = picture.frame.width, picture.frame.height
        if width * height > MAX_PIXELS:
            raise UnfitError(
                f"{self._name}: frames of {width}x{height}; allowed: up to {MAX_PIXELS} pixels"
            )
        epoch = self._epoch_of(picture)
        held = self._hold(picture.frame, epoch.region) if picture.is_on_device else None
        pixels, inputs = held or self._convert(picture.frame, epoch.region)
        frame = Frame(
            index=self.count + picture.skipped,
            epoch=epoch,
            pts=picture.pts,
            time_base=picture.time_base,
            time_s=float(time_s),
            pixels=pixels,
            inputs=inputs,
            decoded_ns=decoded_ns,
            capture_unix_ns=capture_unix_ns,
            capture_clock=capture_clock,
            duration_s=_duration_s(picture, time_s, end_s),
        )
        self.count = frame.index + 1
        self.skipped += picture.skipped
        return frame

    def _convert(
        self, frame: VideoFrame, region: Region
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The image and the network's input, made by the CPU."""
        image = self._converter.convert(frame)
        return image, resize(image[region.slices], self._network_size(region))

    def _hold(self, frame: VideoFrame, region: Region) -> tuple[LazyImage, Tensor] | None:
        """The same on the frame's device, which is not waited for; None if it has to be fetched."""
        lies_on = CUDA if frame.format.name == "cuda" else CPU
        with default_stream(lies_on), device_errors(CUDA, "on a decoded frame"):
            picture = copy_planes(frame)
            if picture is None:
                return None
            inputs = resize_tensor(picture.rgb()[region.slices], self._network_size(region))
            return LazyImage(picture), inputs

    def _network_size(self, region: Region) -> tuple[int, int]:
        return network_size((region.height, region.width), self._short_side)

    def _is_reshaped(self, picture: Picture) -> bool:
        """Whether a picture, or its pixels, are of another shape than the frame before."""
        now = self._epoch
        return now is not None and (now.size, now.pixel_aspect) != _shape(picture)

    def _epoch_of(self, picture: Picture) -> Epoch:
        reason = self._pending_reason
        if reason is None and self._is_reshaped(picture):
            reason = "size"
        if reason is not None or self._epoch is None:
            index = 0 if self._epoch is None else self._epoch.index + 1
            missing = None if reason == "reconnect" else 0
            size, pixel_aspect = _shape(picture)
            region = self._region(size)
            self._epoch = Epoch(index, reason or "start", size, region, missing, pixel_aspect)
            self._pending_reason = None
        return self._epoch

    def _region(self, size: tuple[int, int]) -> Region:
        height, width = size
        left, top, region_width, region_height = self._roi or (0, 0, width, height)
        if left + region_width > width or top + region_height > height:
            raise UnfitError(
                f"{self._name}: the region of interest "
                f"{[left, top, region_width, region_height]} (left, top, width, height) "
                f"reaches beyond the frame of {width}x{height}"
            )
        sides = (region_width, region_height)
        if max(sides) > MAX_ASPECT * min(sides):
            raise UnfitError(
                f"{self._name}: {region_width}x{region_height} is more elongated than "
                f"{MAX_ASPECT:g}:1, the limit"
            )
        return Region(top, left, region_height, region_width)

    def _capture(self, picture: Picture) -> tuple[int | None, CaptureClock | None]:
        if not self._live:
            return None, None
        # A camera whose clock was never set counts from 1900, or from when it was switched on.
        if picture.camera_unix_ns is not None and picture.camera_unix_ns > 0:
            return picture.camera_unix_ns, "camera"
        return time.time_ns(), "arrival"


def _shape(picture: Picture) -> tuple[tuple[int, int], Fraction]:
    """Height and width, and the aspect of pixels, once it is upright."""
    frame, aspect = picture.frame, picture.pixel_aspect
    orientation = Orientation.of(frame)
    size = orientation.size(frame.height, frame.width)
    return size, 1 / aspect if orientation.is_transposed else aspect


def _duration_s(picture: Picture, time_s: Fraction, end_s: Fraction | None) -> float | None:
    """How long a picture is shown, if that can be believed."""
    duration_s = (picture.duration or 0) * picture.time_base
    if not 0 < duration_s <= MAX_FILE_JUMP_S:
        return None
    return float(duration_s if end_s is None else min(duration_s, end_s - time_s))
