"""When an output that goes on for ever goes on in another file."""

from __future__ import annotations


class Segments:
    """Ends a file after a time or at a size, whichever comes first; without either, never.

    Args:
        segment_s: Seconds of the run; the boundaries are its multiples, whatever else ends a file.
        segment_mb: Megabytes (10^6 bytes).
    """

    def __init__(self, segment_s: float | None = None, segment_mb: float | None = None) -> None:
        self._segment_s = segment_s
        self._most_bytes = None if segment_mb is None else segment_mb * 1e6
        self._segment = 0

    @property
    def is_limited(self) -> bool:
        """Whether files end at all."""
        return self._segment_s is not None or self._most_bytes is not None

    def ends_before(self, time_s: float, written_bytes: int) -> bool:
        """Whether the next frame belongs into another file; to be asked once for each.

        Args:
            time_s: The frame's time since the run's first.
            written_bytes: Size of the file so far.
        """
        before = self._segment
        if self._segment_s is not None:
            self._segment = int(time_s // self._segment_s)
        is_full = self._most_bytes is not None and written_bytes >= self._most_bytes
        return self._segment != before or is_full
