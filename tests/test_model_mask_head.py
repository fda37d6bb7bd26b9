"""The whole head is compared with the slow reference in test_model_vistr."""

from __future__ import annotations

import torch

from model.mask_head import BoxAttention, build_instance_head


def test_box_attention_is_one_distribution_per_slot_and_frame() -> None:
    maps = BoxAttention(48, 4)(torch.randn(2, 3, 48), torch.randn(2, 48, 5, 7))
    assert maps.shape == (2, 3, 4, 5, 7)
    torch.testing.assert_close(maps.sum((2, 3, 4)), torch.ones(2, 3))


def test_the_instance_head_looks_along_time() -> None:
    head = build_instance_head(6)
    x = torch.randn(2, 6, 5, 4, 3)
    before = head(x)
    assert before.shape == (2, 1, 5, 4, 3)
    x[0, :, 0] += torch.randn(6, 4, 3)
    after = head(x)
    assert not torch.allclose(after[0, 0, 2], before[0, 0, 2])
    assert torch.equal(after[1], before[1])
