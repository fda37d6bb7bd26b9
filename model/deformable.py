"""The deformable convolution of the published mask head, fast on a CPU too.

Source: Dai et al., Deformable Convolutional Networks, ICCV 2017 (v1, without modulation).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

TAPS = 9
"""Of a kernel, row by row."""


class DeformableConv(nn.Module):
    """A 3×3 convolution whose taps are moved by offsets, without a bias.

    Args:
        inputs: Channels in.
        outputs: Channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=1)

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """Convolve [n, C, h, w], each tap moved by its (y, x) in [n, 18, h, w], in pixels.

        What lies outside the map is zero.
        """
        # Half precision would move the taps too coarsely.
        exact = torch.promote_types(x.dtype, torch.float32)
        shifts = offset.to(exact)
        # torchvision's CPU kernel runs on one thread.
        if not (x.is_cuda or torch.is_grad_enabled() or min(x.shape[-2:]) < 2):
            return convolve_then_gather(x, shifts, self.weight)
        # Its kernels know no bfloat16.
        moved: Tensor = deform_conv2d(x.to(exact), shifts, self.weight.to(exact), padding=1)
        return moved.to(x.dtype)


def convolve_then_gather(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """What `torchvision.ops.deform_conv2d` gives with a padding of 1, many times as fast on a CPU.

    Interpolation and convolution are both linear, so they may change places: each tap's products
    with all pixels are a table of short rows, and an output pixel is the weighted sum of 9 taps ×
    4 corners of them, which is what `embedding_bag` calculates in vectorised threads.

    Args:
        x: [n, C, h, w], h and w at least 2.
        offset: [n, 18, h, w] of float32 or float64, (y, x) of each tap, in pixels.
        weight: [outputs, C, 3, 3] of the type of `x`.

    Returns:
        [n, outputs, h, w], channels last in memory, of the type of `x`.
    """
    outputs, inputs = weight.shape[:2]
    kernel = weight.permute(1, 2, 3, 0).reshape(inputs, TAPS * outputs)
    moved = x.new_empty(len(x), *x.shape[2:], outputs)
    # One image at a time: its table of products stays in the processor's cache.
    for image, shift, result in zip(x, offset, moved, strict=True):
        table = (image.permute(1, 2, 0).reshape(-1, inputs) @ kernel).view(-1, outputs)
        rows, shares = _corners(shift)
        bags = F.embedding_bag(rows, table, per_sample_weights=shares.to(x.dtype), mode="sum")
        result[:] = bags.view(result.shape)
    return moved.permute(0, 3, 1, 2)


def _corners(offset: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the table of products, and their weights, for each pixel: [h · w, 4 · TAPS]."""
    height, width = offset.shape[1:]
    y, x = offset.permute(1, 2, 0).contiguous().view(height, width, TAPS, 2).unbind(-1)
    centred = torch.arange(-1, 2, dtype=offset.dtype)
    image_rows = torch.arange(height, dtype=offset.dtype)[:, None, None]
    image_columns = torch.arange(width, dtype=offset.dtype)[:, None]
    top, upper, lower = _neighbours(y + image_rows + centred.repeat_interleave(3), height)
    left, nearer, farther = _neighbours(x + image_columns + centred.repeat(3), width)
    corner = (top * width + left).int() * TAPS + torch.arange(TAPS, dtype=torch.int32)
    below = TAPS * width
    rows = torch.cat((corner, corner + TAPS, corner + below, corner + below + TAPS), -1)
    shares = torch.cat((upper * nearer, upper * farther, lower * nearer, lower * farther), -1)
    return rows.view(height * width, -1), shares.view(height * width, -1)


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The first of two neighbouring pixels inside the map, and the weights of both.

    Where a position has only one neighbour inside or none, the hat function leaves the weight of
    the others zero.
    """
    first = position.floor().clamp_(0, size - 2)
    distance = position - first
    return first, F.relu(1 - distance.abs()), F.relu(1 - (distance - 1).abs())
