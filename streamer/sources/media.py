"""What a source reads its pictures from: a container, or a list of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from streamer.sources.picture import Picture


@dataclass(slots=True)
class SourceCounts:
    """What was lost of a source, over all the times that it was opened.

    The thread that reads adds to it; any may look. A read that was left behind and returns after
    all adds its last packet at most, and beside the next reader: one of the two may be lost.

    Attributes:
        corrupt: Packets or images that were damaged: passed over, or shown with the rest made up.
        skipped: Frames that were not decoded, to catch up with a live source; indices count them.
        reconnects: Times that it was lost and reached again.
    """

    corrupt: int = 0
    skipped: int = 0
    reconnects: int = 0


class Media(Protocol):
    """Something that holds pictures in order.

    Attributes:
        name: For messages, without credentials.
        live: Whether the pictures come as they happen.
        rate: Frames per second, nominal; None where unknown.
        frames: How many pictures it holds, as far as it can be told before decoding, or None.
        counts: What was lost so far.
    """

    name: str
    live: bool
    rate: Fraction | None
    frames: int | None
    counts: SourceCounts

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        """The pictures from `start_s` seconds after the first one on; again on every call.

        Raises:
            SourceError: It cannot be read to its end.
        """
        ...

    def interrupt(self) -> None:
        """From any thread: let a waiting read end soon."""
        ...

    def close(self) -> None:
        """Release what is open, on the thread that reads."""
        ...
