"""Where a token is: in time, from top to bottom, from left to right."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

TEMPERATURE = 10000.0
"""Longest wavelength over 2π. Source: DETR's sine encoding, unchanged in VisTR."""


def sine_positions(grid: tuple[int, int, int], dim: int) -> Tensor:
    """The 3-D sine encoding of a window's tokens.

    Args:
        grid: (frames, height, width) of the token grid.
        dim: Channels, a multiple of 6: a third for each axis, in the order time, y, x.

    Returns:
        float32 [frames * height * width, dim] on the CPU, frame-major.

    Source: VisTR, section 3.2, and ``models/position_encoding.py``, whose arithmetic is float32
        in every precision of the network.
    """
    channels = dim // 3
    pair = torch.arange(channels, dtype=torch.float32, device="cpu") // 2
    wavelengths = TEMPERATURE ** (2 * pair / channels)
    axes = []
    for axis, length in enumerate(grid):
        index = torch.arange(1, length + 1, dtype=torch.float32, device="cpu")
        phase = (index / (length + 1e-6) * (2 * math.pi))[:, None] / wavelengths
        # Even channels are sines, odd ones cosines.
        waves = torch.stack((phase[:, 0::2].sin(), phase[:, 1::2].cos()), dim=2).flatten(1)
        shape = [1, 1, 1, channels]
        shape[axis] = length
        axes.append(waves.view(shape).expand(*grid, channels))
    return torch.cat(axes, dim=3).flatten(0, 2)


@lru_cache(maxsize=4)
def cached_positions(
    grid: tuple[int, int, int], dim: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """`sine_positions` of that type on that device; not to be changed.

    The newest four are kept for all networks of the process, also after these are gone: of the
    published one, at 300 by 540 pixels, 9 MB each in single precision.
    """
    with torch.inference_mode(mode=False):  # they outlive the caller's mode
        return sine_positions(grid, dim).to(device, dtype)
