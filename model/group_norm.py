"""Group normalisation of channels-last features: of a window's, many times as fast as PyTorch's.

Source: Wu and He, Group Normalization, ECCV 2018.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TINY = 1e-30
"""eps for `batch_norm` that changes nothing: PyTorch 2.11 refuses 0."""

CACHED_NUMBERS = 2**18
"""That go through a CPU at once: larger intermediate results would leave its caches."""


class GroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` with the same parameters and results; inference takes another way.

    On a CPU PyTorch's kernel takes up to 27 ms for [1, 12, 36, 72, 96], a window of one slot, where
    reading it ten times takes 3 ms; and it adds up so long a sum in float32 that results are off by
    3e-4. On CUDA it gives each group of a sample one block of threads, which leaves most of the
    device idle if a sample is a whole window. Single frames are left to it: there it is quicker.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [n, C, …, w] over everything but n and the groups of C."""
        is_rows = input.ndim == 5 and input.is_contiguous(memory_format=torch.channels_last_3d)
        if torch.is_grad_enabled() or not is_rows:
            return super().forward(input)
        return normalise_rows(input, self)


def normalise_rows(x: Tensor, norm: nn.GroupNorm) -> Tensor:
    """What `norm` makes of channels-last [n, C, …, h, w], by operations on whole rows of it.

    Rows of w · C numbers, not pixels of C, are summed and scaled: they are long enough to be
    vectorised. Sums and arithmetic are at least float32.
    """
    samples, channels, *_, height, width = x.shape
    frames = x.movedim(1, -1).reshape(samples, -1, height, width * channels)
    is_long = x.device.type == "cpu" and frames[0].numel() >= CACHED_NUMBERS
    mean, mean_square = (
        of_columns.view(samples, width, norm.num_groups, -1).mean((1, 3))
        for of_columns in (_moments_of_long if is_long else _moments)(frames)
    )
    spread = (mean_square - mean**2).clamp_(min=0).add_(norm.eps).rsqrt_()[..., None]
    weight, bias = (v.double().view(norm.num_groups, -1) for v in (norm.weight, norm.bias))
    scale = weight * spread  # [n, groups, C / groups]
    shift = bias - mean[..., None] * scale
    exact = torch.promote_types(x.dtype, torch.float32)
    factors, offsets = (v.to(exact).flatten(1).repeat(1, width) for v in (scale, shift))
    scaled = (_scale_long if is_long else _scale)(frames, factors, offsets)
    return scaled.view(samples, *x.shape[2:], channels).movedim(-1, 1)


def _moments(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Means of [n, k, h, w · C] and of its squares over k and h: float64 [n, w · C] each."""
    samples, count, height, _ = frames.shape
    exact = torch.promote_types(frames.dtype, torch.float32)
    # Frame by frame first: a long sum in float32 is not exact enough for their difference.
    flat = frames.flatten(0, 1)
    parts = (part.to(exact) for part in torch.split(flat, _at_once(flat)))
    sums = torch.cat([torch.stack((x.sum(1), x.square().sum(1))) for x in parts], 1)
    sums = sums.view(2, samples, count, -1).sum(2, dtype=torch.float64)
    mean, mean_square = sums / (count * height)
    return mean, mean_square


def _moments_of_long(frames: Tensor) -> tuple[Tensor, Tensor]:
    """As `_moments`: the columns' means and variances are what batch normalisation begins with."""
    exact = torch.promote_types(frames.dtype, torch.float32)
    # Running statistics (momentum 0: unchanged) make it accumulate and return in their precision.
    running = torch.zeros(frames.shape[-1], dtype=exact, device=frames.device)
    pairs = [torch.batch_norm_update_stats(x, running, running, 0.0) for x in frames.flatten(1, 2)]
    mean, variance = (torch.stack(each).double() for each in zip(*pairs, strict=True))
    return mean, variance + mean**2


def _scale(frames: Tensor, factors: Tensor, offsets: Tensor) -> Tensor:
    """[n, k, h, w · C] times [n, w · C] plus [n, w · C]."""
    count = frames.shape[1]
    flat = frames.flatten(0, 1)
    scaled = torch.empty_like(flat)
    rows = (v.repeat_interleave(count, 0)[:, None] for v in (factors, offsets))
    parts = (torch.split(v, _at_once(flat)) for v in (flat, *rows, scaled))
    for x, factor, offset, result in zip(*parts, strict=True):
        torch.addcmul(offset, x.to(offset.dtype), factor, out=result)
    return scaled


def _scale_long(frames: Tensor, factors: Tensor, offsets: Tensor) -> Tensor:
    """As `_scale`: batch normalisation reads and writes half precision without a copy."""
    none, one = torch.zeros_like(factors[0]), torch.ones_like(factors[0])
    scaled = [
        F.batch_norm(x, none, one, factor, offset, eps=TINY)
        for x, factor, offset in zip(frames.flatten(1, 2), factors, offsets, strict=True)
    ]
    return torch.cat(scaled) if len(scaled) > 1 else scaled[0]


def _at_once(frames: Tensor) -> int:
    """Frames that stay in a CPU's caches; on CUDA all."""
    return (
        max(1, CACHED_NUMBERS // frames[0].numel()) if frames.device.type == "cpu" else len(frames)
    )
