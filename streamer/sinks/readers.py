"""The readers of a publisher's socket: how many there are, and that none of them costs it much."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import zmq

from streamer.connections import CHECK_S, Connection, Connections
from streamer.curve import Doorman
from streamer.sink_options import ZmqConfig

SUBSCRIBE, UNSUBSCRIBE = b"\x01", b"\x00"
"""First byte of what an XPUB socket reports (ZMTP 3.0, a prefix of the topic follows)."""

MAX_REPORT_BYTES = 4096
"""Longest message that is taken from a reader, whose connection ends otherwise: a subscription is a
prefix of a topic, and CURVE's handshake takes some hundred bytes."""

MAX_BYTES = 2**18
"""Most bytes that a connection may bring: a reader sends some hundred, and 9 with each of ZeroMQ's
own heartbeats, if it has them. libzmq keeps up to 200 for each byte of a subscription (measured
with 4.3.5)."""

FREE_BYTES, FREE_BYTES_PER_S = 4096, 128
"""What a connection may bring without counting as part of a flood, at once and with time."""

FLOOD_BYTES = 2**16
"""Most bytes beyond those that all connections together may bring: the one with the most is ended
then."""

MAX_CONNECTIONS = 256
"""Most readers at a time: a process commonly may have 1,024 descriptors, and needs some itself."""

MANY = 32
"""How many more than that, at once, are a flood of connections."""

CLOSED_S = 5.0
"""How long nobody new is let in after a flood: ZeroMQ's sockets connect again at once, with all
their subscriptions."""

REPORTS_AT_ONCE = 1000
"""Subscriptions that are looked at before the stream goes on."""

ENDED = "ended so far that sent too much, or were too many"

LOG_S = 60.0
"""Least seconds between two logs of the same kind: whoever is not let in tries again and again."""

log = logging.getLogger(__name__)


class Readers:
    """Lets readers in, and counts them.

    Args:
        server: The publisher's socket, not bound yet.
        topic: What its messages begin with.
        config: The publisher's settings.

    Attributes:
        subscribed: How many subscriptions to the topic there are; with ``pub`` alone.

    Raises:
        ConfigError: A key cannot be read.
    """

    def __init__(self, server: zmq.Socket[bytes], topic: bytes, config: ZmqConfig) -> None:
        self._server = server
        self._topic = topic
        self._subscribe = config.pattern == "pub"
        self._doorman: Doorman | None = None
        self._logged: dict[str, tuple[int, float]] = {}
        self.subscribed = 0
        server.setsockopt(zmq.MAXMSGSIZE, MAX_REPORT_BYTES)
        # A small buffer makes a flood slow, so that less comes until it is noticed.
        server.setsockopt(zmq.RCVBUF, MAX_REPORT_BYTES)
        # What comes to a push socket nobody takes: a queue of it that is full would keep libzmq
        # from noticing that the connection has ended.
        server.setsockopt(zmq.RCVHWM, 0 if config.pattern == "push" else 1000)
        if self._subscribe:
            # Every subscription and its end is reported, also when others hold the same.
            server.setsockopt(zmq.XPUB_VERBOSER, 1)
        key, readers = config.curve_key, config.curve_readers
        if key is not None and readers is not None:
            self._doorman = Doorman(server, Path(key), Path(readers))
        self._connections = Connections(server)
        # On a thread of its own: a flood of subscriptions keeps the server's inside libzmq.
        self._guard = threading.Thread(target=self._watch, name="zmq guard", daemon=True)
        self._guard.start()

    def greet(self) -> bool:
        """Take note of subscriptions that came and went; returns whether one came."""
        if not self._subscribe:
            return False
        new = False
        for _ in range(REPORTS_AT_ONCE):
            if not self._server.poll(0, zmq.POLLIN):
                break
            report = self._server.recv()
            if self._topic.startswith(report[1:]):
                if report[:1] == SUBSCRIBE:
                    new = True
                    self.subscribed += 1
                elif report[:1] == UNSUBSCRIBE:
                    # Never below: a stranger may take back what it never asked for.
                    self.subscribed = max(0, self.subscribed - 1)
        return new

    def close(self) -> None:
        """Let nobody in any more; before the socket is closed."""
        self._server.disable_monitor()
        self._guard.join()
        if self._doorman is not None:
            self._doorman.stop()

    def _watch(self) -> None:
        """End connections that bring too much, or are too many."""
        connections, ended, checked_at, closed_until = self._connections, 0, 0.0, 0.0
        while connections.update(CHECK_S if connections or closed_until else None):
            now = time.monotonic()
            unwanted = list(connections)[MAX_CONNECTIONS:]
            is_flood = len(unwanted) >= MANY
            if now >= checked_at + CHECK_S:
                checked_at = now
                received = connections.received()
                flooding = _flooding(received, now)
                is_flood |= bool(flooding)
                unwanted += flooding
                unwanted += (each for each, count in received.items() if count > MAX_BYTES)
            if is_flood:  # first: those ended come again at once
                closed_until = now + CLOSED_S
                connections.let_in(new=False)
            elif closed_until and now >= closed_until:
                closed_until = 0.0
                connections.let_in(new=True)
            connections.end(unwanted)
            ended += len(set(unwanted))
            self._log(ENDED, ended)
            if self._doorman is not None:
                self._log("without an allowed key so far", connections.failed)
        self._log(ENDED, ended, at_least_s=0.0)
        connections.close()

    def _log(self, what: str, count: int, at_least_s: float = LOG_S) -> None:
        logged, at = self._logged.get(what, (0, -LOG_S))
        now = time.monotonic()
        if count > logged and now >= at + at_least_s:
            self._logged[what] = count, now
            log.warning("connections %s: %d", what, count)


def _flooding(received: Mapping[Connection, int], now: float) -> list[Connection]:
    """Those that brought the most, if all together have brought too much."""
    beyond = {
        each: max(0, count - FREE_BYTES - FREE_BYTES_PER_S * (now - each.since_s))
        for each, count in received.items()
    }
    flooding = []
    total = sum(beyond.values())
    for connection in sorted(beyond, key=beyond.__getitem__, reverse=True):
        if total <= FLOOD_BYTES:
            break
        flooding.append(connection)
        total -= beyond[connection]
    return flooding
