"""`model.inference`: a network that is ready to predict says the same."""

from __future__ import annotations

from dataclasses import astuple

import torch

from model import VisTR
from model.backbone import FrozenBatchNorm2d
from model.inference import optimise_for_inference
from tests.tiny_vistr import tiny_vistr

CPU = torch.device("cpu")


def prepared(dtype: torch.dtype) -> VisTR:
    net = tiny_vistr()
    optimise_for_inference(net, CPU, dtype)
    return net


def test_it_says_the_same() -> None:
    net = prepared(torch.float64)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 64, 96, dtype=torch.float64, generator=generator)
    for found, expected in zip(
        astuple(net(images)), astuple(tiny_vistr().double()(images)), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)  # folded in float32
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float64}
    assert not any(isinstance(module, FrozenBatchNorm2d) for module in net.modules())
    assert net.mask_head.lay2.weight.is_contiguous(memory_format=torch.channels_last)


def test_on_a_cpu_half_precision_leaves_the_small_backbone_as_it_was() -> None:
    exact, halved = prepared(torch.float32), prepared(torch.bfloat16)
    images = torch.rand(4, 3, 64, 96)
    for found, expected in zip(
        halved.vistr.backbone[0](images), exact.vistr.backbone[0](images), strict=True
    ):
        assert torch.equal(found, expected)
    assert halved.dtype == halved(images).masks.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in halved.mask_head.parameters()} == {torch.bfloat16}
