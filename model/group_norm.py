"""Group normalisation of channels-last features, many times as fast as PyTorch's own kernels.

Source: Wu and He, Group Normalization, ECCV 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.layout import CHANNELS_LAST

CACHED_NUMBERS = 2**18
"""That go through a CPU at once: larger intermediate results would leave its caches."""


class GroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` with the same parameters and results; inference takes another way.

    On a CPU PyTorch's kernel takes up to 27 ms for [1, 12, 36, 72, 96], a window of one slot, where
    reading it ten times takes 3 ms; and it adds up so long a sum in float32 that results are off by
    3e-4. On CUDA it gives each group of a sample one block of threads, which leaves most of the
    device idle if a sample is a whole window.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [n, C, …, w] over everything but n and the groups of C."""
        layout = CHANNELS_LAST.get(input.ndim)
        if (
            torch.is_grad_enabled()
            or layout is None
            or not input.is_contiguous(memory_format=layout)
            or (input.is_cuda and input.ndim == 4)
        ):
            return super().forward(input)
        return normalise_rows(input, self)


def normalise_rows(x: Tensor, norm: nn.GroupNorm) -> Tensor:
    """What `norm` makes of channels-last [n, C, …, h, w], by operations on whole rows of it.

    Rows of w · C numbers, not pixels of C, are summed and scaled: they are long enough to be
    vectorised. Sums and arithmetic are at least float32.
    """
    samples, channels, *_, height, width = x.shape
    frames = x.movedim(1, -1).reshape(-1, height, width * channels)
    chunk = max(1, CACHED_NUMBERS // frames[0].numel()) if x.device.type == "cpu" else len(frames)
    parts = torch.split(frames, chunk)
    exact = torch.promote_types(x.dtype, torch.float32)
    # Frame by frame first: a long sum in float32 is not exact enough for the difference below.
    sums = torch.cat([_sums(part.to(exact)) for part in parts], 1)
    sums = sums.view(2, samples, -1, norm.num_groups, channels // norm.num_groups)
    mean, mean_square = sums.sum((2, 4), dtype=torch.float64) / (x[0].numel() // norm.num_groups)
    spread = (mean_square - mean**2).clamp_(min=0).add_(norm.eps).rsqrt_()[..., None]
    weight, bias = (v.double().view(norm.num_groups, -1) for v in (norm.weight, norm.bias))
    scale = weight * spread  # [n, groups, C / groups]
    shift = bias - mean[..., None] * scale
    scales, shifts = (
        torch.split(_row_of_each_frame(v.to(exact), len(frames), width), chunk)
        for v in (scale, shift)
    )
    scaled = torch.empty_like(frames)
    results = torch.split(scaled, chunk)
    for part, factor, offset, result in zip(parts, scales, shifts, results, strict=True):
        torch.addcmul(offset, part.to(exact), factor, out=result)
    return scaled.view(samples, *x.shape[2:], channels).movedim(-1, 1)


def _sums(frames: Tensor) -> Tensor:
    """Sums of [k, h, w · C] and of its squares over h: [2, k, w · C]."""
    return torch.stack((frames.sum(1), frames.square().sum(1)))


def _row_of_each_frame(values: Tensor, frames: int, width: int) -> Tensor:
    """[n, groups, C / groups] on each pixel of a row, for n · k frames: [n · k, 1, w · C]."""
    row = values.flatten(1).repeat(1, width)
    return row.repeat_interleave(frames // len(row), 0)[:, None]
