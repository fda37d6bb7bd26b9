"""What has come over the connections of a ZeroMQ socket, and an end to those that cost too much.

libzmq keeps the parts of a message until its last one has come, and every subscription, without a
limit. Its monitor tells which connections there are; what came over each the kernel knows.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

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
EVENTS = OPENED | FAILED | zmq.EVENT_DISCONNECTED | zmq.EVENT_LISTENING | zmq.EVENT_MONITOR_STOPPED

BYTES_RECEIVED = slice(128, 136)
"""Place of ``tcpi_bytes_received`` in ``struct tcp_info`` (linux/tcp.h, since Linux 4.1)."""

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
"""Options of a socket (asm-generic/socket.h) that Python has no names for."""

DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)
"""A filter of one instruction, ``ret #0`` (linux/filter.h): no byte of any packet is kept."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection.

    Attributes:
        inode: Of its socket, which no other has while it is open, as may have its descriptor.
        since_s: When it was opened, by the monotonic clock.
    """

    inode: int
    since_s: float


class Connections:
    """The connections of a socket that is not bound or connected yet; used on one thread.

    Attributes:
        failed: Connections that failed so far before a message could come: by the wrong key, or
            since what came is no ZeroMQ.
    """

    def __init__(self, owner: zmq.Socket[bytes]) -> None:
        address = f"inproc://connections-{id(self)}"
        owner.monitor(address, EVENTS)
        self._events = owner.context.socket(zmq.PAIR)
        self._events.setsockopt(zmq.RCVHWM, 0)  # libzmq's thread would wait for room
        self._events.connect(address)
        self._open: dict[int, Connection] = {}
        self._listeners: dict[int, int] = {}  # inodes by descriptor
        # A descriptor to look at others with: there may be no more when there are too many.
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._lens = os.dup(self._nothing)
        self.failed = 0

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        """Those that are open, the oldest first."""
        return iter(self._open.values())

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

    def received(self) -> dict[Connection, int]:
        """Bytes that came so far over each; 0 where that cannot be told, as of ``ipc``."""
        return {
            connection: _received(seen)
            for descriptor, connection in self._open.items()
            for seen in self._look(descriptor, connection.inode)
        }

    def end(self, connections: Iterable[Connection]) -> None:
        """End connections; libzmq drops what it has kept of them."""
        ended = set(connections)
        for descriptor, connection in list(self._open.items()):
            if connection in ended:
                del self._open[descriptor]
                for seen in self._look(descriptor, connection.inode):
                    _shut(seen)

    def let_in(self, *, new: bool) -> None:
        """Whether new connections are let in; those who ask meanwhile go on asking, in seconds.

        They are, where the kernel has no filters (as in some sandboxes).
        """
        program = struct.pack("HP", 1, ctypes.addressof(DROP_ALL))
        for descriptor, inode in self._listeners.items():
            for seen in self._look(descriptor, inode):
                with suppress(OSError):
                    if new:
                        seen.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
                    else:
                        seen.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def close(self) -> None:
        """Hear no more, after the owner's ``disable_monitor``; may be called twice."""
        if self._events.closed:
            return
        self._events.close(linger=0)
        os.close(self._lens)
        os.close(self._nothing)

    def _note(self, event: int, value: int) -> None:
        if event & FAILED:
            self.failed += 1
            return
        self._open.pop(value, None)
        with suppress(OSError):  # it may be closed by now
            if event & OPENED:
                self._open[value] = Connection(os.fstat(value).st_ino, time.monotonic())
            elif event & zmq.EVENT_LISTENING:
                self._listeners[value] = os.fstat(value).st_ino

    def _look(self, descriptor: int, inode: int) -> Iterator[socket.socket]:
        """A socket that stays what it is, if the descriptor still is that one's.

        libzmq may close its own at any time, and the number become another file's.
        """
        with suppress(OSError):
            os.dup2(descriptor, self._lens, inheritable=False)
            if os.fstat(self._lens).st_ino == inode:
                seen = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=self._lens)
                try:
                    yield seen
                finally:
                    seen.detach()
        os.dup2(self._nothing, self._lens, inheritable=False)


def _received(connection: socket.socket) -> int:
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_RECEIVED.stop)
    except OSError:
        return 0
    return int.from_bytes(told[BYTES_RECEIVED], sys.byteorder)


def _shut(connection: socket.socket) -> None:
    # Reset when libzmq closes it: a peer that waits for room would hear of no end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):  # the peer may have ended it
        connection.shutdown(socket.SHUT_RDWR)
