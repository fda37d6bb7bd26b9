"""What part of an input is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from streamer.sources.media import Media


@dataclass(frozen=True, slots=True)
class Selection:
    """What part of the input is wanted.

    Attributes:
        start_s: Seconds of a file to leave out at its beginning.
        duration_s: Seconds of video to take, or None for all.
        max_frames: Frames to take, or None for all.
        roi: Left, top, width and height of the region to look at, in pixels; None for all.
    """

    start_s: float = 0.0
    duration_s: float | None = None
    max_frames: int | None = None
    roi: tuple[int, int, int, int] | None = None


def expected_frames(media: Media, loop: bool, selection: Selection) -> int | None:
    """About how many frames the selection holds."""
    limits = []
    if selection.max_frames is not None:
        limits.append(selection.max_frames)
    if selection.duration_s is not None and media.rate:
        limits.append(ceil(as_written(selection.duration_s) * media.rate))
    if media.frames is not None and not loop:
        skipped = ceil(as_written(selection.start_s) * media.rate) if media.rate else 0
        limits.append(max(0, media.frames - skipped))
    return min(limits, default=None)


def as_written(seconds: float) -> Fraction:
    """A number as its decimals say: 0.1 is 1/10, and a frame at 1/10 s is not before it."""
    return Fraction(repr(seconds))
