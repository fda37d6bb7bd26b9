"""From a decoded frame to the network's input."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of RGB in [0, 1]. Source: VisTR ``inference.py``, torchvision's ImageNet models."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of RGB in [0, 1]. Source: as `IMAGENET_MEAN`."""


def network_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """The size at which a frame is fed to the network.

    Args:
        size: (height, width) of the frame in pixels.
        short_side: What the shorter of both becomes, in pixels.

    Returns:
        (height, width) in pixels; the longer one is rounded down.

    Raises:
        ValueError: A side is not positive.

    Source: ``torchvision.transforms.Resize(300)``, as VisTR's ``inference.py`` uses it.
    """
    height, width = size
    if min(height, width, short_side) < 1:
        raise ValueError(f"cannot resize {height}x{width} to a short side of {short_side}")
    long_side = int(short_side * max(size) / min(size))
    return (short_side, long_side) if height <= width else (long_side, short_side)


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale an image with an antialiased bilinear filter, as PIL does.

    Args:
        image: uint8 [H, W, 3].
        size: (height, width) of the result in pixels.

    Returns:
        uint8 [h, w, 3]; `image` itself where it has that size already.

    Raises:
        ValueError: `image` is not uint8 [H, W, 3].
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 [H, W, 3]")
    if image.shape[:2] == size:
        return image
    # torch wants a writable array; [H, W, 3] seen as [1, 3, H, W] is channels-last, for which it
    # has a fast uint8 kernel.
    source = torch.from_numpy(np.require(image, requirements=("C", "W")))
    scaled = F.interpolate(
        source.permute(2, 0, 1)[None], size, mode="bilinear", align_corners=False, antialias=True
    )
    return np.ascontiguousarray(scaled[0].permute(1, 2, 0).numpy())


def resize_tensor(image: Tensor, size: tuple[int, int]) -> Tensor:
    """As `resize`, on the image's device: the result differs from it by rounding, at most by 1.

    Args:
        image: uint8 [H, W, 3].
        size: (height, width) of the result in pixels.

    Returns:
        uint8 [h, w, 3] on the image's device, contiguous; `image` itself where it is so already.

    Raises:
        ValueError: `image` is not uint8 [H, W, 3].
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != torch.uint8:
        raise ValueError(f"image is {image.dtype} {tuple(image.shape)}, expected uint8 [H, W, 3]")
    if image.shape[:2] == size:
        return image.contiguous()  # a part of a picture shall not keep the whole
    source = image.permute(2, 0, 1)[None].float()  # the kernel for uint8 is the CPU's only
    scaled = F.interpolate(source, size, mode="bilinear", align_corners=False, antialias=True)
    return scaled[0].permute(1, 2, 0).round().to(torch.uint8).contiguous()


def normalise(frames: Tensor, dtype: torch.dtype) -> Tensor:
    """Bring RGB frames to ImageNet's mean and deviation.

    Args:
        frames: uint8 [n, h, w, 3], any device.
        dtype: Floating-point type of the result.

    Returns:
        `dtype` [n, 3, h, w] on the frames' device.

    Raises:
        ValueError: `frames` is not uint8 [n, h, w, 3].
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != torch.uint8:
        raise ValueError(
            f"frames are {frames.dtype} {tuple(frames.shape)}, expected torch.uint8 [n, h, w, 3]"
        )
    # In float32 whatever `dtype` is, as the published code does; half precision rounds once.
    white, mean, std = _statistics(frames.device, frames.shape[2])
    # Row by row: PyTorch's loops over three numbers each take several times as long on a CPU.
    rows = frames.flatten(2) / white
    normalised = rows.sub_(mean).div_(std).view(frames.shape)
    return normalised.permute(0, 3, 1, 2).to(dtype)


@lru_cache
def _statistics(device: torch.device, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """White, [], mean and deviation, [width · 3], of a row's pixels.

    Cached on the device: uploading them for each frame would make the host wait for it.
    """
    with torch.inference_mode(mode=False):  # they outlive the caller's mode
        numbers = (255.0, IMAGENET_MEAN * width, IMAGENET_STD * width)
        white, mean, std = (
            torch.tensor(each, dtype=torch.float32, device=device) for each in numbers
        )
        return white, mean, std
