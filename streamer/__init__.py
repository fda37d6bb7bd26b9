"""Real-time video instance segmentation: video in, masks with stable identities out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamer.errors import CheckpointError, ConfigError, DeviceError, SourceError, StreamError
from streamer.installation import whole_installation
from streamer.openmp import share_cores

if TYPE_CHECKING:
    from os import PathLike

    from streamer.frame import Frame
    from streamer.in_process import FrameStream
    from streamer.output import FrameResult, Instance, StreamInfo
    from streamer.stats import Summary
    from streamer.window_config import StitchConfig

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DeviceError",
    "Frame",
    "FrameResult",
    "FrameStream",
    "Instance",
    "SourceError",
    "StitchConfig",
    "StreamError",
    "StreamInfo",
    "Summary",
    "stream",
]

__version__ = "0.1.0"

_MODULES = {
    "Frame": "streamer.frame",
    "FrameResult": "streamer.output",
    "FrameStream": "streamer.in_process",
    "Instance": "streamer.output",
    "StitchConfig": "streamer.window_config",
    "StreamInfo": "streamer.output",
    "Summary": "streamer.stats",
}
"""Where names are that are imported late: readers (`streamer.client`) must not wait for PyTorch."""


def stream(source: str | int | PathLike[str] | None = None, /, **options: Any) -> FrameStream:
    """Finished frames of a source, in this process: see `streamer.in_process.stream`."""
    share_cores()
    with whole_installation():
        from streamer.in_process import stream as open_stream  # noqa: PLC0415 - see `_MODULES`

    return open_stream(source, **options)


if not TYPE_CHECKING:  # for which any name would be there

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        share_cores()
        with whole_installation():
            return getattr(import_module(_MODULES[name]), name)
