"""The deformable convolution of the published mask head.

Source: Dai et al., Deformable Convolutional Networks, ICCV 2017 (v1, without modulation).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

TAPS = 9
"""Of a kernel, row by row."""

Convolution = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(input, offsets, weight) -> output."""

log = logging.getLogger(__name__)


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
        if torch.is_grad_enabled() or min(x.shape[-2:]) < 2:
            # Its kernels know no bfloat16, and read out of bounds where an offset is NaN.
            finite, weight = shifts.nan_to_num(), self.weight.to(exact)
            moved: Tensor = deform_conv2d(x.to(exact), finite, weight, padding=1)
            lost = shifts.isnan().any(1, keepdim=True)
            return moved.masked_fill(lost, torch.nan).to(x.dtype)
        return (self.compiled() or convolve_then_gather)(x, shifts, self.weight)

    def compiled(self) -> Convolution | None:
        """The kernel for inference on CUDA; the first call takes seconds, unless Triton has it."""
        weight = self.weight
        if not weight.is_cuda or weight.dtype == torch.float64:
            return None
        return compiled_kernel(weight.device, weight.dtype, *weight.shape[:2])


@cache
def compiled_kernel(
    device: torch.device, dtype: torch.dtype, outputs: int, inputs: int
) -> Convolution | None:
    """A kernel of our own for such a layer; None, and a warning, if it cannot be compiled."""
    try:
        from model.deformable_kernel import sample_and_convolve  # noqa: PLC0415 - with Triton only

        x = torch.ones(1, inputs, 2, 2, device=device, dtype=dtype)
        offset = torch.zeros(1, 18, 2, 2, device=device)
        sample_and_convolve(x, offset, x.new_ones(outputs, inputs, 3, 3))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        reason = (str(error).strip() or repr(error)).splitlines()[-1]  # Triton's come last
        log.warning(
            "no kernel for deformable convolutions, a slower way is taken (Triton needs a C "
            "compiler, Python's headers, and a folder for its cache, see TRITON_CACHE_DIR): %s",
            reason,
        )
        return None
    return sample_and_convolve


def convolve_then_gather(x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """What `torchvision.ops.deform_conv2d` gives with a padding of 1.

    Interpolation and convolution are both linear, so they may change places: each tap's products
    with all pixels are a table of short rows, and an output pixel is the weighted sum of 9 taps ×
    4 corners of them, which is what `embedding_bag` computes: on a CPU in vectorised threads,
    where torchvision has one; on CUDA, where Triton is missing, on the current stream, while
    torchvision's kernels run on the default one, so that no CUDA graph can hold them.

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
    plain = _plain_taps(offset)
    parts = (torch.split(tensor, at_once) for tensor in (x, offset, moved))
    for images, shifts, results in zip(*parts, strict=True):
        table = (images.permute(0, 2, 3, 1).reshape(-1, inputs) @ kernel).view(-1, outputs)
        rows, shares = _corners(shifts, plain, x.dtype)
        bags = F.embedding_bag(rows, table, per_sample_weights=shares, mode="sum")
        results[:] = bags.view(results.shape)
    return moved.permute(0, 3, 1, 2)


def _plain_taps(offset: Tensor) -> Tensor:
    """Where the taps are without offsets: [2, 1, h, w, TAPS], rows and columns."""
    height, width = offset.shape[2:]
    arange = partial(torch.arange, device=offset.device, dtype=offset.dtype)
    centred, shape = arange(-1, 2), (1, height, width, TAPS)
    rows = arange(height)[:, None, None] + centred.repeat_interleave(3)
    columns = arange(width)[:, None] + centred.repeat(3)
    return torch.stack((rows.expand(shape), columns.expand(shape)))


def _corners(offset: Tensor, plain: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Rows of the table of products, and their weights, for each pixel: [n · h · w, 4 · TAPS].

    An interpolated tap lies between two rows and two columns, of which the first are inside the
    map, as are their neighbours. Where only one of them should be, or none, the hat function
    leaves the weight of the others zero.
    """
    images, _, height, width = offset.shape
    position = offset.view(images, TAPS, 2, height, width).permute(2, 0, 3, 4, 1).contiguous()
    position += plain
    first = position.floor()
    for axis, size in zip(first, (height, width), strict=True):
        axis.clamp_(0, size - 2)
    distance = torch.stack((position.sub_(first), position - 1))
    hat = distance.abs_().neg_().add_(1).relu_()  # [first or second, row or column, n, h, w, TAPS]
    pairs = hat[:, None, 0] * hat[None, :, 1]
    shares = torch.cat([*pairs[0], *pairs[1]], -1).to(dtype)
    arange = partial(torch.arange, device=offset.device, dtype=torch.int32)
    begins = arange(images).view(-1, 1, 1, 1) * (height * width * TAPS) + arange(TAPS)
    # A NaN offset gets an arbitrary row; its NaN weight carries it into the result.
    corner = (first[0] * width + first[1]).nan_to_num_().int() * TAPS + begins
    below = TAPS * width
    rows = torch.cat((corner, corner + TAPS, corner + below, corner + below + TAPS), -1)
    return rows.view(-1, 4 * TAPS), shares.view(-1, 4 * TAPS)
