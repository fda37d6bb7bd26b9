"""The other end of a ZeroMQ connection, byte by byte: of whom anything may come."""

from __future__ import annotations

import socket

from tests.waits import PATIENCE_S

MORE, LONG = 1, 2
"""Flags of a frame: parts of its message follow; its length has eight bytes."""


def connect(endpoint: str, kind: bytes = b"SUB") -> socket.socket:
    """A connection to a publisher at ``tcp://HOST:PORT`` that has greeted it as a reader."""
    stranger = reach(endpoint, PATIENCE_S)
    greet(stranger, kind)
    return stranger


def reach(endpoint: str, timeout_s: float) -> socket.socket:
    """A connection that has said nothing yet; the time-out counts for all that is done with it."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), timeout=timeout_s)


def greet(peer: socket.socket, kind: bytes) -> None:
    """Say what kind of socket this is, and hear the same of the other end.

    Source: ZMTP 3.1 (rfc.zeromq.org/spec/37), the mechanism NULL.
    """
    peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48))
    peer.recv(64, socket.MSG_WAITALL)
    ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
    peer.sendall(b"\x04" + bytes([len(ready)]) + ready)
    head = peer.recv(2, socket.MSG_WAITALL)
    if len(head) < 2:
        raise ConnectionResetError("the other end has left")
    _, length = head
    peer.recv(length, socket.MSG_WAITALL)


def frame(body: bytes, flags: int = 0) -> bytes:
    """One part of a message."""
    return bytes([flags | LONG]) + len(body).to_bytes(8, "big") + body
