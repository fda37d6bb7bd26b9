"""The reading end of a stream."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from threading import RLock
from typing import Literal, Self

import zmq

from streamer.client.options import check_options
from streamer.client.reading_socket import MAX_PART_BYTES, connect
from streamer.client.received import ReceivedFrame
from streamer.errors import SilenceError, StreamError, WireError
from streamer.wire.connections import CHECK_S, Connection
from streamer.wire.curve import ReaderKeys
from streamer.wire.endpoint import check_connectable
from streamer.wire.messages import AnyMessage, EosMessage, FrameMessage, HelloMessage
from streamer.wire.packet import TOPIC_ROOT, parse, topic
from streamer.wire.stream_name import check_stream_name

MAX_MESSAGE_BYTES = 3 * MAX_PART_BYTES
"""Most bytes that are waited for without a message being whole: more than a frame with the largest
masks and image needs."""

HINT_S = 10.0
"""Seconds without a first message after which a hint at the cause is logged."""

NOTHING_YET = "is the publisher there, and are pattern, stream and keys its own?"

RECONNECT_S = 1.0
"""Where libzmq has given up, a reader connects anew at most this often."""

MALFORMED_S = 60.0
"""Malformed packets are logged at most this often: they may come without end."""

log = logging.getLogger(__name__)


class MaskSubscriber:
    """Iterates over the frames of a stream; belongs to one thread, apart from `close`.

    The iteration ends with the stream; a further one goes on with the publisher's next run.

    Args:
        endpoint: Where the publisher is, such as ``tcp://127.0.0.1:5555``.
        stream: Its name; None takes whatever comes, as if it were one stream.
        pattern: ``sub`` for a publisher with ``zmq.pattern: pub``, ``pull`` for ``push``.
        timeout_s: Longest silence in seconds (heartbeats count as sound); None waits for ever.
        hwm: Messages that may wait here; with ``sub``, what comes beyond it is lost and counted.
        keys: For a publisher with ``zmq.curve_key``; without the right ones nothing comes.

    Attributes:
        lost: Messages missed since this reader's first, malformed ones too, counted when the next
            one shows the gap. Losses at the very end, even of the `EosMessage`, and between two
            runs are not counted. With several ``pull`` readers each takes a part, and the others'
            parts are counted as lost.
        malformed: Packets that were not as the wire format says; they are passed over, and
            logged once a minute at most. One without an end ends its connection, too; ZeroMQ makes
            another.
        hello: The latest hello of the run that the latest message is of; None if none came yet.
        end: What the publisher said last, once the iteration has ended by that; None otherwise.

    Raises:
        ConfigError: The endpoint is malformed, an option out of range, the name one that no stream
            can have, or a key cannot be read.
        StreamError: The process may have no more descriptors.
    """

    def __init__(  # noqa: PLR0913 - options, and what they are of
        self,
        endpoint: str,
        stream: str | None = None,
        *,
        pattern: Literal["sub", "pull"] = "sub",
        timeout_s: float | None = None,
        hwm: int = 1000,
        keys: ReaderKeys | None = None,
    ) -> None:
        check_options(pattern, timeout_s, hwm, keys)
        check_connectable(endpoint)
        if stream is not None:
            check_stream_name(stream)
        self.endpoint = endpoint
        self.lost = 0
        self.malformed = 0
        self.hello: HelloMessage | None = None
        self.end: EosMessage | None = None
        self._timeout_s = timeout_s
        self._prefix = TOPIC_ROOT if stream is None else topic(stream)
        self._run: str | None = None
        self._expected_seq = 0
        self._unreported = 0
        self._hinted = False
        self._reported_s = -math.inf  # when a malformed packet was last logged
        self._is_closing = False
        self._in_use = RLock()
        self._has_others = False  # whether another stream's messages came
        self._connected_s = time.monotonic()
        self._before: dict[Connection, int] = {}  # what had come when none was whole
        self._socket, self._connections = connect(endpoint, pattern, self._prefix, int(hwm), keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the stream; may be called more than once, and from any thread.

        Whoever waits for a frame gets a `StreamError`.
        """
        self._is_closing = True
        with self._in_use:  # a socket must not be closed while another thread waits at it
            if not self._socket.closed:
                self._socket.disable_monitor()
            self._connections.close()
            self._socket.context.destroy(linger=0)

    def __iter__(self) -> Iterator[ReceivedFrame]:
        """Frames as they come, until the stream ends.

        Raises:
            SilenceError: Nothing of the stream came for `timeout_s`.
            StreamError: The reader is closed.
        """
        self.end = None
        while True:
            message = self._next()
            received_unix_ns = time.time_ns()
            if isinstance(message, FrameMessage):
                lost, self._unreported = self._unreported, 0
                yield ReceivedFrame.of(message, lost, received_unix_ns)
            elif isinstance(message, HelloMessage):
                self.hello = message
            elif isinstance(message, EosMessage):
                self.end = message
                return

    def _next(self) -> AnyMessage:
        with self._in_use:
            try:
                return self._receive()
            except zmq.ZMQError as error:
                # Closed meanwhile: by a handler of a signal, on this thread.
                reason = "this reader is closed" if self._is_closing else str(error)
                raise StreamError(f"{self.endpoint}: {reason}") from error

    def _receive(self) -> AnyMessage:
        """The stream's next message.

        Raises:
            SilenceError: None came for `timeout_s`, whatever else did.
            StreamError: The reader is closed.
        """
        began_s = time.monotonic()
        end_s = math.inf if self._timeout_s is None else began_s + self._timeout_s
        while True:
            if self._is_closing:
                raise StreamError(f"{self.endpoint}: this reader is closed")
            left_s = min(CHECK_S, max(0.0, end_s - time.monotonic()))
            if self._socket.poll(math.ceil(1000 * left_s)):
                self._before = {}
                message = self._read(self._socket.recv_multipart())
                if message is not None:
                    return message
            else:
                self._connections.update()
                self._end_endless()
                self._connect_again()
            self._tell_silence(began_s, end_s)

    def _read(self, parts: Sequence[bytes]) -> AnyMessage | None:
        """A packet's message; None where it is malformed, or another stream's."""
        try:
            message = parse(parts)
        except WireError as error:
            self.malformed += 1
            if time.monotonic() >= self._reported_s + MALFORMED_S:
                self._reported_s = time.monotonic()
                so_far = f"{self.endpoint}: malformed packets so far: {self.malformed}"
                log.warning("%s, the latest: %s", so_far, error)
            return None
        if not parts[0].startswith(self._prefix):  # a pull socket has no subscription
            if not self._has_others:
                self._has_others = True
                name = message.stream
                log.warning("%s: the stream %r comes here, and goes to waste", self.endpoint, name)
            return None
        self._note_run(message)
        return message

    def _tell_silence(self, began_s: float, end_s: float) -> None:
        now_s, nothing_yet = time.monotonic(), self._run is None
        if now_s >= end_s:
            hint = f": {NOTHING_YET}" if nothing_yet else ""
            raise SilenceError(f"{self.endpoint}: nothing came for {self._timeout_s} s{hint}")
        if nothing_yet and not self._hinted and now_s > began_s + HINT_S:
            self._hinted = True
            log.warning("%s: nothing has come yet: %s", self.endpoint, NOTHING_YET)

    def _end_endless(self) -> None:
        for connection in list(self._connections):
            received = connection.received
            if received - self._before.setdefault(connection, received) > MAX_MESSAGE_BYTES:
                self._connections.end({connection})
                self.malformed += 1
                log.warning("%s: a message without end, the connection is ended", self.endpoint)

    def _connect_again(self) -> None:
        """Try again after a refusal: the key may be allowed by now, or the publisher another."""
        if self._connections.given_up and time.monotonic() >= self._connected_s + RECONNECT_S:
            self._connected_s = time.monotonic()
            self._socket.disconnect(self.endpoint)
            self._socket.connect(self.endpoint)

    def _note_run(self, message: AnyMessage) -> None:
        # What was published before this reader joined, or before a new run's first message came,
        # was not meant for it.
        if message.run == self._run:
            missed = max(0, message.seq - self._expected_seq)
            self.lost += missed
            self._unreported += missed
        else:
            self.hello = None
        self._run = message.run
        self._expected_seq = message.seq + 1
