"""Turns what a sink is given into the packets of one stream."""

from __future__ import annotations

import time
from typing import TypedDict

from streamer.frame import Epoch
from streamer.image_encoding import encode_jpeg
from streamer.output import EndOfStream, EndReason, FrameResult, Gap, Output, StreamInfo
from streamer.wire.mask_codec import encode_masks
from streamer.wire.messages import (
    AnyMessage,
    Encoding,
    EosMessage,
    FrameMessage,
    GapMessage,
    HeartbeatMessage,
    HelloMessage,
    InstanceEntry,
)
from streamer.wire.packet import encode

JPEG_QUALITY = 85
"""Of the images that travel beside their masks."""

SCORE_DIGITS = 6
"""Decimals of a score: enough, and a mean of float32 shares that is 1.0000001 becomes 1."""


class _Envelope(TypedDict):
    run: str
    stream: str
    epoch: int
    seq: int


class MessageWriter:
    """Numbers the messages of one stream and keeps what a hello must say.

    Args:
        stream: The stream's name.
        run_id: UUID of the run.
        encoding: How masks travel.
        with_jpeg: Whether the image travels beside its masks.
    """

    def __init__(self, stream: str, run_id: str, encoding: Encoding, *, with_jpeg: bool) -> None:
        self._stream = stream
        self._run_id = run_id
        self._encoding = encoding
        self._with_jpeg = with_jpeg
        self._info: StreamInfo | None = None
        self._epoch = 0
        self._size: tuple[int, int] | None = None
        self._seq = 0
        self._frames = 0
        self._dropped = 0

    def write(self, output: Output) -> list[list[bytes]]:
        """The packets that say one output, in order."""
        if isinstance(output, StreamInfo):
            self._info = output
            return self.hello()
        if isinstance(output, EndOfStream):
            end = EosMessage(
                **self._next(), reason=output.reason, frames=output.frames, dropped=output.dropped
            )
            return [encode(end)]
        if isinstance(output, Gap):
            epoch = output.epoch
            renewed = self._enter(epoch)
            gap = GapMessage(**self._next(), reason=epoch.reason, missing=epoch.missing)
            return [encode(gap), *(self.hello() if renewed else [])]
        greeting = self.hello() if self._enter(output.frame.epoch) else []
        return [*greeting, encode(self._frame(output))]

    def hello(self) -> list[list[bytes]]:
        """A hello; nothing before the stream's info is known."""
        if self._info is None:
            return []
        hello = HelloMessage(
            **self._next(),
            size=self._size,
            categories=self._info.categories,
            encoding=self._encoding,
            stride=self._info.stride,
            window=self._info.window,
            masks=self._info.masks,
        )
        return [encode(hello)]

    def heartbeat(self) -> list[bytes]:
        """A sign of life."""
        return encode(HeartbeatMessage(**self._next(), publish_unix_ns=time.time_ns()))

    def cut_off(self, reason: EndReason) -> EndOfStream:
        """The end of a stream that was not given one, with what was counted here."""
        return EndOfStream(reason, self._frames, self._dropped)

    def _enter(self, epoch: Epoch) -> bool:
        """Note the epoch; returns whether the frame size is another than before."""
        self._epoch = epoch.index
        changed = self._size != epoch.size
        self._size = epoch.size
        return changed

    def _frame(self, result: FrameResult) -> AnyMessage:
        frame, size = result.frame, result.frame.epoch.size
        segments = [instance.segment for instance in result.instances]
        payload, spans = encode_masks(size, segments, self._encoding)
        entries = tuple(
            InstanceEntry(
                track_id=instance.track_id,
                category_id=instance.category_id,
                category=instance.category,
                score=round(float(instance.score), SCORE_DIGITS),
                bbox_xywh=instance.bbox_xywh,
                area=instance.segment.area,
                offset=None if spans is None else spans[position][0],
                length=None if spans is None else spans[position][1],
            )
            for position, instance in enumerate(result.instances)
        )
        jpeg = encode_jpeg(frame.image, JPEG_QUALITY) if self._with_jpeg else None
        self._frames += 1
        self._dropped += result.dropped
        return FrameMessage(
            **self._next(),
            frame=frame.index,
            pts=frame.pts,
            time_base=(frame.time_base.numerator, frame.time_base.denominator),
            time_s=frame.time_s,
            capture_unix_ns=frame.capture_unix_ns,
            capture_clock=frame.capture_clock,
            publish_unix_ns=time.time_ns(),  # taken last: the encoding is not the transport's
            size=size,
            interpolated=result.interpolated,
            dropped=result.dropped,
            encoding=self._encoding,
            instances=entries,
            payload=payload,
            jpeg=jpeg,
        )

    def _next(self) -> _Envelope:
        seq = self._seq
        self._seq += 1
        return _Envelope(run=self._run_id, stream=self._stream, epoch=self._epoch, seq=seq)
