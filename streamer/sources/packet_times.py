"""Times of pictures where a container has those of its packets alone."""

from __future__ import annotations

from collections.abc import Iterable

from av import Packet, VideoFrame
from av.video.stream import VideoStream


class PacketTimes:
    """Times a reading's pictures by the packets at which the decoder gives them.

    AVI stores packets in the order in which they are decoded, and no times of pictures: what FFmpeg
    says of those is wrong where they are reordered. A decoder gives pictures in order, and each as
    many packets late as the first one.
    """

    def __init__(self) -> None:
        self._first_dts: int | None = None
        self._delay: int | None = None

    def assign(self, packet: Packet[VideoStream] | None, frames: Iterable[VideoFrame]) -> None:
        """Time the pictures that a packet completes; with None, those that wait for the end."""
        if self._first_dts is None and packet is not None:
            self._first_dts = packet.dts
        for frame in frames:
            if self._delay is None and frame.dts is not None:
                self._delay = frame.dts - (self._first_dts or 0)
            # At the end no packets come any more: one is an interval after another.
            frame.pts = None if frame.dts is None else frame.dts - (self._delay or 0)
