from __future__ import annotations

from math import ceil

import pytest
import torch
from torch import nn

from model.architecture import BACKBONE_CHANNELS
from model.backbone import FrozenBatchNorm2d, build_backbone


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "mobilenet_v2"])
def test_levels_have_the_listed_channels_and_strides(name: str) -> None:
    with torch.device("meta"):
        levels = build_backbone(name, dilation=False)(torch.empty(2, 3, 97, 131))
    for level, channels, stride in zip(
        levels, BACKBONE_CHANNELS[name], (4, 8, 16, 32), strict=True
    ):
        assert tuple(level.shape) == (2, channels, ceil(97 / stride), ceil(131 / stride))


def test_dilation_keeps_the_last_level_at_stride_16() -> None:
    with torch.device("meta"):
        levels = build_backbone("resnet50", dilation=True)(torch.empty(1, 3, 64, 96))
    assert [tuple(level.shape[-2:]) for level in levels[2:]] == [(4, 6), (4, 6)]


def test_frozen_batch_norm_is_batch_norm_that_never_learns() -> None:
    learned = nn.BatchNorm2d(5)
    learned(torch.randn(8, 5, 6, 7) * 3 + 1)
    nn.init.normal_(learned.weight)
    nn.init.normal_(learned.bias)
    frozen = FrozenBatchNorm2d(5)
    frozen.load_state_dict(
        {key: value for key, value in learned.state_dict().items() if key != "num_batches_tracked"}
    )
    x = torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(frozen.train()(x), learned.eval()(x))
    assert not list(frozen.parameters())
