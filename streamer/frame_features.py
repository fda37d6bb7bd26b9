"""Frames through the network's backbone, some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model import FrameFeatures, VisTR
from model.backbone import MobileNetBackbone
from model.cuda_graphs import GraphedVisTR
from model.preprocess import normalise
from streamer.upload import upload

FRAMES_PER_PASS = 6
"""Frames in a pass of the backbone: more take memory, fewer read a ResNet's weights more often."""

LONG_PASSES = (36, 12)
"""Frames in a pass on CUDA where as many are there: few numbers, each of which is recorded once. On
an H100 36 frames of 300 by 533 pixels take ResNet-50 5.6 ms in one pass, 7.3 ms in passes of 6."""

LONG_PASS_BYTES = 12_000_000
"""Most bytes that one channel of all frames in a long pass may take: those of 36 frames of 300 by
540 pixels in half precision."""

FEW_FRAMES_PER_PASS = 2
"""Frames in a pass of MobileNetV2 on a CPU, in whose caches its widest layers then stay."""


def frames_per_pass(net: VisTR | GraphedVisTR) -> int:
    """Frames in a pass of the network's backbone, which only long passes exceed."""
    if isinstance(net, GraphedVisTR) or _is_on_cuda(net):
        return FRAMES_PER_PASS
    is_light = isinstance(net.vistr.backbone[0], MobileNetBackbone)
    return FEW_FRAMES_PER_PASS if is_light else FRAMES_PER_PASS


def pass_length(net: VisTR | GraphedVisTR, waiting: int, pixels: int) -> int:
    """Frames in the next pass, given how many wait and their pixels."""
    channel = pixels * next(net.parameters()).dtype.itemsize
    fitting = [n for n in LONG_PASSES if n <= waiting and n * channel <= LONG_PASS_BYTES]
    return max(fitting) if fitting and _is_on_cuda(net) else frames_per_pass(net)


def _is_on_cuda(net: VisTR | GraphedVisTR) -> bool:
    return next(net.parameters()).is_cuda


def stack_inputs(inputs: Sequence[NDArray[np.uint8] | Tensor], device: torch.device) -> Tensor:
    """The inputs of frames as one tensor on a device; what lies there does not leave it.

    Args:
        inputs: uint8 [h, w, 3] each.
        device: Where to.

    Returns:
        uint8 [n, h, w, 3].
    """
    arrays = [each for each in inputs if isinstance(each, np.ndarray)]
    if len(arrays) < len(inputs):  # a decoder may fall back to the CPU midway
        return torch.stack([torch.as_tensor(each, device=device) for each in inputs])
    return upload(arrays, device)


def encode_passes(
    net: VisTR | GraphedVisTR, inputs: Sequence[NDArray[np.uint8] | Tensor]
) -> Iterator[tuple[Tensor, FrameFeatures]]:
    """Frames through the backbone, some at a time: those of each pass, and their features.

    Args:
        net: The network, on its device and in its dtype already.
        inputs: uint8 [h, w, 3] each, RGB at the network's size, on the host or on its device.

    Yields:
        uint8 [n, h, w, 3] on the network's device, and the features of these n frames.
    """
    parameter = next(net.parameters())
    rest = list(inputs)
    while rest:
        height, width, _ = rest[0].shape
        length = pass_length(net, len(rest), height * width)
        some, rest = rest[:length], rest[length:]
        count = len(some)
        if isinstance(net, GraphedVisTR):
            # Each other number would be recorded, too, which stops a live stream for a moment.
            some += some[-1:] * (length - count)
        frames = stack_inputs(some, parameter.device)
        features = net.encode(normalise(frames, parameter.dtype))
        yield frames[:count], features[:count]
