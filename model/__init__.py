"""VisTR, the network and nothing else: weights in, a window of frames in, instances out."""

from __future__ import annotations

from model.architecture import LIGHT, RESNET50, RESNET101, Architecture
from model.checkpoint import load_vistr, save_vistr
from model.errors import CheckpointError
from model.features import FrameFeatures, VisTROutput, WindowState
from model.vistr import VisTR

__all__ = [
    "LIGHT",
    "RESNET50",
    "RESNET101",
    "Architecture",
    "CheckpointError",
    "FrameFeatures",
    "VisTR",
    "VisTROutput",
    "WindowState",
    "load_vistr",
    "save_vistr",
]
