"""MPEG-TS over UDP: nobody says when a sender comes or goes, and nothing is sent twice."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Event, Thread

from tests.camera import transport_stream
from tests.sources import lose_and_find, opened
from tests.waits import PATIENCE_S, until

DATAGRAM = 7 * 188
"""Bytes that senders put into one: as many transport packets as fit into Ethernet's frames."""

INTERVAL_S = 0.002


class UdpSender:
    """Sends a clip again and again, while it is not silent.

    Args:
        clip: MPEG-TS.

    Attributes:
        sent: How many datagrams, so far.
    """

    def __init__(self, clip: bytes) -> None:
        self._datagrams = [clip[i : i + DATAGRAM] for i in range(0, len(clip), DATAGRAM)]
        self._speaks, self._done = Event(), Event()
        self.sent = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"udp://127.0.0.1:{self._port}"
        self._thread = Thread(target=self._send)

    def __enter__(self) -> UdpSender:
        self._speaks.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._speaks.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def pause(self) -> None:
        self._speaks.clear()

    def resume(self) -> None:
        self._speaks.set()

    def _send(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not self._done.is_set():
                for datagram in self._datagrams:
                    self._speaks.wait(PATIENCE_S)
                    sender.sendto(datagram, ("127.0.0.1", self._port))
                    self.sent += 1
                    self._done.wait(INTERVAL_S)


def test_a_sender_that_falls_silent_is_lost_and_found_again(tmp_path: Path) -> None:
    with UdpSender(transport_stream(tmp_path, frames=24)) as sender:
        # Long enough for a busy machine: a pause of it would be a second loss.
        source = opened(sender.url, read_timeout_s=5, reconnect_delay_s=0.01)
        lose_and_find(source, sender.pause, sender.resume, (30, 30))


def test_what_ffmpeg_has_no_room_for_is_no_loss_of_the_sender(tmp_path: Path) -> None:
    with UdpSender(transport_stream(tmp_path, frames=24)) as sender:
        source = opened(f"{sender.url}?fifo_size=70", read_timeout_s=5)  # ten datagrams
        frames = iter(source)
        before = next(frames)
        unread = sender.sent + 100
        until(lambda: sender.sent > unread)
        received = [before, *(next(frames) for _ in range(40))]
        source.interrupt()
        source.close()
        assert [frame and frame.epoch.index for frame in received] == [0] * 41
