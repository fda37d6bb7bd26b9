"""What has come over the connections of a ZeroMQ socket, and an end to those that cost too much.

libzmq keeps the parts of a message until its last one has come, and every subscription, without a
limit. Its monitor tells which connections there are; what came over each the kernel knows.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

import zmq
from zmq.utils.monitor import parse_monitor_message

CHECK_S = 0.1
"""How often to look at what has come: it may grow without a limit for as long."""

OPENED = zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED
FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

BYTES_RECEIVED = slice(128, 136)
"""Place of ``tcpi_bytes_received`` in ``struct tcp_info`` (linux/tcp.h, since Linux 4.1)."""


class Connections:
    """The connections of a socket that is not bound or connected yet; used on one thread.

    Attributes:
        failed: Connections that failed so far before a message could come: by the wrong key, or
            since what came is no ZeroMQ.
    """

    def __init__(self, owner: zmq.Socket[bytes]) -> None:
        self._events = owner.get_monitor_socket(
            OPENED | FAILED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED
        )
        self._inodes: dict[int, int] = {}
        self.failed = 0

    def __len__(self) -> int:
        return len(self._inodes)

    def __iter__(self) -> Iterator[int]:
        """Descriptors of those that are open, the oldest first."""
        return iter(self._inodes)

    def update(self, timeout_s: float | None = 0.0) -> bool:
        """Take note of the connections that came, went or failed.

        Args:
            timeout_s: Longest wait for the first of them, in seconds; None waits for ever.

        Returns:
            Whether more can be heard: not once the owner has called ``disable_monitor``.
        """
        timeout_ms = None if timeout_s is None else round(1000 * timeout_s)
        while self._events.poll(timeout_ms):
            told = parse_monitor_message(self._events.recv_multipart())
            if told["event"] == zmq.EVENT_MONITOR_STOPPED:
                return False
            self._note(told["event"], int(told["value"]))
            timeout_ms = 0
        return True

    def received(self) -> dict[int, int]:
        """Bytes that came so far, by the connection's descriptor.

        Other connections than TCP's, which do not tell, count as 0 bytes.
        """
        return {descriptor: _received(held) for descriptor, held in self._held(self._inodes)}

    def end(self, descriptors: Iterable[int]) -> None:
        """End connections; libzmq drops what it has kept of them."""
        for descriptor, held in self._held(descriptors):
            # Reset when libzmq closes it: a peer that waits for room would hear of no end.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with suppress(OSError):  # the peer may have ended it
                held.shutdown(socket.SHUT_RDWR)
            del self._inodes[descriptor]

    def close(self) -> None:
        """Hear no more; the owner's ``disable_monitor`` comes before, on its thread."""
        self._events.close(linger=0)

    def _note(self, event: int, value: int) -> None:
        if event & FAILED:
            self.failed += 1
            return
        self._inodes.pop(value, None)
        if event & OPENED:
            with suppress(OSError):  # it may be closed by now
                self._inodes[value] = os.fstat(value).st_ino

    def _held(self, descriptors: Iterable[int]) -> Iterator[tuple[int, socket.socket]]:
        """Connections with a socket of our own for each.

        libzmq may close its descriptor at any time, and the number become another file's: a
        duplicate stays what it is, and the inode tells whether it still is that connection.
        """
        for descriptor in descriptors:
            try:
                held = socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)
            except OSError:  # closed: its event is to come
                continue
            with held:
                if os.fstat(held.fileno()).st_ino == self._inodes[descriptor]:
                    yield descriptor, held


def _received(connection: socket.socket) -> int:
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_RECEIVED.stop)
    except OSError:
        return 0
    return int.from_bytes(told[BYTES_RECEIVED], sys.byteorder)
