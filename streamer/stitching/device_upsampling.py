"""Stitched mask logits to runs of pixels on the network's device, quicker than on the host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from streamer.device import working_on
from streamer.frame import Region
from streamer.mask import Mask, RunLengthMask
from streamer.stitching.upsampling import Upsampler, upsample_masks
from streamer.upload import upload

PIXELS = 2**24
"""Pixels of all masks that are worked on together: some 200 MB of memory."""


def upsampler_on(device: torch.device) -> Upsampler:
    """What makes masks beside a network on a device: a CPU takes them one by one, in parts."""
    return upsample_masks if device.type == "cpu" else DeviceUpsampler(device)


class DeviceUpsampler:
    """Does for many masks at once what `streamer.stitching.upsampling` does for one on a CPU.

    Args:
        device: Where.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @torch.inference_mode()
    def __call__(
        self, logits: Sequence[NDArray[np.float32]], region: Region, size: tuple[int, int]
    ) -> list[Mask | None]:
        """The masks of frames that low-resolution logits of one of their regions stand for.

        Args:
            logits: Each float32 [h, w], over the region.
            region: Where in the frame, in pixels.
            size: (height, width) of the frame.

        Returns:
            For each the mask, or None if it has no pixel.

        Raises:
            DeviceError: The device failed, or ran out of memory.
        """
        if not logits:
            return []
        doing = f"on {len(logits)} masks of {size[1]}x{size[0]} pixels"
        with working_on(self._device, doing):
            low = upload(logits, self._device)
            return [
                RunLengthMask(size, borders) if len(borders) else None
                for part in torch.split(low, max(1, PIXELS // (size[0] * size[1])))
                for borders in _borders(_upsampled(part, region, size))
            ]


def _upsampled(logits: Tensor, region: Region, size: tuple[int, int]) -> Tensor:
    """Logits [n, h, w] over a region as masks of the frame, bool [n, H, W]."""
    shape = (region.height, region.width)
    resized = F.interpolate(logits[:, None], shape, mode="bilinear", align_corners=False)[:, 0]
    if shape == size:
        return resized > 0
    masks = torch.zeros((len(logits), *size), dtype=torch.bool, device=logits.device)
    masks[(slice(None), *region.slices)] = resized > 0
    return masks


def _borders(masks: Tensor) -> list[NDArray[np.int64]]:
    """Of each mask of bool [n, H, W] what `RunLengthMask` takes; of one without pixels nothing."""
    lines = F.pad(masks.transpose(1, 2).flatten(1), (1, 1))
    found = (lines[:, 1:] != lines[:, :-1]).nonzero().cpu().numpy()
    ends = np.searchsorted(found[:, 0], np.arange(len(masks)), side="right")
    # Copied: one mask that is kept would keep all of them.
    return [borders.copy() for borders in np.split(found[:, 1], ends[:-1])]
