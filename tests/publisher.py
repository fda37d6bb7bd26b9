"""A real publisher on its own thread, as a run would start it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, TypeVar

import zmq

from streamer.errors import StreamError
from streamer.output import EndOfStream, EndReason, Output
from streamer.sink_config import ZmqConfig
from streamer.sinks.sink import SinkThread
from streamer.sinks.zmq_sink import ZmqSink
from streamer.wire.messages import AnyMessage, EosMessage
from streamer.wire.packet import parse
from tests.results import RUN, stream_info
from tests.waits import PATIENCE_S

T = TypeVar("T", bound=AnyMessage)

PATIENCE_MS = 1000 * PATIENCE_S


class Publisher:
    """A `ZmqSink` behind its `SinkThread`."""

    def __init__(
        self,
        config: ZmqConfig,
        endpoint: str = "tcp://127.0.0.1:*",
        *,
        stream: str = "default",
        run: str = RUN,
        capacity: int = 8,
    ) -> None:
        self.stream, self.run = stream, run
        self._made: list[ZmqSink] = []
        self._readers: list[RawReader] = []

        def open_sink() -> ZmqSink:
            sink = ZmqSink(endpoint, stream, run, config)
            self._made.append(sink)
            return sink

        self.thread = SinkThread("zmq", open_sink, capacity)
        self.thread.start()

    @property
    def endpoint(self) -> str:
        return self._made[0].endpoint

    def reader(
        self, pattern: int = zmq.SUB, prefix: bytes = b"masks/", hwm: int = 1000
    ) -> RawReader:
        """A reader that outlives this publisher: whoever leaves first must not decide a test."""
        self._readers.append(RawReader(self.endpoint, pattern, prefix, hwm))
        return self._readers[-1]

    def inform(self) -> None:
        self.thread.put(stream_info(self.stream, self.run))

    def put(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self.thread.put(output)

    def end(self, reason: EndReason = "end", frames: int = 0) -> StreamError | None:
        self.thread.put(EndOfStream(reason, frames, 0))
        return self.thread.finish(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.thread.lift_limit()
        self.thread.finish(60)
        for reader in self._readers:
            reader.close()


class RawReader:
    """A plain socket, as a reader in another language would use it."""

    def __init__(
        self, endpoint: str, pattern: int = zmq.SUB, prefix: bytes = b"masks/", hwm: int = 1000
    ) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(pattern)
        self.socket.setsockopt(zmq.RCVHWM, hwm)
        self.socket.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
        if pattern == zmq.SUB:
            self.socket.setsockopt(zmq.SUBSCRIBE, prefix)
        self.socket.connect(endpoint)

    def read(self) -> AnyMessage:
        return parse(self.socket.recv_multipart())

    def read_until(self, kind: type[T]) -> tuple[list[AnyMessage], T]:
        """What came before the next message of a kind, and that message."""
        before: list[AnyMessage] = []
        while True:
            message = self.read()
            if isinstance(message, kind):
                return before, message
            before.append(message)

    def read_all(self) -> list[AnyMessage]:
        """Everything up to the eos, which is last."""
        before, end = self.read_until(EosMessage)
        return [*before, end]

    def close(self) -> None:
        self._context.destroy(linger=0)
