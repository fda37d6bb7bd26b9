from __future__ import annotations

import math

import pytest
import torch

from model.position import cached_positions, sine_positions


@pytest.mark.parametrize(
    ("frame", "row", "column", "channel"),
    [(0, 0, 0, 0), (1, 2, 3, 9), (2, 1, 4, 21), (1, 0, 2, 10)],
)
def test_every_axis_has_its_third(frame: int, row: int, column: int, channel: int) -> None:
    frames, height, width, dim = 3, 4, 5, 24
    positions = sine_positions((frames, height, width), dim)
    assert positions.shape == (frames * height * width, dim)
    assert positions.dtype == torch.float32
    axis, within = divmod(channel, 8)
    index, length = ((frame, frames), (row, height), (column, width))[axis]
    angle = (index + 1) / length * 2 * math.pi / 10000 ** (within // 2 * 2 / 8)
    expected = math.cos(angle) if within % 2 else math.sin(angle)
    token = (frame * height + row) * width + column
    assert positions[token, channel].item() == pytest.approx(expected, abs=1e-5)


def test_no_two_tokens_are_at_one_position() -> None:
    positions = sine_positions((4, 5, 6), 48)
    distances = torch.cdist(positions, positions) + torch.eye(len(positions))
    assert distances.min() > 0.01


def test_positions_are_kept_for_each_grid_and_type() -> None:
    def positions(grid: tuple[int, int, int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return cached_positions(grid, 48, dtype, torch.device("cpu"))

    first = positions((2, 3, 4))
    turned = positions((2, 4, 3))
    assert positions((2, 3, 4)) is first
    assert not torch.equal(turned, first)
    exact = positions((2, 4, 3), torch.float64)
    assert exact.dtype == torch.float64
    torch.testing.assert_close(exact.float(), turned)


def test_positions_first_asked_for_in_inference_serve_training_too() -> None:
    cached_positions.cache_clear()
    with torch.inference_mode():
        positions = cached_positions((1, 2, 3), 48, torch.float32, torch.device("cpu"))
    scale = torch.ones(48, requires_grad=True)
    (positions * scale).sum().backward()
    assert scale.grad is not None
