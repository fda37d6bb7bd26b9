"""What objects are coloured like: histograms of the pixels under their masks, on any device.

Two people who walk past each other exchange places, not clothes.

Constants that say no more: chosen on the 21 labelled frames of the shipped clip
(``tests/real_clip``) and on composed streams of people.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 8
"""Bins per channel; a value is shared linearly between the two nearest."""

INTENSITY_RANGE = 0.05, 0.95
"""Intensity of the first and last bin, in shares of white."""

CHROMA_RANGE = -0.16, 0.16
"""Chroma of the first and last bin: clothes in the open seldom have more, and what has, counts in
those."""

CHANNELS = (
    ((1 / 3, 1 / 3, 1 / 3), INTENSITY_RANGE),
    ((1 / 2, -1 / 2, 0), CHROMA_RANGE),
    ((-1 / 4, -1 / 4, 1 / 2), CHROMA_RANGE),
)
"""Weights of red, green and blue, and the range: intensity, red against green, blue against
yellow."""

SURELY_INSIDE = 1.0
"""Mask logit from which a cell counts: cells at a mask's border also cover background."""

FEWEST_CELLS = 3
"""Fewest cells under a mask that make a histogram."""

LEAST_COLOURED = 0.01
"""Share of a frame's pixels with a chroma beyond the middle bins, which noise does not reach. With
less the picture is grey, as at night, and intensity alone tells people badly apart."""


@torch.inference_mode()
def colour_shares(frames: Tensor) -> Tensor:
    """How much of each cell of 4x4 pixels, where masks have a pixel, lies in each colour bin.

    Args:
        frames: uint8 [n, h, w, 3], RGB.

    Returns:
        float32 [n, 3 * BINS, ceil(h / 4), ceil(w / 4)], each channel's bins together 1; 0 in all
        of a grey frame.

    Source: opponent histograms as in van de Sande et al., "Evaluating Color Descriptors for Object
    and Scene Recognition", TPAMI 2010.
    """
    halved = _halved(frames.permute(0, 3, 1, 2).float())
    weights, offsets, bins = _constants(frames.device)
    # The colours last, also in memory: PyTorch pools eight numbers at once then. No convolution,
    # which CUDA would round to TF32 unless told otherwise.
    positions = F.linear(halved.permute(0, 2, 3, 1), weights, offsets).clamp_(0, BINS - 1)
    in_bins = (positions[..., None] - bins).abs_().neg_().add_(1).clamp_(min=0)
    is_coloured = ((positions[..., 1:] - (BINS - 1) / 2).abs() > 0.5).any(dim=3)
    knows = is_coloured.float().mean(dim=(1, 2)) >= LEAST_COLOURED
    return _halved(in_bins.flatten(3).permute(0, 3, 1, 2)) * knows[:, None, None, None]


def mask_colours(shares: Tensor, masks: Tensor) -> Tensor:
    """What each mask of each frame is coloured like, its upper and its lower half apart.

    Args:
        shares: float32 [T, 3 * BINS, h, w], as `colour_shares` gives them.
        masks: [T, n, h, w], logits.

    Returns:
        float32 [T, n, 6 * BINS], roots of shares, unit length, so that products of them are their
        histograms' Bhattacharyya coefficients; 0 of a grey frame, and where a mask has too few
        cells, or none in one half.
    """
    covered = masks.amax(dim=3) >= SURELY_INSIDE  # [T, n, h]
    rows = torch.arange(masks.shape[2], device=masks.device)
    top = torch.where(covered, rows, len(rows)).amin(dim=2, keepdim=True)
    bottom = torch.where(covered, rows, -1).amax(dim=2, keepdim=True)
    is_upper = 2 * rows <= top + bottom
    halves = torch.stack((is_upper, ~is_upper), dim=2)[..., None]  # [T, n, 2, h, 1]
    inside = (masks >= SURELY_INSIDE)[:, :, None] & halves
    cells = shares.permute(0, 2, 3, 1).flatten(1, 2)  # [T, h * w, 3 * BINS]
    sums = inside.flatten(3).flatten(1, 2).float() @ cells
    sums = sums.view(*covered.shape[:2], 2, cells.shape[2])
    counts = sums[..., :BINS].sum(dim=3, keepdim=True)  # a cell is in each channel's bins once
    colours = F.normalize((sums / counts.clamp(min=1)).sqrt().flatten(2), dim=2)
    is_known = (counts.sum(dim=2) >= FEWEST_CELLS - 0.5) & (counts >= 0.5).all(dim=2)
    return colours * is_known


def _halved(pixels: Tensor) -> Tensor:
    return F.avg_pool2d(pixels, 2, ceil_mode=True, count_include_pad=False)


@lru_cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Weights and offsets from red, green and blue in 0 to 255 to places among the bins, and these.

    Cached on the device: uploading them for each frame would make the host wait for it.
    """
    with torch.inference_mode(mode=False):  # they outlive the caller's mode
        mixes, ranges = (
            torch.tensor(each, dtype=torch.float32, device=device)
            for each in zip(*CHANNELS, strict=True)
        )
        low, high = ranges.unbind(1)
        scale = (BINS - 1) / (high - low)
        weights = mixes / 255 * scale[:, None]
        return weights, -low * scale, torch.arange(BINS, device=device)
