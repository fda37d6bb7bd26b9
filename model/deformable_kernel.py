"""The deformable convolution as one kernel for CUDA: sampled taps never leave the chip.

Written in Triton, which PyTorch brings along where it supports CUDA, and compiled when it first
runs: for that Triton needs a C compiler and Python's headers.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

PIXELS_A_PROGRAM, WARPS = 64, 8
"""Of 32, 64 and 128 with 4 or 8 the quickest at D 384 on an H100, when the taps were unrolled."""

STAGES = 1
"""Otherwise all that is sampled would pass through shared memory, for the sake of a pipeline."""


def sample_and_convolve(source: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """What `torchvision.ops.deform_conv2d` gives with a padding of 1.

    Args:
        source: [n, C, h, w] of float32, float16 or bfloat16, on CUDA.
        offset: float32 [n, 18, h, w], (y, x) of each tap, in pixels.
        weight: [outputs, C, 3, 3] of the type of `source`.

    Returns:
        [n, outputs, h, w], channels last in memory, of the type of `source`.
    """
    images, inputs, height, width = source.shape
    outputs = len(weight)
    source = source.contiguous(memory_format=torch.channels_last)
    offset = offset.contiguous(memory_format=torch.channels_last)
    taps = weight.permute(2, 3, 1, 0).contiguous()
    moved = source.new_empty(images, height, width, outputs)
    pixels = images * height * width
    with torch.cuda.device(source.device if source.is_cuda else -1):  # Triton takes the current one
        _kernel[(triton.cdiv(pixels, PIXELS_A_PROGRAM),)](
            *(source, offset, taps, moved, pixels, height, width, inputs, outputs),
            # Sides of a product are powers of two, from 16 on.
            *(max(16, triton.next_power_of_2(channels)) for channels in (inputs, outputs)),
            *(PIXELS_A_PROGRAM, "ieee" if source.dtype == torch.float32 else "tf32"),
            num_warps=WARPS,
            num_stages=STAGES,
        )
    return moved.permute(0, 3, 1, 2)


# Otherwise sizes that 16 divides would be compiled for apart.
@triton.jit(do_not_specialize=("pixels", "height", "width"))  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def] # annotations are Triton's
    source,
    offset,
    weight,
    moved,
    pixels,
    height,
    width,
    inputs: tl.constexpr,
    outputs: tl.constexpr,
    padded_inputs: tl.constexpr,
    padded_outputs: tl.constexpr,
    at_once: tl.constexpr,
    precision: tl.constexpr,
) -> None:
    """Convolve some pixels of all images in a row; what lies outside the map is zero."""
    pixel = tl.program_id(0) * at_once + tl.arange(0, at_once)
    is_pixel = pixel < pixels
    first = pixel // (height * width) * (height * width)
    row, column = (pixel - first) // width, (pixel - first) % width
    c, o = tl.arange(0, padded_inputs), tl.arange(0, padded_outputs)
    is_weight = (c < inputs)[:, None] & (o < outputs)[None, :]
    total = tl.zeros((at_once, padded_outputs), tl.float32)
    for tap in range(9):
        shift = offset + pixel * 18 + 2 * tap
        y = tl.load(shift, is_pixel, 0) + (row + tap // 3 - 1)
        x = tl.load(shift + 1, is_pixel, 0) + (column + tap % 3 - 1)
        # Far outside is outside: where it is would not fit into an integer. No number stays none.
        y = tl.clamp(y, -2.0, height + 1.0, tl.PropagateNan.ALL)
        x = tl.clamp(x, -2.0, width + 1.0, tl.PropagateNan.ALL)
        sample = tl.zeros((at_once, padded_inputs), tl.float32)
        for corner in tl.static_range(4):
            corner_y, corner_x = tl.floor(y) + corner // 2, tl.floor(x) + corner % 2
            share = (1 - tl.abs(y - corner_y)) * (1 - tl.abs(x - corner_x))
            is_inside = (corner_y >= 0) & (corner_y < height)
            is_inside = is_pixel & is_inside & (corner_x >= 0) & (corner_x < width)
            at = (first + corner_y.to(tl.int32) * width + corner_x.to(tl.int32)) * inputs
            is_read = is_inside[:, None] & (c < inputs)[None, :]
            value = tl.load(source + at[:, None] + c[None, :], is_read, 0).to(tl.float32)
            sample += value * share[:, None]
        read = weight + (tap * inputs + c[:, None]) * outputs + o[None, :]
        factors = tl.load(read, is_weight, 0)
        total = tl.dot(sample.to(factors.dtype), factors, total, input_precision=precision)
    written = moved + pixel[:, None] * outputs + o[None, :]
    is_output = is_pixel[:, None] & (o < outputs)[None, :]
    tl.store(written, total.to(moved.dtype.element_ty), is_output)
