"""The ZeroMQ publisher."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from contextlib import ExitStack

import zmq

from streamer.errors import SinkError
from streamer.output import EndOfStream, FrameResult, Output
from streamer.ring_buffer import Closed, RingBuffer
from streamer.sink_config import ZmqConfig
from streamer.sinks.message_writer import MessageWriter
from streamer.sinks.readers import Readers
from streamer.wire.endpoint import bind, is_loopback
from streamer.wire.mask_codec import zstandard
from streamer.wire.packet import topic

TERM_S = 2.0
"""How much longer than its linger ZeroMQ may take to end, before its thread is left behind."""

log = logging.getLogger(__name__)


class ZmqSink:
    """Publishes one stream on one endpoint. Made, used and closed on one thread.

    Made before the weights load, so that readers can connect and a port in use fails at once; until
    the `StreamInfo` arrives there are heartbeats only. With ``pub`` every new reader is greeted by
    a hello (which all readers get). With ``push`` nothing is dropped: a missing or slow reader
    holds the stream.

    Args:
        endpoint: Where to bind, such as ``tcp://127.0.0.1:5555``.
        stream: The stream's name.
        run_id: UUID of the run.
        config: The publisher's settings.

    Attributes:
        endpoint: Where it is bound, with the port that it got.

    Raises:
        ConfigError: The endpoint is malformed, a key cannot be read, or the encoding needs a
            package that is missing.
        SinkError: The endpoint cannot be bound.
    """

    def __init__(self, endpoint: str, stream: str, run_id: str, config: ZmqConfig) -> None:
        if config.encoding == "labelmap_zstd":
            zstandard()  # says now, and not at the first frame, that the package is missing
        self._config = config
        self._topic = topic(stream)
        self._writer = MessageWriter(
            stream, run_id, config.encoding, with_jpeg=config.frames == "jpeg"
        )
        self._unsent: deque[list[bytes]] = deque()
        self._backlog: deque[Output] = deque()
        self._waits_for_readers = config.wait_subscribers > 0
        self._ended = False
        self._sent_at = time.monotonic()
        self._closed_at: float | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB if config.pattern == "pub" else zmq.PUSH)
        with ExitStack() as undo:
            undo.callback(self._context.destroy, linger=0)
            self._readers = Readers(self._socket, self._topic, config)
            undo.callback(self._readers.close)
            self._open(endpoint)
            undo.pop_all()

    @property
    def written(self) -> tuple[()]:
        """No files."""
        return ()

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Publish outputs until the buffer ends; the last message is an eos.

        Raises:
            SinkError: With ``push``, no reader took what was left within ``linger_s`` of the end.
        """
        wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            poller = zmq.Poller()
            poller.register(wake, zmq.POLLIN)
            outputs.listen(lambda: os.eventfd_write(wake, 1))
            while self._unsent or not self._ended:
                self._wait(poller, wake, self._advance(outputs))
        except Exception:
            self._unsent.extend(self._writer.write(self._writer.cut_off("failed")))
            self._flush()  # as far as it goes: the error matters more
            raise
        finally:
            # Before the descriptor's number can become another file's.
            outputs.listen(lambda: None)
            os.close(wake)

    def close(self) -> None:
        """Give readers up to ``linger_s`` to take what was sent, and release the endpoint.

        Raises:
            SinkError: With ``push``, a reader had not taken everything by then.
        """
        linger_s = max(0.0, self._left_s())  # `drain` may have waited already
        try:
            self._readers.close()
        finally:
            began = time.monotonic()
            self._socket.close(linger=round(1000 * linger_s))
            # On a thread of its own: libzmq 4.3.5 can hang in `zmq_ctx_term`, about once in a
            # thousand times, when a reader leaves just as the socket closes.
            term = threading.Thread(target=self._context.term, name="zmq term", daemon=True)
            term.start()
            term.join(linger_s + TERM_S)
        if not 0 < linger_s <= time.monotonic() - began:
            return
        lost = f"{self.endpoint}: a reader did not take all within {self._config.linger_s} s"
        if self._config.pattern == "push":
            raise SinkError(lost)
        log.warning("%s of the end", lost)

    def _open(self, endpoint: str) -> None:
        self._socket.setsockopt(zmq.SNDHWM, self._config.hwm)
        self.endpoint = bind(self._socket, endpoint)
        log.info("publishing %s on %s", self._topic.decode(), self.endpoint)
        if self._config.pattern == "push":
            log.info("the stream holds until a reader takes its messages")
        elif self._waits_for_readers:
            log.info("readers that the first frame waits for: %d", self._config.wait_subscribers)
        if self._config.curve_key is None and not is_loopback(self.endpoint):
            log.warning(
                "%s is open to whoever reaches this machine; zmq.curve_key keeps others out",
                self.endpoint,
            )

    def _advance(self, outputs: RingBuffer[Output]) -> float | None:
        """Do what can be done now.

        Returns:
            Seconds until there is something to do again; None if only an event can bring it.
        """
        if self._closed_at is None and outputs.closed:
            self._closed_at = time.monotonic()
        if self._readers.take_subscriptions():
            self._unsent.extend(self._writer.hello())
        if not self._flush():
            return self._require_room(outputs)
        if self._ended:
            return 0.0
        output = self._next(outputs)
        if output is None:
            return self._send_heartbeat_if_due()
        self._unsent.extend(self._writer.write(output))
        self._ended = isinstance(output, EndOfStream)
        return 0.0

    def _wait(self, poller: zmq.Poller, wake: int, timeout_s: float | None) -> None:
        """Wait for a reader, for room, for an output, or for the time to pass."""
        room = zmq.POLLOUT if self._unsent else 0
        poller.register(self._socket, zmq.POLLIN if self._config.pattern == "pub" else room)
        # Rounded up: a poll that ends just before its time would be followed by many short ones.
        events = poller.poll(None if timeout_s is None else math.ceil(1000 * timeout_s))
        if (wake, zmq.POLLIN) in events:
            os.eventfd_read(wake)

    def _flush(self) -> bool:
        """Send what waits; returns whether all is sent."""
        while self._unsent:
            try:
                self._socket.send_multipart(self._unsent[0], zmq.DONTWAIT)
            except zmq.Again:
                return False
            self._unsent.popleft()
            self._sent_at = time.monotonic()
        return True

    def _require_room(self, outputs: RingBuffer[Output]) -> float | None:
        """How long a reader may still take to make room: for ever, until the stream is over.

        Raises:
            SinkError: The time is up.
        """
        if self._closed_at is None:
            return None
        left_s = self._left_s()
        if left_s > 0:
            return left_s
        count = len(self._unsent) + outputs.discard()
        raise SinkError(
            f"{self.endpoint}: no reader took the last {count} messages within "
            f"{self._config.linger_s} s"
        )

    def _left_s(self) -> float:
        """What is left of ``linger_s``, from the end or the last message that went after it."""
        if self._closed_at is None:
            return self._config.linger_s
        waited_s = time.monotonic() - max(self._closed_at, self._sent_at)
        return self._config.linger_s - waited_s

    def _send_heartbeat_if_due(self) -> float:
        """Send a heartbeat if one is due; returns the seconds until the next thing to do."""
        now = time.monotonic()
        due_s = self._sent_at + self._config.heartbeat_s - now
        if due_s <= 0:
            due_s = self._config.heartbeat_s
            # A push socket without a reader has no room: no heartbeat then, rather than a stale one
            if self._socket.poll(0, zmq.POLLOUT):
                self._unsent.append(self._writer.heartbeat())
                self._flush()  # and not for sure: the reader may just have left
        if self._backlog and self._closed_at is not None:
            return max(0.0, min(due_s, self._closed_at + self._config.linger_s - now))
        return due_s

    def _next(self, outputs: RingBuffer[Output]) -> Output | None:
        """The next output to send, if there is one and it may go."""
        if not self._backlog:
            try:
                self._backlog.append(outputs.get(timeout_s=0))
            except TimeoutError:
                return None
            except Closed:
                return self._writer.cut_off("stopped")
        if self._waits_for_readers and isinstance(self._backlog[0], FrameResult):
            self._waits_for_readers = self._must_wait(outputs)
            if self._waits_for_readers:
                return None
        return self._backlog.popleft()

    def _must_wait(self, outputs: RingBuffer[Output]) -> bool:
        """Whether the first frame still waits for readers.

        A stream that was stopped waits no longer; a short one that came to its end meanwhile waits
        for `linger_s`.
        """
        if self._readers.subscribed >= self._config.wait_subscribers:
            return False
        if self._closed_at is None:
            return True
        self._backlog.extend(outputs)
        last = self._backlog[-1]
        finished = isinstance(last, EndOfStream) and last.reason == "end"
        if finished and time.monotonic() < self._closed_at + self._config.linger_s:
            return True
        log.warning(
            "%s: the stream is over; of the readers waited for, %d of %d came",
            self.endpoint,
            self._readers.subscribed,
            self._config.wait_subscribers,
        )
        return False
