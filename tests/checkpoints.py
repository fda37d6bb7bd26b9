"""Files of weights in tests, and how they are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model import Architecture, CheckpointError, VisTR, load_vistr

TINY_RESNET = Architecture(
    backbone="resnet18",
    hidden_dim=48,
    heads=4,
    ffn_dim=32,
    encoder_layers=1,
    decoder_layers=1,
    num_classes=6,
    frames=36,
    slots=2,
)


def save_published(path: Path, tensors: dict[str, Tensor], **content: Any) -> Path:
    torch.save({"model": tensors, **content}, path)
    return path


def refusal(path: Path, **request: Any) -> str:
    """The one-line message with which a file is refused, without the file's name."""
    with pytest.raises(CheckpointError) as caught:
        load_vistr(path, **request)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def assert_same_weights(net: VisTR, tensors: dict[str, Tensor]) -> None:
    loaded = net.state_dict()
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)
