"""Instances of frames that no window held, from the key frames beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamer.mask import Mask
from streamer.output import Instance


@dataclass(frozen=True, slots=True, eq=False)
class KeyFrame:
    """What is known of a finished key frame.

    Attributes:
        time_s: Its presentation time.
        instances: What is in it.
    """

    time_s: float
    instances: tuple[Instance, ...]


def interpolate(time_s: float, before: KeyFrame, after: KeyFrame | None) -> tuple[Instance, ...]:
    """Instances between two key frames: those of the nearer one, moved along.

    A track in both moves by whole pixels on the straight line between its two box centres; a track
    in one of them shows, unmoved, in the half nearer to it.

    Args:
        time_s: Presentation time of the frame in between.
        before: The key frame before it.
        after: The key frame after it; None where the stream ended first.
    """
    if after is None:
        return before.instances
    share = (time_s - before.time_s) / (after.time_s - before.time_s)
    if share > 0.5:
        before, after, share = after, before, 1 - share
    others = {instance.track_id: instance.segment for instance in after.instances}
    moved = (
        (instance, _towards(instance.segment, others.get(instance.track_id), share))
        for instance in before.instances
    )
    return tuple(replace(instance, segment=segment) for instance, segment in moved if segment)


def _towards(segment: Mask, other: Mask | None, share: float) -> Mask | None:
    """The mask, moved by a share of the way to another one's box centre."""
    if other is None:
        return segment
    left, top, width, height = segment.bbox_xywh
    other_left, other_top, other_width, other_height = other.bbox_xywh
    rows = share * (other_top + other_height / 2 - top - height / 2)
    columns = share * (other_left + other_width / 2 - left - width / 2)
    return segment.shifted(round(rows), round(columns))
