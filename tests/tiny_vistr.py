"""A VisTR small enough to run a window in milliseconds, with random weights."""

from __future__ import annotations

from pathlib import Path

from model import Architecture, VisTR, save_vistr
from model.initialise import random_tensors


def tiny_vistr(
    frames: int = 4,
    slots: int = 3,
    classes: int = 5,
    *,
    short_side: int = 64,
    seed: int = 0,
    trained: bool = True,
) -> VisTR:
    """A VisTR with `classes` categories, named class_1, class_2, …; in eval mode."""
    architecture = Architecture(
        backbone="mobilenet_v2",
        hidden_dim=48,
        heads=4,
        ffn_dim=64,
        encoder_layers=1,
        decoder_layers=2,
        num_classes=classes + 1,
        frames=frames,
        slots=slots,
        short_side=short_side,
    )
    net = VisTR(architecture, trained=trained)
    net.load_state_dict(random_tensors(architecture, seed))
    return net.eval().requires_grad_(False)


def save_tiny_vistr(path: Path, **options: int) -> VisTR:
    """Write a `tiny_vistr` to a ``.safetensors`` file, and return it."""
    net = tiny_vistr(**options)
    save_vistr(net, path)
    return net
