"""The readers of a publisher's socket: how many there are, and that none of them costs it much."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import zmq

from streamer.connections import CHECK_S, Connections
from streamer.curve import Doorman
from streamer.sink_options import ZmqConfig

SUBSCRIBE, UNSUBSCRIBE = b"\x01", b"\x00"
"""First byte of what an XPUB socket reports (ZMTP 3.0, a prefix of the topic follows)."""

MAX_REPORT_BYTES = 4096
"""Longest message that is taken from a reader, whose connection ends otherwise: a subscription is a
prefix of a topic, and CURVE's handshake takes some hundred bytes."""

MAX_RECEIVED_BYTES = 2**20
"""Most bytes that all readers together may have sent over their connections: beyond, the one that
sent the most is disconnected. A reader sends some hundred; libzmq keeps up to 90 for each byte of a
subscription (measured with 4.3.5)."""

MAX_CONNECTIONS = 256
"""Most readers at a time: a process commonly may have 1,024 descriptors, and needs some itself."""

REPORTS_AT_ONCE = 1000
"""Subscriptions that are looked at before the stream goes on."""

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
        """End connections that have sent too much, or are too many."""
        connections, ended, checked_at = self._connections, 0, 0.0
        while connections.update(CHECK_S if connections else None):
            unwanted = list(connections)[MAX_CONNECTIONS:]
            connections.end(unwanted)
            if time.monotonic() >= checked_at + CHECK_S:
                checked_at = time.monotonic()
                greedy = _greedy(connections.received())
                connections.end(greedy)
                unwanted += greedy
            ended += len(unwanted)
            self._log("ended so far that sent too much, or were too many", ended)
            if self._doorman is not None:
                self._log("without an allowed key so far", connections.failed)
        connections.close()

    def _log(self, what: str, count: int) -> None:
        logged, at = self._logged.get(what, (0, -LOG_S))
        now = time.monotonic()
        if count > logged and now >= at + LOG_S:
            self._logged[what] = count, now
            log.warning("connections %s: %d", what, count)


def _greedy(received: dict[int, int]) -> list[int]:
    """Those connections that sent the most, if all together have sent too much."""
    greedy = []
    total = sum(received.values())
    for descriptor in sorted(received, key=received.__getitem__, reverse=True):
        if total <= MAX_RECEIVED_BYTES:
            break
        greedy.append(descriptor)
        total -= received[descriptor]
    return greedy
