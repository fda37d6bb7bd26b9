"""Real-time video instance segmentation: video in, masks with stable identities out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike

    from streamer.in_process import FrameStream

__version__ = "0.1.0"

if "OMP_WAIT_POLICY" not in os.environ:
    # Before PyTorch is loaded: its threads would spin for milliseconds while they wait for each
    # other. With another program on the same two cores a window took six times as long, with this
    # twice as long, and 5 % longer without one.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def stream(source: str | int | PathLike[str] | None = None, **options: Any) -> FrameStream:
    """Finished frames of a source, in this process: see `streamer.in_process.stream`."""
    # Imported late: readers of a stream (`streamer.client`) must not wait for PyTorch.
    from streamer.in_process import stream as open_stream  # noqa: PLC0415

    return open_stream(source, **options)
