"""A frame's image that stays on the device until somebody wants to see it."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

from streamer.device import device_errors
from streamer.sources.yuv_planes import YuvPlanes


class LazyImage:
    """Holds a picture on its device, and brings it to the host when it is first asked for.

    Most frames are never asked for: results need masks alone.

    Args:
        picture: Complete in the order of the calling thread's stream.
    """

    def __init__(self, picture: YuvPlanes) -> None:
        self._shape = (*picture.size, 3)
        self._device = picture.luma.device
        self._held: YuvPlanes | NDArray[np.uint8] = picture
        self._lock = Lock()
        self._written: torch.cuda.Event | None = None
        if self._device.type == "cuda":
            self._written = torch.cuda.Event()
            self._written.record()

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return self._shape

    def rgb(self) -> NDArray[np.uint8]:
        """The image as uint8 [H, W, 3], RGB, upright; the same array for all, from any thread.

        Raises:
            DeviceError: The device failed, or ran out of memory.
        """
        with self._lock:
            if isinstance(self._held, YuvPlanes):
                with device_errors(self._device, "while fetching a frame's image"):
                    self._held = self._fetch(self._held)
            return self._held

    def _fetch(self, picture: YuvPlanes) -> NDArray[np.uint8]:
        if self._written is None:
            return np.asarray(picture.rgb().numpy(), np.uint8)
        # On the default stream a sink would wait for all that the network was given before.
        stream = _fetching_stream(self._device)
        with torch.cuda.stream(stream):
            stream.wait_event(self._written)
            return np.asarray(picture.rgb().cpu().numpy(), np.uint8)


@lru_cache
def _fetching_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all images of a device: memory is kept for each stream."""
    return torch.cuda.Stream(device)
