"""What a source reads its pictures from: a container, or a list of images."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

from streamer.sources.picture import Picture


class Media(Protocol):
    """Something that holds pictures in order.

    Attributes:
        name: For messages, without credentials.
        live: Whether the pictures come as they happen.
        rate: Frames per second, nominal; None where unknown.
        frames: How many pictures it holds, as far as it can be told before decoding, or None.
    """

    name: str
    live: bool
    rate: Fraction | None
    frames: int | None

    @property
    def corrupt(self) -> int:
        """Packets or images that were damaged: passed over, or shown with the rest made up."""
        ...

    @property
    def skipped(self) -> int:
        """Pictures that were not decoded, to catch up with a live source."""
        ...

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
