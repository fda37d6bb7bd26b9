"""Attention in blocks of scores: equal to PyTorch's, and chosen where it pays."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import model.attend as attention
from model.attend import PEAK_STEP, attend, attend_in_blocks


def three(dtype: torch.dtype, n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [1, 3, n, 8], keys and values [1, 3, m, 8], laid out as the transformer has them."""
    generator = torch.Generator().manual_seed(n)
    rows = (torch.randn(1, rows, 24, generator=generator).to(dtype) for rows in (n, m, m))
    query, key, value = (each.view(1, -1, 3, 8).transpose(1, 2) for each in rows)
    return query, key, value


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 40), (40, 7), (64, 100)])
def test_blocks_give_what_pytorch_gives(n: int, m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "BLOCK_SCORES", 300)
    parts = three(torch.float64, n, m)
    expected = F.scaled_dot_product_attention(*parts)
    assert torch.allclose(attend_in_blocks(*parts), expected, rtol=1e-12, atol=1e-14)


def test_blocks_round_the_scores_that_count_least(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = three(torch.bfloat16, 100, 2000)
    # As of neighbouring pixels: the highest score is like those around it.
    key = key[:, :, ::PEAK_STEP].repeat_interleave(PEAK_STEP, dim=2)
    exact = F.scaled_dot_product_attention(
        *(each.double() for each in (8 * query, key, value[:, :, : key.shape[2]]))
    )

    def error() -> float:
        answers = attend_in_blocks(8 * query, key, value[:, :, : key.shape[2]])
        return float((answers.double() - exact).norm() / exact.norm())

    monkeypatch.setattr(attention, "MOST_EXCESS", 127)  # or PyTorch's kernel would do it
    with_peaks = error()
    monkeypatch.setattr(torch.Tensor, "amax", lambda self, *_, **__: 0 * self[..., :1])
    assert with_peaks < 0.01
    assert with_peaks < error() / 2


@pytest.mark.parametrize("excess", [40, 80, 125, 126, 126.3, 126.6, 127, 128, 1000])
def test_answers_are_exact_however_wrong_the_guess_of_the_peak(excess: float) -> None:
    query, key, value = three(torch.bfloat16, 1, 2 * PEAK_STEP)
    key[:, :, ::PEAK_STEP] = 0  # what is guessed from
    value /= 8  # or products overflow before their sums do
    first = query[:, :, 0].double()
    for unseen in (1, 2, 3, 5):  # keys that the guess passes over
        wanted = excess / math.log2(math.e) * 8**0.5 / first.square().sum(-1, keepdim=True)
        key[:, :, unseen] = (first * wanted).bfloat16()
    exact = F.scaled_dot_product_attention(query.double(), key.double(), value.double())
    found = attend_in_blocks(query, key, value)
    assert float((found.double() - exact).norm() / exact.norm()) < 0.02


def test_near_scores_far_above_the_guess_of_the_peak_are_told_apart() -> None:
    query, key, value = three(torch.bfloat16, 1, 2 * PEAK_STEP)
    key[:, :, ::PEAK_STEP] = 0  # what is guessed from
    first = query[:, :, 0].double()
    wanted = 60 / math.log2(math.e) * 8**0.5 / first.square().sum(-1, keepdim=True)
    for unseen in range(1, PEAK_STEP):
        # Steps of an eighth, which bfloat16 does not have up there.
        key[:, :, unseen] = (first * wanted * (1 - unseen / 480)).bfloat16()
    exact = F.scaled_dot_product_attention(query.double(), key.double(), value.double())
    found = attend_in_blocks(query, key, value)
    assert float((found.double() - exact).norm() / exact.norm()) < 0.01


def test_a_score_far_above_those_that_are_looked_at_is_no_overflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query, key, value = three(torch.bfloat16, 4, 2 * PEAK_STEP)
    key[:, :, 1] = 200 * query[:, :, 0]  # one that the guess of the peak passes over
    blocks: list[Tensor] = []
    exp2 = torch.exp2

    def counting(scores: Tensor, *, out: Tensor) -> Tensor:
        blocks.append(scores)
        return exp2(scores, out=out)

    monkeypatch.setattr(attention, "BLOCK_SCORES", 2 * PEAK_STEP)  # a row each
    monkeypatch.setattr(torch, "exp2", counting)
    answers = attend_in_blocks(query, key, value)
    assert answers.isfinite().all()
    assert torch.equal(answers[:, :, 0], value[:, :, 1])
    assert len(blocks) == 1  # of twelve: none is calculated in vain


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"avx2": True}, False),
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": True, "amx_bf16": True}, False),
    ],
)
def test_blocks_are_for_bfloat16_by_avx512(
    found: dict[str, bool], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []

    def in_blocks(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        asked.append(tuple(query.shape))
        return query

    monkeypatch.setattr(attention, "attend_in_blocks", in_blocks)
    monkeypatch.setattr(attention, "FEW_SCORES", 64 * 100)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    with torch.inference_mode():
        attend(*three(torch.bfloat16, 64, 100))
        attend(*three(torch.bfloat16, 63, 100))
        attend(*three(torch.float32, 64, 100))
    attend(*three(torch.bfloat16, 64, 100))  # has a gradient
    assert asked == ([(1, 3, 64, 8)] if expected else [])
