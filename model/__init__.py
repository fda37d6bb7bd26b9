"""VisTR, the network and nothing else: weights in, a window of frames in, instances out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "LIGHT": "model.architecture",
    "RESNET50": "model.architecture",
    "RESNET101": "model.architecture",
    "Architecture": "model.architecture",
    "CheckpointError": "model.errors",
    "FrameFeatures": "model.features",
    "VisTR": "model.vistr",
    "VisTROutput": "model.features",
    "WindowState": "model.features",
    "load_vistr": "model.checkpoint",
    "save_vistr": "model.checkpoint",
}
"""Where names are that are imported late: what needs a part of this must not wait for PyTorch."""


if not TYPE_CHECKING:  # for which any name would be there

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)
