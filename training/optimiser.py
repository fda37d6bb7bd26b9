"""Which parameters learn, and how fast."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from model import VisTR
from training.network import Trainee
from training.run_config import TrainConfig


def make_optimiser(trainee: Trainee, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW with a rate of its own for the backbone; each group's highest is its ``full_rate``.

    The backbone's layers up to stride 4 stay as they are, as in VisTR and DETR, and all of it does
    where its rate is 0.
    """
    still = _early(trainee.net)
    if not config.backbone_rate:
        still = list(trainee.net.vistr.backbone.parameters())
    for parameter in still:
        parameter.requires_grad_(False)
    backbone: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in trainee.named_parameters():
        if parameter.requires_grad:
            (backbone if name.startswith("net.vistr.backbone.") else rest).append(parameter)
    groups = [
        {"params": backbone, "full_rate": config.backbone_rate},
        {"params": rest, "full_rate": config.rate},
    ]
    return torch.optim.AdamW(groups, lr=config.rate, weight_decay=config.weight_decay)


def hold_taps_in_time(net: VisTR) -> None:
    """Keep the 3-D head from learning how frames follow each other.

    In short clips, which are sampled from the window, they follow at other distances.
    """
    for layer in net.insmask_head:
        if isinstance(layer, nn.Conv3d) and layer.kernel_size[0] > 1:
            layer.weight.register_hook(_middle_only)


def _middle_only(gradient: Tensor) -> Tensor:
    """The gradient of a kernel [out, in, T, h, w], zero but for the middle one of its T taps."""
    middle = gradient.shape[2] // 2
    held = torch.zeros_like(gradient)
    held[:, :, middle] = gradient[:, :, middle]
    return held


def _early(net: VisTR) -> list[nn.Parameter]:
    body = cast("nn.Module", net.vistr.backbone[0].body)
    names = ("0.", "1.", "2.", "3.") if isinstance(body, nn.Sequential) else ("conv1.", "layer1.")
    return [parameter for name, parameter in body.named_parameters() if name.startswith(names)]
