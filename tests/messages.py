"""Messages as a publisher makes them, and frames as a reader has them of those."""

from __future__ import annotations

from streamer.client.received import ReceivedFrame
from streamer.output import FrameResult
from streamer.sinks.message_writer import MessageWriter
from streamer.wire.messages import Encoding, FrameMessage
from streamer.wire.packet import parse
from tests.results import RUN, stream_info

OTHER_RUN = "0d0a2c55-7e10-4c7e-8f9c-31a7f3f0b6aa"


def writer(
    stream: str = "default",
    run: str = RUN,
    encoding: Encoding = "coco_rle",
    *,
    with_jpeg: bool = False,
) -> MessageWriter:
    """A writer that knows its run, whose first message was the hello."""
    made = MessageWriter(stream, run, encoding, with_jpeg=with_jpeg)
    made.write(stream_info(stream, run))
    return made


def frame_message(result: FrameResult, made: MessageWriter | None = None) -> FrameMessage:
    """A result as a message that came over the wire; of a writer of its own unless told."""
    message = parse((made or writer()).write(result)[-1])
    assert isinstance(message, FrameMessage)
    return message


def received(
    result: FrameResult, made: MessageWriter | None = None, *, lost: int = 0, after_ns: int = 0
) -> ReceivedFrame:
    """A result as a reader gets it, so long after it was published."""
    message = frame_message(result, made)
    return ReceivedFrame.of(message, lost, message.publish_unix_ns + after_ns)
