"""What a user can set about windows and identities; the attribute docstrings are the help texts."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

from streamer.option_check import Auto, check, check_at_least


@dataclass(frozen=True)
class WindowConfig:
    """The sliding window."""

    size: int | None = None
    """Frames in a window. Read off the weights (36 for the published ones); a value is checked
    against what they say, and believed, with a warning, where they say nothing."""

    stride: Auto | int = "auto"
    """New frames per window, from 1 to size. Smaller: lower latency, steadier masks, more work.
    auto: 18 for a file; for a live source 12, and up to size while frames wait."""

    emit_delay: Auto | int = "auto"
    """Windows that a frame waits for after its first, to have its masks merged over all of them.
    auto: 0 for a live source, 1 for a file."""

    frame_step: int = 1
    """Let every k-th frame into the windows (VisTR was trained near 6 frames per second); frames in
    between get their neighbours' masks, moved along, and are marked interpolated."""

    def __post_init__(self) -> None:
        check_at_least("window.size", self.size, 1)
        check(
            self.stride == "auto" or self.stride >= 1,
            "window.stride",
            self.stride,
            "auto, or from 1 to the window's size",
        )
        check_at_least("window.emit_delay", self.emit_delay, 0, or_auto=True)
        check_at_least("window.frame_step", self.frame_step, 1)


@dataclass(frozen=True)
class StitchConfig:
    """How identities are carried from window to window."""

    # Both chosen by eye; 360 frames are ten windows of the published size. That the memory ends
    # follows MDQE (see `Stitcher`).
    accept: float = 0.3
    """Similarity in [0, 1] that a slot and a known track need to be called the same object."""

    memory: int = 360
    """Frames after which a track that was not seen is forgotten."""

    def __post_init__(self) -> None:
        # A program makes one of these by itself.
        is_number = isinstance(self.accept, Real) and not isinstance(self.accept, bool)
        check(is_number and 0 <= self.accept <= 1, "stitch.accept", self.accept, "from 0 to 1")
        is_whole = isinstance(self.memory, Integral) and not isinstance(self.memory, bool)
        check(is_whole and self.memory >= 1, "stitch.memory", self.memory, "at least 1")
