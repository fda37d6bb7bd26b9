"""Colour histograms, by hand, and masks that look alike or do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamer.stitching.colour_histograms import (
    BINS,
    CHROMA_RANGE,
    INTENSITY_RANGE,
    colour_shares,
    mask_colours,
)

RED, BLUE, GREY = (200, 40, 40), (40, 40, 200), (120, 120, 120)

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def picture(*parts: tuple[tuple[int, int, int], slice, slice]) -> torch.Tensor:
    """uint8 [1, 64, 96, 3], grey but for parts: colour, rows and columns of cells each."""
    cells = np.full((16, 24, 3), GREY, np.uint8)
    for colour, rows, columns in parts:
        cells[rows, columns] = colour
    return torch.from_numpy(cells.repeat(4, axis=0).repeat(4, axis=1))[None]


def mask(rows: slice, columns: slice, logit: float = 5) -> torch.Tensor:
    """Logits [1, 1, 16, 24]."""
    logits = torch.full((1, 1, 16, 24), -5.0)
    logits[:, :, rows, columns] = logit
    return logits


def by_hand(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Shares of a block of 4x4 pixels, [3 * BINS]: means of 2x2 pixels, each in two bins."""
    shares = np.zeros((3, BINS))
    for top in (0, 2):
        for left in (0, 2):
            red, green, blue = pixels[top : top + 2, left : left + 2].mean(axis=(0, 1)) / 255
            values = (red + green + blue) / 3, (red - green) / 2, (blue - (red + green) / 2) / 2
            ranges = INTENSITY_RANGE, CHROMA_RANGE, CHROMA_RANGE
            for channel, (value, (low, high)) in enumerate(zip(values, ranges, strict=True)):
                position = min(max((value - low) / (high - low), 0), 1) * (BINS - 1)
                lower = min(int(position), BINS - 2)
                shares[channel, lower] += (lower + 1 - position) / 4
                shares[channel, lower + 1] += (position - lower) / 4
    return shares.reshape(-1)


@pytest.mark.parametrize("device", DEVICES)
def test_cells_have_the_shares_of_their_pixels(device: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), np.uint8)
    found = colour_shares(torch.from_numpy(frames).to(device)).cpu().numpy()
    assert found.shape == (2, 3 * BINS, 2, 3)
    for index in np.ndindex(2, 2, 3):
        frame, row, column = index
        block = frames[frame, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert np.allclose(found[frame, :, row, column], by_hand(block), atol=1e-5)


def test_the_last_cells_may_be_cut_off() -> None:
    shares = colour_shares(torch.full((1, 9, 14, 3), 77, dtype=torch.uint8))
    assert shares.shape == (1, 3 * BINS, 3, 4)  # as masks of 9x14 pixels are
    assert torch.allclose(shares, shares[:, :, :1, :1].expand_as(shares), atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_alike_are_those_of_the_same_colours_in_the_same_halves(device: str) -> None:
    upper, lower = slice(2, 5), slice(5, 8)
    places = slice(1, 4), slice(9, 12), slice(17, 20)
    suits = (RED, BLUE), (RED, BLUE), (BLUE, RED)
    parts = [
        part
        for columns, (top, bottom) in zip(places, suits, strict=True)
        for part in ((top, upper, columns), (bottom, lower, columns))
    ]
    masks = torch.cat([mask(slice(2, 8), columns) for columns in places], dim=1)
    shares = colour_shares(picture(*parts).to(device))
    colours = mask_colours(shares, masks.to(device)).cpu()
    assert colours.shape == (1, 3, 6 * BINS)
    alike = (colours[0] @ colours[0].T).numpy()
    assert np.allclose(alike[:2, :2], 1, atol=1e-4)
    assert (alike[:2, 2] < 0.6).all()  # the same colours, upside down


def test_only_what_is_surely_inside_counts() -> None:
    seen = picture((RED, slice(4, 8), slice(4, 8)))
    inner, outer = mask(slice(4, 8), slice(4, 8)), mask(slice(3, 9), slice(3, 9), logit=0.5)
    shares = colour_shares(seen)
    exact = mask_colours(shares, inner)
    assert torch.allclose(mask_colours(shares, torch.maximum(inner, outer)), exact)
    sure_of_more = mask_colours(shares, mask(slice(3, 9), slice(3, 9)))
    assert float((sure_of_more * exact).sum()) < 0.95


def test_of_a_grey_frame_nothing_is_known() -> None:
    noise = np.random.default_rng(0).integers(-3, 4, (64, 96, 3))
    grey = np.linspace(20, 230, 96)[:, None].repeat(3, axis=1) + noise
    coloured = grey.copy()
    coloured[:16, :16] = RED
    frames = np.stack([grey, coloured]).astype(np.uint8)
    colours = mask_colours(
        colour_shares(torch.from_numpy(frames)), mask(slice(6, 9), slice(9, 12)).repeat(2, 1, 1, 1)
    )
    assert not colours[0].any()
    assert colours[1].any()


def test_of_too_few_cells_nothing_is_known() -> None:
    shares = colour_shares(picture((RED, slice(8, 12), slice(8, 12))))
    assert not mask_colours(shares, mask(slice(0, 1), slice(0, 2))).any()
    assert not mask_colours(shares, mask(slice(0, 0), slice(0, 0))).any()
    assert not mask_colours(shares, mask(slice(0, 1), slice(0, 9))).any()  # no lower half
    known = mask_colours(shares, mask(slice(0, 2), slice(0, 2)))
    assert float((known**2).sum()) == pytest.approx(1, abs=1e-5)
    assert mask_colours(shares, torch.empty(1, 0, 16, 24)).shape == (1, 0, 6 * BINS)
