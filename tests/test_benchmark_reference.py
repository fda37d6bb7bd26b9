"""The slow reference of the benchmarks computes what the network computes."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest
import torch

from benchmarks.reference import slow_reference
from model import VisTR
from model.initialise import random_tensors
from tests.tiny_vistr import tiny_vistr


@pytest.mark.parametrize("deformable", [False, True])
@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet50"])
def test_it_says_what_the_network_says(backbone: str, deformable: bool) -> None:
    architecture = replace(
        tiny_vistr(frames=5, slots=3).architecture, backbone=backbone, deformable=deformable
    )
    net = VisTR(architecture)
    net.load_state_dict(random_tensors(architecture, 1))
    net = net.double().requires_grad_(False)
    images = torch.randn(5, 3, 70, 100, dtype=torch.float64)
    for found, expected in zip(
        astuple(slow_reference(net, images)), astuple(net(images)), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
