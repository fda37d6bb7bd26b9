"""The readers of a publisher's socket: how many there are, and that none of them costs it much."""

from __future__ import annotations

import resource
from contextlib import ExitStack
from pathlib import Path

import zmq

from streamer.option_check import check
from streamer.sink_config import ZmqConfig
from streamer.sinks.guard import Guard
from streamer.wire.curve import CurveAuthenticator

SUBSCRIBE, UNSUBSCRIBE = b"\x01", b"\x00"
"""First byte of what an XPUB socket reports (ZMTP 3.0, a prefix of the topic follows)."""

MAX_REPORT_BYTES = 4096
"""Longest message that is taken from a reader, whose connection ends otherwise: a subscription is a
prefix of a topic, and CURVE's handshake takes some hundred bytes."""

DESCRIPTORS_EACH = 2
"""Of each reader: its connection's own, and a duplicate to see what comes over it."""

REPORTS_AT_ONCE = 1000
"""Subscriptions that are looked at before the stream goes on."""


class Readers:
    """Lets readers in, and counts them.

    Args:
        server: The publisher's socket, not bound yet.
        topic: What its messages begin with.
        config: The publisher's settings.

    Attributes:
        subscribed: How many subscriptions to the topic there are; with ``pub`` alone.

    Raises:
        ConfigError: A key cannot be read, or the process may not have descriptors for so many.
    """

    def __init__(self, server: zmq.Socket[bytes], topic: bytes, config: ZmqConfig) -> None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        check(
            DESCRIPTORS_EACH * config.max_readers <= descriptors // 2,
            "zmq.max_readers",
            config.max_readers,
            f"up to {descriptors // 2 // DESCRIPTORS_EACH}, as the process may have {descriptors} "
            "descriptors (ulimit -n)",
        )
        self._server = server
        self._topic = topic
        self._subscribe = config.pattern == "pub"
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
        with ExitStack() as opened:
            if key is not None and readers is not None:
                authenticator = CurveAuthenticator(server, Path(key), Path(readers))
                opened.callback(authenticator.stop)
            guard = Guard(server, config.max_readers, trusting=key is not None)
            opened.callback(guard.close)
            self._opened = opened.pop_all()

    def take_subscriptions(self) -> bool:
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
        self._opened.close()
