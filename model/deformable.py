"""The deformable convolution of the published mask head.

Source: Dai et al., Deformable Convolutional Networks, ICCV 2017 (v1, without modulation).
"""

from __future__ import annotations

from functools import partial

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
        if not torch.is_grad_enabled() and min(x.shape[-2:]) >= 2:
            return convolve_then_gather(x, shifts, self.weight)
        # Its kernels know no bfloat16.
        moved: Tensor = deform_conv2d(x.to(exact), shifts, self.weight.to(exact), padding=1)
        return moved.to(x.dtype)


def convolve_then_gather(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """What `torchvision.ops.deform_conv2d` gives with a padding of 1.

    Interpolation and convolution are both linear, so they may change places: each tap's products
    with all pixels are a table of short rows, and an output pixel is the weighted sum of 9 taps ×
    4 corners of them, which is what `embedding_bag` calculates: on a CPU in vectorised threads,
    where torchvision has one; on CUDA on the current stream, where torchvision's kernels run on
    the default one, so that no CUDA graph can hold them.

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
    # On a CPU one image at a time: its table of products stays in the processor's cache.
    at_once = len(x) if x.is_cuda else 1
    parts = (torch.split(tensor, at_once) for tensor in (x, offset, moved))
    for images, shifts, results in zip(*parts, strict=True):
        table = (images.permute(0, 2, 3, 1).reshape(-1, inputs) @ kernel).view(-1, outputs)
        rows, shares = _corners(shifts)
        bags = F.embedding_bag(rows, table, per_sample_weights=shares.to(x.dtype), mode="sum")
        results[:] = bags.view(results.shape)
    return moved.permute(0, 3, 1, 2)


def _corners(offset: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the table of products, and their weights, for each pixel: [n · h · w, 4 · TAPS]."""
    images, _, height, width = offset.shape
    shape = (images, height, width, TAPS, 2)
    y, x = offset.permute(0, 2, 3, 1).contiguous().view(shape).unbind(-1)
    arange = partial(torch.arange, device=offset.device)
    centred = arange(-1, 2)
    top, upper, lower = _neighbours(
        y + (arange(height)[:, None, None] + centred.repeat_interleave(3)), height
    )
    left, nearer, farther = _neighbours(x + (arange(width)[:, None] + centred.repeat(3)), width)
    first = arange(images, dtype=torch.int32)[:, None, None, None] * (height * width * TAPS)
    corner = (top * width + left).int() * TAPS + (first + arange(TAPS, dtype=torch.int32))
    below = TAPS * width
    rows = torch.cat((corner, corner + TAPS, corner + below, corner + below + TAPS), -1)
    shares = torch.cat((upper * nearer, upper * farther, lower * nearer, lower * farther), -1)
    return rows.view(-1, 4 * TAPS), shares.view(-1, 4 * TAPS)


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The first of two neighbouring pixels inside the map, and the weights of both.

    Where a position has only one neighbour inside or none, the hat function leaves the weight of
    the others zero.
    """
    first = position.floor().clamp_(0, size - 2)
    distance = position - first
    return first, F.relu(1 - distance.abs()), F.relu(1 - (distance - 1).abs())
