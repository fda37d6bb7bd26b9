"""What has come over the connections of a ZeroMQ socket, and an end to those that cost too much.

libzmq keeps the parts of a message until its last one has come, and every subscription, without a
limit. Its monitor tells which connections there are; what came over each the kernel knows.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import suppress

import zmq
from zmq.utils.monitor import parse_monitor_message

CHECK_S = 0.1
"""Seconds between looks; what arrives in between is unbounded."""

OPENED = zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED
FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
EVENTS = (
    OPENED
    | FAILED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_LISTENING
    | zmq.EVENT_MONITOR_STOPPED
)

BYTES_RECEIVED = slice(128, 136)
"""Place of ``tcpi_bytes_received`` in ``struct tcp_info`` (linux/tcp.h, since Linux 4.1)."""

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
"""Options of a socket (asm-generic/socket.h) that Python has no names for."""

DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)
"""A filter of one instruction, ``ret #0`` (linux/filter.h): no byte of any packet is kept."""

BRIEF_S = 5.0
"""Connections that last no longer are brief."""

GREETING_BYTES = 256
"""What a brief connection may bring without being counted: a greeting and a subscription."""


class Connection:
    """A connection of libzmq's, of which a duplicate is held.

    So it stays what it is, and can be asked what came over it, when libzmq has closed its own
    descriptor and given the number away.

    Attributes:
        since_s: When it was opened, by the monotonic clock.
    """

    def __init__(self, held: socket.socket) -> None:
        self.since_s = time.monotonic()
        self._held = held

    @property
    def received(self) -> int:
        """Bytes that came over it so far; 0 where that cannot be told (``ipc``)."""
        try:
            told = self._held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_RECEIVED.stop)
        except (OSError, AttributeError):  # the latter where the kernel is not Linux
            return 0
        return int.from_bytes(told[BYTES_RECEIVED], sys.byteorder)

    def end(self) -> None:
        """End it; libzmq drops what it has kept of it."""
        with suppress(OSError):  # the peer may have ended it
            # Reset when it is closed: a peer that waits for room would hear of no end.
            self._held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._held.shutdown(socket.SHUT_RDWR)
        self.close()

    def close(self) -> None:
        """Hold it no longer."""
        self._held.close()


class Connections:
    """The connections of a socket that is not bound or connected yet; used on one thread.

    Attributes:
        failed: Connections that failed so far before a message could come: by the wrong key, or
            since what came is no ZeroMQ.
        given_up: Whether libzmq has lost a connection that it made and makes none any more, as
            after a handshake that failed; otherwise it tries again by itself.
        brief_bytes: What brief connections that are gone have brought beyond a greeting, in all.
    """

    def __init__(self, owner: zmq.Socket[bytes]) -> None:
        address = f"inproc://connections-{id(self)}"
        self._events = owner.context.socket(zmq.PAIR)
        owner.monitor(address, EVENTS)
        self._events.setsockopt(zmq.RCVHWM, 0)  # libzmq's thread would wait for room
        self._events.connect(address)
        self._open: dict[int, Connection] = {}  # by libzmq's descriptor
        self._listeners: list[socket.socket] = []
        self.failed = 0
        self.given_up = False
        self.brief_bytes = 0

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

    def end(self, unwanted: Collection[Connection]) -> None:
        """End some of them."""
        for descriptor, connection in list(self._open.items()):
            if connection in unwanted:
                del self._open[descriptor]
                connection.end()

    def accept_new(self, accepts: bool) -> None:
        """Say whether new connections are accepted; who asks meanwhile asks again, in seconds.

        Without socket filters (some sandboxes have none) they always are.
        """
        program = struct.pack("HP", 1, ctypes.addressof(DROP_ALL))
        for listener in self._listeners:
            with suppress(OSError):
                if accepts:
                    listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
                else:
                    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def close(self) -> None:
        """Hear no more, after the owner's ``disable_monitor``; may be called twice."""
        self._events.close(linger=0)
        for connection in self._open.values():
            connection.close()
        for listener in self._listeners:
            listener.close()
        self._open, self._listeners = {}, []

    def _note(self, event: int, value: int) -> None:
        # If libzmq has closed it by now and its number is another file's, the event of that is
        # among the next (it comes before the closing), and drops the duplicate before it is used.
        if event & FAILED:
            self.failed += 1
        elif event & zmq.EVENT_LISTENING:
            with suppress(OSError):
                self._listeners.append(_duplicate(value))
        elif event & zmq.EVENT_CONNECT_RETRIED:  # its value is a time
            self.given_up = False
        else:
            self.given_up = bool(event & zmq.EVENT_DISCONNECTED)
            gone = self._open.pop(value, None)
            if gone is not None:
                if time.monotonic() < gone.since_s + BRIEF_S:
                    self.brief_bytes += max(0, gone.received - GREETING_BYTES)
                gone.close()
            if event & OPENED:
                with suppress(OSError):
                    self._open[value] = Connection(_duplicate(value))


def _duplicate(descriptor: int) -> socket.socket:
    return socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)
