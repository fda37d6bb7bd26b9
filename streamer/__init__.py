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
    from streamer.frame_stream import FrameStream
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
    "FrameStream": "streamer.frame_stream",
    "Instance": "streamer.output",
    "StitchConfig": "streamer.window_config",
    "StreamInfo": "streamer.output",
    "Summary": "streamer.stats",
}
"""Where names are that are imported late: readers (`streamer.client`) must not wait for PyTorch."""


def stream(source: str | int | PathLike[str] | None = None, /, **options: Any) -> FrameStream:
    """Finished frames of a source, in this process.

    ::

        with streamer.stream("video.mp4", weights="vistr_r50.pth", stride=12) as frames:
            for result in frames:
                for instance in result.instances:
                    print(result.frame.index, instance.track_id, instance.mask().shape)

    Args:
        source: As on the command line; None is the clip that ships with the project. By the name
            ``source`` a group of options may stand, too.
        **options: Fields of `StreamConfig`, `WindowConfig` (``stride``, ``emit_delay``, …) and
            `SourceConfig` (``live``, ``loop``, …), and whole groups such as
            ``stitch=streamer.StitchConfig(…)`` or ``source={"loop": True}``.

    Raises:
        ConfigError: An option is unknown, of another type or out of range.
        StreamError: A package is missing.
    """
    share_cores()
    with whole_installation():
        from streamer.frame_stream import stream as open_stream  # noqa: PLC0415 - see `_MODULES`

    return open_stream(source, **options)


if not TYPE_CHECKING:  # for which any name would be there

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        share_cores()
        with whole_installation():
            return getattr(import_module(_MODULES[name]), name)
