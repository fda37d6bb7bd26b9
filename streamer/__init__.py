"""Real-time video instance segmentation: video in, masks with stable identities out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamer.errors import StreamError
from streamer.installation import whole_installation
from streamer.openmp import share_cores

if TYPE_CHECKING:
    from os import PathLike

    from streamer.in_process import FrameStream

__all__ = ["StreamError", "stream"]

__version__ = "0.1.0"


def stream(source: str | int | PathLike[str] | None = None, **options: Any) -> FrameStream:
    """Finished frames of a source, in this process: see `streamer.in_process.stream`."""
    share_cores()
    # Imported late: readers of a stream (`streamer.client`) must not wait for PyTorch.
    with whole_installation():
        from streamer.in_process import stream as open_stream  # noqa: PLC0415

    return open_stream(source, **options)
