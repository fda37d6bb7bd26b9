"""Reproducible random parameters for a network that nobody has trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.architecture import Architecture
from model.vistr import VisTR


def random_tensors(architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """Float32 parameters and buffers of a network, the same for the same seed.

    The global random state is neither used nor changed.

    Args:
        architecture: Of the network.
        seed: Any integer.

    Returns:
        Tensors by state-dict key, on the CPU.
    """
    with torch.device("meta"):
        net = VisTR(architecture)
    tensors: dict[str, Tensor] = net.to_empty(device="cpu").state_dict()
    generator = torch.Generator().manual_seed(seed)
    for key, tensor in tensors.items():
        _fill(key, tensor, generator)
    return tensors


def _fill(key: str, tensor: Tensor, generator: torch.Generator) -> None:
    if key == "mask_head.conv_offset.weight":
        # An undeformed grid to start from. Source: VisTR's mask head.
        nn.init.zeros_(tensor)
    elif key == "vistr.query_embed.weight":
        nn.init.normal_(tensor, generator=generator)
    elif tensor.ndim >= 4:
        nn.init.kaiming_normal_(tensor, nonlinearity="relu", generator=generator)
    elif tensor.ndim == 2:
        nn.init.xavier_uniform_(tensor, generator=generator)
    elif key.endswith((".weight", ".running_var")):
        nn.init.ones_(tensor)
    else:
        nn.init.zeros_(tensor)
