"""Keeps the connections of a publisher's socket from costing it much."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

import zmq

from streamer.wire.connections import CHECK_S, Connection, Connections

MAX_BYTES = 2**18
"""Most bytes that a connection without keys may bring: a reader sends some hundred, and 9 with each
of ZeroMQ's own heartbeats, if it has them. libzmq keeps up to 200 for each byte of a subscription
(measured with 4.3.5)."""

FREE_BYTES, FREE_BYTES_PER_S = 1024, 32
"""What a connection may bring without counting as part of a flood, at once and with time."""

FLOOD_BYTES = 2**16
"""Bytes beyond the free allowance that all connections together may bring, including those that
came and went within `SHUT_S`: libzmq goes through all subscriptions for each connection that
ends."""

SHUT_S = 5.0
"""How long nobody new is let in after a flood: ZeroMQ's sockets connect again at once, with all
their subscriptions."""

LOG_S = 60.0
"""Least seconds between two logs of the same kind: whoever is not let in tries again and again."""

log = logging.getLogger(__name__)


class Guard:
    """Ends connections that bring too much, or are too many, on a thread of its own.

    Not on the server's, which a flood of subscriptions keeps inside libzmq.

    Args:
        server: The publisher's socket, not bound yet.
        most: Most connections at a time. Further ones wait, as far as they can be kept waiting.
        trusting: Whether readers have keys: what they bring is not counted.
    """

    def __init__(self, server: zmq.Socket[bytes], most: int, *, trusting: bool) -> None:
        self._server = server
        self._most = most
        self._connections = Connections(server)
        self._trusting = trusting
        self._is_open = True
        self._ended = 0
        self._checked_at = 0.0
        self._shut_until = 0.0
        self._counted: tuple[float, int] = 0.0, 0  # (end of the interval, brief bytes at its start)
        self._logged: dict[str, tuple[int, float]] = {}
        self._thread = threading.Thread(target=self._watch, name="zmq guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let nobody in any more; before the socket is closed, on its thread."""
        self._server.disable_monitor()
        self._thread.join()
        # Not by the thread, which may have failed: libzmq tells the end of the monitor, and would
        # wait for ever, with Python's lock held, where nobody can hear it.
        self._connections.close()

    def _watch(self) -> None:
        connections, has_failed = self._connections, False
        while connections.update(CHECK_S if connections or not self._is_open else None):
            try:
                self._look()
            except Exception:
                if not has_failed:  # it may fail again at each look
                    log.exception("the connections cannot be checked; trying again")
                has_failed = True
        self._log(0.0)

    def _look(self) -> None:
        """End the connections that are not wanted, and say whether new ones are."""
        connections = self._connections
        unwanted = {*list(connections)[self._most :]}
        if not self._trusting:
            unwanted |= self._greedy(time.monotonic())
        is_full = len(connections) >= self._most
        may_come = not is_full and time.monotonic() >= self._shut_until
        if may_come != self._is_open:  # before any are ended, who come again at once
            self._is_open = may_come
            connections.accept_new(may_come)
        connections.end(unwanted)
        self._ended += len(unwanted)
        self._log(LOG_S)

    def _greedy(self, now: float) -> set[Connection]:
        """Connections that brought too much, if it is time to look; a flood shuts the door."""
        until, before = self._counted
        if now >= until:
            before = self._connections.brief_bytes
            self._counted = now + SHUT_S, before
        room = FLOOD_BYTES - (self._connections.brief_bytes - before)
        if room >= 0 and now < self._checked_at + CHECK_S:
            return set()
        self._checked_at = now
        received = {each: each.received for each in self._connections}
        flooding = most_greedy(received, room, now)
        if flooding or room < 0:
            self._shut_until = now + SHUT_S
        return flooding | {each for each, count in received.items() if count > MAX_BYTES}

    def _log(self, at_least_s: float) -> None:
        now = time.monotonic()
        for what, count in (
            ("ended so far that sent too much, or were too many", self._ended),
            ("without an allowed key so far", self._connections.failed if self._trusting else 0),
        ):
            logged, at = self._logged.get(what, (0, -LOG_S))
            if count > logged and now >= at + at_least_s:
                self._logged[what] = count, now
                log.warning("connections %s: %d", what, count)


def most_greedy(received: Mapping[Connection, int], room: int, now: float) -> set[Connection]:
    """Those that brought the most, so that what the others brought has room.

    Args:
        received: Bytes that came over each.
        room: Most bytes of all together, beyond what is free for each.
        now: By the monotonic clock.
    """
    beyond = {
        each: max(0.0, count - FREE_BYTES - FREE_BYTES_PER_S * (now - each.since_s))
        for each, count in received.items()
    }
    total, greedy = sum(beyond.values()), set()
    for connection in sorted(beyond, key=beyond.__getitem__, reverse=True):
        if total <= max(0, room):
            break
        greedy.add(connection)
        total -= beyond[connection]
    return greedy
