"""The messages of the wire format `vistr-masks` version 1, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from streamer.frame import CaptureClock, EpochReason
from streamer.output import EndReason

Encoding = Literal["coco_rle", "labelmap_png", "labelmap_zstd"]


@dataclass(frozen=True, slots=True)
class InstanceEntry:
    """One object of a frame, as the header describes it.

    Attributes:
        track_id: Its identity, unique for the run.
        category_id: As the weights number their categories.
        category: Its name.
        score: In [0, 1].
        bbox_xywh: Tight box of the mask in pixels: left, top, width, height.
        area: Pixels of the mask, also of those that a label map hides under other objects.
        offset: Where the mask begins in the payload, in bytes; None in label maps.
        length: Bytes of the mask; None in label maps.
    """

    track_id: int
    category_id: int
    category: str
    score: float
    bbox_xywh: tuple[int, int, int, int]
    area: int
    offset: int | None
    length: int | None


@dataclass(frozen=True, slots=True)
class Message:
    """What every message says.

    Attributes:
        run: UUID of the publisher's run; a restarted publisher is a new run.
        stream: The stream's name.
        epoch: The stretch of frames that the stream is in.
        seq: Counts the messages of this stream in this run from 0, so a hole is a loss.
    """

    run: str
    stream: str
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class FrameMessage(Message):
    """A finished frame.

    Attributes:
        frame: Index of the frame, monotone over the run; a hole is a dropped frame.
        pts: Presentation timestamp in units of `time_base`, or None.
        time_base: Seconds per tick of `pts`, as (numerator, denominator).
        time_s: Presentation time in seconds since the run's first frame.
        capture_unix_ns: When it was captured, nanoseconds since 1970, or None.
        capture_clock: Whose clock that is: ``camera``, ``arrival``, or None.
        publish_unix_ns: When it was published, nanoseconds since 1970.
        size: (height, width) in pixels.
        interpolated: Whether its masks come from its neighbours.
        dropped: The source's frames without a result since the frame before.
        encoding: How the masks lie in the payload.
        instances: What is in it, best score first.
        payload: The encoded masks.
        jpeg: The image, or None where the publisher sends none.
    """

    frame: int
    pts: int | None
    time_base: tuple[int, int]
    time_s: float
    capture_unix_ns: int | None
    capture_clock: CaptureClock | None
    publish_unix_ns: int
    size: tuple[int, int]
    interpolated: bool
    dropped: int
    encoding: Encoding
    instances: tuple[InstanceEntry, ...]
    payload: bytes = field(repr=False)
    jpeg: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class HelloMessage(Message):
    """What a reader needs to know of the stream; comes again with every new reader.

    Attributes:
        size: (height, width) of the frames; None before the first.
        categories: Names by category id; position 0 is a dummy.
        encoding: How masks travel.
        stride: New frames per window.
        window: Frames in a window.
        masks: Whether there are masks; otherwise those of the frames are filled boxes.
    """

    size: tuple[int, int] | None
    categories: tuple[str, ...]
    encoding: Encoding
    stride: int
    window: int
    masks: bool


@dataclass(frozen=True, slots=True)
class HeartbeatMessage(Message):
    """Nothing happened for a while, and the publisher is alive.

    Attributes:
        publish_unix_ns: When it was published, nanoseconds since 1970.
    """

    publish_unix_ns: int


@dataclass(frozen=True, slots=True)
class GapMessage(Message):
    """A new epoch begins: nothing that follows continues what came before.

    Attributes:
        reason: ``start``, ``reconnect``, ``size`` or ``loop``.
        missing: Frames lost in between, beside those that the next frame counts as dropped: 0
            after ``size`` and ``loop``, None (unknown) after ``reconnect``.
    """

    reason: EpochReason
    missing: int | None


@dataclass(frozen=True, slots=True)
class EosMessage(Message):
    """The last message of a run.

    Attributes:
        reason: ``end``, ``stopped`` or ``failed``.
        frames: Frames that were finished.
        dropped: The source's frames without a result, also after the last that was finished.
    """

    reason: EndReason
    frames: int
    dropped: int


AnyMessage = FrameMessage | HelloMessage | HeartbeatMessage | GapMessage | EosMessage
