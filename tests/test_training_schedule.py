"""The learning rate over a run."""

from __future__ import annotations

import pytest

from training.schedule import rate


def test_rates_rise_in_a_line_and_fall_along_half_a_cosine() -> None:
    rates = [rate(step, 50, 10) for step in range(50)]
    assert rates[:10] == pytest.approx([n / 10 for n in range(1, 11)])
    assert rates[10] == 1
    assert rates[30] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 5), (5, 5), (3, 2)])
def test_short_runs_learn_at_every_step(steps: int, warmup: int) -> None:
    assert all(0 < rate(step, steps, warmup) <= 1 for step in range(steps))
