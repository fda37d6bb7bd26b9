"""The socket of a reader: how much it takes, and that it notices what it has lost."""

from __future__ import annotations

from contextlib import ExitStack

import zmq

from streamer.client.options import PATTERNS
from streamer.errors import StreamError
from streamer.wire.connections import Connections
from streamer.wire.curve import ReaderKeys
from streamer.wire.endpoint import malformed

MAX_PART_BYTES = 2**26
"""Most bytes of one part that is accepted: beyond it ZeroMQ drops the connection."""

KEEPALIVE = {
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 30,
    zmq.TCP_KEEPALIVE_INTVL: 10,
    zmq.TCP_KEEPALIVE_CNT: 3,
}
"""A reader sends nothing, so that only these probes tell it that the publisher's machine is gone.
After a minute without an answer (times in seconds) ZeroMQ connects anew."""


def connect(
    endpoint: str, pattern: str, prefix: bytes, hwm: int, keys: ReaderKeys | None
) -> tuple[zmq.Socket[bytes], Connections]:
    """A socket of a context of its own, connected, and its connections.

    Args:
        endpoint: Where the publisher is.
        pattern: One of `PATTERNS`.
        prefix: What topics begin with; of use with ``sub`` alone.
        hwm: Messages that may wait.
        keys: For a publisher with keys.

    Raises:
        ConfigError: The endpoint is malformed, or a key cannot be read.
        StreamError: The process may have no more descriptors.
    """
    with ExitStack() as undo:
        try:
            context = zmq.Context()
            undo.callback(context.destroy, linger=0)
            client = context.socket(PATTERNS[pattern])
            connections = Connections(client)
        except zmq.ZMQError as error:
            raise StreamError(f"{endpoint}: no socket can be opened: {error}") from error
        if pattern == "sub":
            client.setsockopt(zmq.SUBSCRIBE, prefix)
        client.setsockopt(zmq.RCVHWM, hwm)
        client.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
        # Only where it is asked for: ZeroMQ would take a name such as localhost for that alone.
        client.setsockopt(zmq.IPV6, endpoint.startswith("tcp://["))
        for option, value in KEEPALIVE.items():
            client.setsockopt(option, value)
        if keys is not None:
            keys.apply(client)
        try:
            client.connect(endpoint)
        except zmq.ZMQError as error:
            raise malformed(endpoint) from error
        undo.pop_all()
    return client, connections
