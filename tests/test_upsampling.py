"""Upsampled masks equal PyTorch's full bilinear interpolation, thresholded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from streamer.frame import Region
from streamer.stitching.upsampling import fill_box, upsample_mask


@pytest.mark.parametrize(
    ("low", "high"),
    [((20, 40), (20, 40)), ((19, 33), (75, 131)), ((75, 134), (300, 533)), ((20, 40), (13, 17))],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_upsampling_equals_the_full_interpolation(
    low: tuple[int, int], high: tuple[int, int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 2, low).astype(np.float32)
    # Something at the first borders, off all of them, and at the last.
    rows, columns = ((side - side // 2) * seed // 2 for side in low)
    keep = np.zeros(low, np.bool_)
    keep[rows : rows + low[0] // 2, columns : columns + low[1] // 2] = True
    logits[~keep] = -3
    full = F.interpolate(torch.from_numpy(logits)[None, None], high, mode="bilinear")[0, 0]
    expected = np.zeros((high[0] + 5, high[1] + 9), np.bool_)
    expected[2 : 2 + high[0], 3 : 3 + high[1]] = full.numpy() > 0

    mask = upsample_mask(logits, Region(2, 3, *high), (high[0] + 5, high[1] + 9))
    assert mask is not None
    assert (mask.array() == expected).all()


def test_upsampling_of_nothing_is_none() -> None:
    nothing = np.full((20, 40), -1, np.float32)
    assert upsample_mask(nothing, Region(0, 0, 80, 160), (80, 160)) is None
    # One faint pixel between two kept ones: lost when the picture is smaller than the logits.
    nothing[0, 0] = 0.1
    assert upsample_mask(nothing, Region(0, 0, 5, 10), (5, 10)) is None


@pytest.mark.parametrize(
    ("box", "xywh"),
    [
        ((0.5, 0.5, 0.5, 0.5), (15, 10, 20, 20)),
        ((0.5, 0.5, 9.0, 9.0), (5, 0, 40, 40)),
        ((0.0, 1.0, 0.5, 0.25), (5, 35, 10, 5)),
        ((0.31, 0.5, 0.05, 0.5), (16, 10, 2, 20)),
    ],
)
def test_a_box_becomes_its_pixels_cut_at_the_region(
    box: tuple[float, ...], xywh: tuple[int, int, int, int]
) -> None:
    mask = fill_box(np.array(box, np.float32), Region(0, 5, 40, 40), (50, 60))
    assert mask is not None
    assert (mask.bbox_xywh, mask.area) == (xywh, xywh[2] * xywh[3])


@pytest.mark.parametrize("box", [(0.5, 0.5, 0.001, 0.5), (1.5, 0.5, 0.2, 0.2)])
def test_a_box_without_pixels_is_none(box: tuple[float, ...]) -> None:
    assert fill_box(np.array(box, np.float32), Region(0, 0, 40, 40), (40, 40)) is None
