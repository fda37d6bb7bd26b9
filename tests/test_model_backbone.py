from __future__ import annotations

import platform
from math import ceil

import pytest
import torch
from torch import nn

from model.architecture import BACKBONE_CHANNELS
from model.backbone import FrozenBatchNorm2d, build_backbone
from model.folding import fold_batch_norms
from model.fused_blocks import FusedConv, fuse_blocks
from model.layout import store_channels_last


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


def draw_norms(backbone: nn.Module, gain: float = 1.0) -> None:
    """Norms as of learned weights: fresh ones fold to biases of 0, and nothing reaches 6."""
    for module in backbone.modules():
        if isinstance(module, FrozenBatchNorm2d):
            for tensor in (module.weight, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                tensor.uniform_(-0.5, 0.5)
            module.weight *= gain


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_folded_norms_change_nothing(name: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name, dilation=False).double().requires_grad_(False)
    draw_norms(backbone)
    images = torch.rand(2, 3, 48, 64, dtype=torch.float64)
    before = backbone(images)
    fold_batch_norms(backbone)
    assert not any(isinstance(module, FrozenBatchNorm2d) for module in backbone.modules())
    torch.testing.assert_close(backbone(images), before)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_fused_blocks_change_nothing_on_a_cpu(name: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name, dilation=name == "resnet50").requires_grad_(False)
    draw_norms(backbone, gain=4 if name == "mobilenet_v2" else 1)
    fold_batch_norms(backbone)
    store_channels_last(backbone)
    # Weights are packed for the first of these sizes.
    batches = [torch.rand(2, 3, 48, 64), torch.rand(1, 3, 80, 50), torch.rand(2, 3, 48, 64)]
    before = [backbone(images) for images in batches]
    fuse_blocks(backbone)
    with torch.inference_mode():
        for images, expected in zip(batches, before, strict=True):
            for actual, level in zip(backbone(images), expected, strict=True):
                largest = float(level.abs().max())
                torch.testing.assert_close(actual, level, atol=3e-4 * largest, rtol=3e-4)
                assert actual.is_contiguous(memory_format=torch.channels_last)
    fused = any(isinstance(module, FusedConv) for module in backbone.modules())
    assert fused == (platform.machine() == "x86_64")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_fused_blocks_round_once_instead_of_three_times(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name, dilation=False).requires_grad_(False)
    fold_batch_norms(backbone)
    store_channels_last(backbone)
    images = torch.rand(2, 3, 48, 64)
    exact = backbone(images)
    backbone.to("cuda", dtype)
    images = images.to("cuda", dtype)
    apart = backbone(images)
    fuse_blocks(backbone)
    with torch.inference_mode():
        fused = backbone(images)
    for one, other, truth in zip(fused, apart, exact, strict=True):
        error, before = ((x.float().cpu() - truth).abs().mean() for x in (one, other))
        assert one.is_contiguous(memory_format=torch.channels_last)
        assert error <= 1.1 * before
