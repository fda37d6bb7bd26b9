"""The whole head is compared with the slow reference in test_model_vistr."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from model.mask_head import BoxAttention, DeformableConv, build_instance_head


def test_box_attention_is_one_distribution_per_slot_and_frame() -> None:
    maps = BoxAttention(48, 4)(torch.randn(2, 3, 48), torch.randn(2, 48, 5, 7))
    assert maps.shape == (2, 3, 4, 5, 7)
    torch.testing.assert_close(maps.sum((2, 3, 4)), torch.ones(2, 3))


def test_deformable_convolution_without_offsets_is_a_convolution() -> None:
    layer = DeformableConv(6, 3)
    x = torch.randn(2, 6, 5, 7)
    expected = F.conv2d(x, layer.weight, padding=1)
    torch.testing.assert_close(layer(x, torch.zeros(2, 18, 5, 7)), expected, atol=1e-5, rtol=1e-5)


def test_deformable_convolution_reads_where_the_offsets_point() -> None:
    layer = DeformableConv(6, 3)
    x = torch.randn(1, 6, 8, 9)
    offset = torch.zeros(1, 18, 8, 9)
    offset[:, 0::2] = 2  # two rows down, for all taps
    offset[:, 1::2] = -1  # one column to the left
    moved = layer(x, offset)
    plain = layer(x, torch.zeros_like(offset))
    torch.testing.assert_close(moved[..., 1:5, 3:7], plain[..., 3:7, 2:6], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_deformable_convolution_keeps_the_type(dtype: torch.dtype) -> None:
    layer = DeformableConv(6, 3).to(dtype)
    out = layer(torch.ones(1, 6, 4, 4, dtype=dtype), torch.zeros(1, 18, 4, 4, dtype=dtype))
    assert out.dtype == dtype


def test_the_instance_head_looks_along_time() -> None:
    head = build_instance_head(6)
    x = torch.randn(2, 6, 5, 4, 3)
    before = head(x)
    assert before.shape == (2, 1, 5, 4, 3)
    x[0, :, 0] += torch.randn(6, 4, 3)
    after = head(x)
    assert not torch.allclose(after[0, 0, 2], before[0, 0, 2])
    assert torch.equal(after[1], before[1])
