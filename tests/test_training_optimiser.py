"""Which parameters learn, how fast, and what short clips leave alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from model import Architecture, VisTR
from tests.training_cases import random_batch, tiny_trainee
from training.criterion import LossConfig, losses
from training.network import Trainee
from training.optimiser import hold_taps_in_time, make_optimiser
from training.run_config import TrainConfig

UNUSED = {"net.vistr.transformer.decoder.layers.0.self_attn.in_proj_weight"}
"""The first decoder layer's queries have nothing to tell each other yet."""

CONFIG = TrainConfig(out=Path("unused"), rate=0.01, backbone_rate=0.001, weight_decay=0.0)


def learn(trainee: Trainee, config: TrainConfig = CONFIG) -> set[str]:
    """Names of the parameters that two steps change."""
    optimiser = make_optimiser(trainee, config)
    before = {name: tensor.clone() for name, tensor in trainee.state_dict().items()}
    for _ in range(2):
        optimiser.zero_grad()
        parts = losses(trainee, random_batch([[1, 2], [3]]), LossConfig(token=1))
        torch.stack(list(parts.values())).sum().backward()
        optimiser.step()
    after = trainee.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_all_but_the_first_layers_of_the_backbone_learn() -> None:
    trainee = tiny_trainee(groups=2)
    body = "net.vistr.backbone.0.body."
    names = {name for name, _ in trainee.named_parameters()}
    early = {name for name in names if name.startswith(tuple(f"{body}{n}." for n in range(4)))}
    assert len(early) == 9
    assert learn(trainee) == names - early - UNUSED


def test_a_backbone_without_a_rate_stays_as_it_is() -> None:
    trainee = tiny_trainee()
    names = {name for name, _ in trainee.named_parameters()}
    rest = {name for name in names if not name.startswith("net.vistr.backbone.")}
    assert learn(trainee, replace(CONFIG, backbone_rate=0.0)) == rest - UNUSED


def test_the_backbone_has_a_rate_of_its_own() -> None:
    trainee = tiny_trainee()
    backbone, rest = make_optimiser(trainee, CONFIG).param_groups
    assert (backbone["full_rate"], rest["full_rate"]) == (0.001, 0.01)
    own = [p for p in trainee.net.vistr.backbone.parameters() if p.requires_grad]
    assert [id(p) for p in backbone["params"]] == [id(p) for p in own]
    learning = [p for p in trainee.parameters() if p.requires_grad]
    assert len(backbone["params"]) + len(rest["params"]) == len(learning)


def test_of_a_resnet_the_stem_and_the_first_stage_stay() -> None:
    small = Architecture("resnet18", hidden_dim=48, heads=4, ffn_dim=8, frames=2, slots=2)
    trainee = Trainee(VisTR(small))
    make_optimiser(trainee, CONFIG)
    body = trainee.net.vistr.backbone[0].body
    still = {name.split(".")[0] for name, p in body.named_parameters() if not p.requires_grad}
    assert still == {"conv1", "layer1"}
    assert all(p.requires_grad for p in body.layer2.parameters())


def taps(trainee: Trainee) -> list[Tensor]:
    """Kernels of the 3-D head over time, [out, in, 3, 3, 3]."""
    return [trainee.net.insmask_head[index].weight.detach().clone() for index in (0, 3, 6)]


def test_taps_that_are_held_learn_nothing_of_other_frames() -> None:
    trainee = tiny_trainee()
    before = taps(trainee)
    hold_taps_in_time(trainee.net)
    learn(trainee)
    for old, new in zip(before, taps(trainee), strict=True):
        assert torch.equal(old[:, :, ::2], new[:, :, ::2])
        assert (old[:, :, 1] != new[:, :, 1]).any()
