"""`model.group_norm`: PyTorch's results, by another way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from model.group_norm import GroupNorm, normalise_rows
from model.layout import CHANNELS_LAST

SHAPES = [(3, 24, 5, 7), (2, 24, 1, 1), (2, 24, 4, 5, 6), (1, 24, 6, 1, 3)]


def random_norm(groups: int, dtype: torch.dtype) -> GroupNorm:
    norm = GroupNorm(groups, 24, dtype=dtype)
    torch.manual_seed(0)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm.requires_grad_(False)


def features(shape: tuple[int, ...], dtype: torch.dtype, offset: float = 2.0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3 + offset
    return values.to(dtype).contiguous(memory_format=CHANNELS_LAST[len(shape)])


@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_pytorchs(shape: tuple[int, ...], groups: int) -> None:
    norm, x = random_norm(groups, torch.float64), features(shape, torch.float64)
    expected = nn.GroupNorm.forward(norm, x)
    assert torch.allclose(normalise_rows(x, norm), expected, atol=1e-9)
    with torch.inference_mode():
        result = norm(x)
    assert torch.allclose(result, expected, atol=1e-9)
    assert result.is_contiguous(memory_format=CHANNELS_LAST[len(shape)])


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_low_precision_rounds_little(dtype: torch.dtype, error: float) -> None:
    # Many numbers, far from zero: the hardest for a difference of sums.
    norm, x = random_norm(4, dtype), features((1, 24, 12, 40, 50), dtype, offset=20.0)
    exact = nn.functional.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double())
    with torch.inference_mode():
        result = norm(x)
    assert result.dtype == dtype
    assert (result - exact).abs().max() < error * exact.abs().max()


def test_a_constant_input_stays_finite() -> None:
    norm, x = random_norm(4, torch.float32), torch.full((1, 24, 2, 9, 9), 333.3)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        assert torch.allclose(norm(x), norm.bias.view(1, 24, 1, 1, 1).expand_as(x), atol=0.05)


@torch.inference_mode()
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_long_samples_are_left_to_batch_normalisation(
    samples: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    norm, x = random_norm(4, dtype), features((samples, 24, 6, 20, 30), torch.float64, offset=0)
    x = (x / 6 + 20.03).to(dtype)
    monkeypatch.setattr("model.group_norm.CACHED_NUMBERS", x[0].numel())
    long = norm(x)
    monkeypatch.setattr("model.group_norm.CACHED_NUMBERS", x[0].numel() + 1)
    short = norm(x)
    assert long.dtype == dtype
    assert long.stride() == short.stride()
    # Means in half precision, all of them nearly the same, would be 20.
    apart = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-3}[dtype]
    assert (long - short).abs().double().mean() < apart


@torch.inference_mode()
def test_what_exceeds_the_caches_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    norm = random_norm(4, torch.float64)
    for shape in SHAPES:
        x = features(shape, torch.float64)
        whole = normalise_rows(x, norm)
        for numbers in (1, 2 * x[0].numel() // 3, 2 * x[0].numel()):
            monkeypatch.setattr("model.group_norm.CACHED_NUMBERS", numbers)
            assert torch.allclose(normalise_rows(x, norm), whole, atol=1e-12)
        monkeypatch.undo()


@pytest.mark.parametrize("shape", [(2, 24, 3, 4), (1, 24, 2, 2, 2)])  # of images, and of a window
def test_training_gets_pytorchs_gradients(shape: tuple[int, ...]) -> None:
    norm = random_norm(4, torch.float64).requires_grad_()
    x = features(shape, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(norm, (x,))
