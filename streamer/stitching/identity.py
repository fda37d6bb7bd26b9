"""Who a slot of a window is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a slot is.

    Attributes:
        track_id: Unique for the run, never reused.
        category_id: What the track is taken for so far.
    """

    track_id: int
    category_id: int
